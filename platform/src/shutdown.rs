//! One signal that asks everything in the process to finish: Ctrl-C, SIGTERM, or a call.
//!
//! Invariant: once requested it stays requested. Absent: deadlines; each part bounds its own drain.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A request to finish that many parts wait for. Clones share the same request.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Not requested, and tied to no signal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requested by the first Ctrl-C or SIGTERM. A second one ends the process at once (status
    /// 130).
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signal() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let requested = shutdown.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = interrupt.recv() => "Ctrl-C",
                _ = terminate.recv() => "SIGTERM",
            };
            tracing::info!(signal = name, "finishing; a second signal stops at once");
            requested.request();
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            std::process::exit(130);
        });
        Ok(shutdown)
    }

    /// Asks everything to finish.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether finishing was asked for.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until finishing is asked for. Owned, so that a task can hold it.
    pub fn requested(&self) -> WaitForCancellationFutureOwned {
        self.0.clone().cancelled_owned()
    }

    /// A part's own request: it follows this one, but requesting it leaves this one alone.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// The token underneath, for code that speaks tokio-util.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.0
    }
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
}
