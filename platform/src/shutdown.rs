//! One request that asks everything in the process to finish: a signal, or a call.
//!
//! Invariant: once requested it stays requested. Whoever gives up unfinished work on it drops that work, and
//! with it everything that it holds; so nothing may outlive its holder. Absent: deadlines; each part bounds its
//! own drain.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The signals that end a process in order. Whoever starts us may have switched the last two off: `nohup`, or
/// a shell that puts us in the background.
const SIGNALS: [(SignalKind, &str, bool); 4] = [
    (SignalKind::interrupt(), "Ctrl-C", false),
    (SignalKind::terminate(), "SIGTERM", false),
    (SignalKind::hangup(), "SIGHUP", true),
    (SignalKind::quit(), "SIGQUIT", true),
];
/// What a shell adds to a signal's number for the exit code of a process that it ended.
const ENDED_BY_SIGNAL: i32 = 128;

/// A request to finish that many parts wait for. Clones share the same request.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    requested: CancellationToken,
    signals: Arc<Signals>,
}

/// What has come so far.
#[derive(Debug, Default)]
struct Signals {
    count: AtomicU32,
    /// The number of the first one.
    first: AtomicI32,
    insisted: CancellationToken,
}

/// The work was given up before it was done, because a signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ended by signal {0} before it was done")]
pub struct Interrupted(i32);

impl Interrupted {
    /// The exit code that shells know a process by that the signal has ended: 130 for Ctrl-C.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        u8::try_from(ENDED_BY_SIGNAL + self.0).unwrap_or(u8::MAX)
    }
}

impl Shutdown {
    /// Not requested, and tied to no signal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requested by the first signal that ends processes: Ctrl-C, SIGTERM, SIGHUP or SIGQUIT. The second one is
    /// [`Self::insisted`]; the third ends the process where it stands.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signal() -> io::Result<Self> {
        let shutdown = Self::new();
        let ignored = read_ignored_signals();
        for (kind, name, may_be_ignored) in SIGNALS {
            let number = kind.as_raw_value();
            if may_be_ignored && ignored & (1 << (number - 1)) != 0 {
                continue;
            }
            let (mut signals, receiver) = (signal(kind)?, shutdown.clone());
            tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    receiver.receive(name, number);
                }
            });
        }
        Ok(shutdown)
    }

    fn receive(&self, name: &str, number: i32) {
        match self.signals.count.fetch_add(1, Ordering::SeqCst) {
            0 => {
                tracing::info!(signal = name, "finishing; a second signal stops at once");
                self.signals.first.store(number, Ordering::SeqCst);
                self.request();
            }
            1 => self.signals.insisted.cancel(),
            _ => std::process::exit(ENDED_BY_SIGNAL + number),
        }
    }

    /// Asks everything to finish.
    pub fn request(&self) {
        self.requested.cancel();
    }

    /// Whether finishing was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.is_cancelled()
    }

    /// Waits until finishing is asked for. Owned, so that a task can hold it.
    pub fn requested(&self) -> WaitForCancellationFutureOwned {
        self.requested.clone().cancelled_owned()
    }

    /// Waits until somebody does not want to wait for the finish either.
    pub fn insisted(&self) -> WaitForCancellationFutureOwned {
        self.signals.insisted.clone().cancelled_owned()
    }

    /// What to say of work that is given up for this request.
    #[must_use]
    pub fn interruption(&self) -> Interrupted {
        match self.signals.first.load(Ordering::SeqCst) {
            0 => Interrupted(SignalKind::terminate().as_raw_value()),
            number => Interrupted(number),
        }
    }

    /// Does `work`, or drops it as soon as finishing is asked for.
    ///
    /// # Errors
    /// Those of `work`, or [`Interrupted`].
    pub async fn run_until_requested<T, E: From<Interrupted>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let done = self.requested.run_until_cancelled(work).await;
        done.unwrap_or_else(|| Err(self.interruption().into()))
    }

    /// A part's own request: it follows this one, but requesting it leaves this one alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self { requested: self.requested.child_token(), signals: Arc::clone(&self.signals) }
    }

    /// The token underneath, for code that speaks tokio-util.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.requested
    }
}

/// The signals that this process was started to ignore, a bit each from signal 1 on. Where there is no `/proc`,
/// none is known to be.
fn read_ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_child_follows_its_parent_but_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());
        first.request();
        assert!(!parent.is_requested() && !second.is_requested());
        parent.request();
        second.requested().await;
    }

    #[tokio::test]
    async fn work_is_given_up_for_the_first_signal_and_order_for_the_second() {
        let shutdown = Shutdown::new();
        let done = shutdown.run_until_requested(async { Ok::<_, Interrupted>(42) }).await;
        assert_eq!(done, Ok(42));
        shutdown.receive("Ctrl-C", 2);
        let given_up = shutdown.run_until_requested(std::future::pending::<Result<(), _>>()).await;
        assert_eq!(given_up.map_err(Interrupted::exit_code), Err(130));
        assert!(!shutdown.signals.insisted.is_cancelled());
        shutdown.receive("SIGTERM", 15);
        shutdown.insisted().await;
        assert_eq!(shutdown.interruption().exit_code(), 130, "the first one counts");
    }
}
