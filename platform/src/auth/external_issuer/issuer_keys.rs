//! What is known of an issuer's keys, and for how long it is believed while the issuer does not answer.
//!
//! Invariant: a request waits for a key for a moment at most, and no token makes the issuer be asked more often than
//! [`KeyTrust::least_interval`] allows. Absent: asking it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::{ExternalTokenError, KeySet};
use crate::auth::AuthError;

/// For how long keys are believed, and how often a token may have them looked for.
#[derive(Debug, Clone, Copy)]
pub struct KeyTrust {
    /// For so long keys are believed after the issuer has answered last.
    pub outage: Duration,
    /// Between two times that the issuer is asked, whatever key ids tokens name.
    pub least_interval: Duration,
    /// For so long a request waits for a key that is being looked for.
    pub patience: Duration,
}

/// What is known of an issuer's keys.
pub struct IssuerKeys {
    trust: KeyTrust,
    state: RwLock<KeyState>,
    /// Notified when a key is wanted.
    wanted: Notify,
    /// How often the issuer has been asked.
    asked: watch::Sender<u64>,
}

#[derive(Default)]
struct KeyState {
    /// With when the issuer said so.
    keys: Option<(Arc<KeySet>, Instant)>,
    /// When the issuer was asked last.
    asked_at: Option<Instant>,
    /// Whether its answer is still to come.
    is_asked: bool,
    /// Whether somebody has met a key id that is not known since.
    is_wanted: bool,
    /// Why that failed.
    failure: Option<String>,
}

impl KeyState {
    fn take_answer(&mut self, answer: Result<KeySet, String>) -> bool {
        match answer {
            Ok(keys) => {
                let known = self.keys.as_ref().map(|(known, _)| known);
                let is_same = known.is_some_and(|known| known.ids().eq(keys.ids()));
                self.keys = Some((Arc::new(keys), Instant::now()));
                self.failure.take().is_some() || !is_same
            }
            Err(failure) => self.failure.replace(failure).is_none(),
        }
    }
}

impl IssuerKeys {
    /// Nothing yet.
    #[must_use]
    pub fn new(trust: KeyTrust) -> Self {
        let (wanted, asked) = (Notify::new(), watch::Sender::new(0));
        Self { trust, state: RwLock::default(), wanted, asked }
    }

    /// Waits until a token names a key that is not known, and the issuer may be asked.
    pub async fn wanted(&self) {
        while !self.read(|state| state.is_wanted) {
            self.wanted.notified().await;
        }
        let asked_at = self.read(|state| state.asked_at);
        if let Some(asked_at) = asked_at {
            tokio::time::sleep(self.trust.least_interval.saturating_sub(asked_at.elapsed())).await;
        }
    }

    /// Notes that the issuer is asked now.
    pub fn note_question(&self) {
        self.write(|state| {
            (state.asked_at, state.is_asked) = (Some(Instant::now()), true);
            state.is_wanted = false;
        });
    }

    /// Notes what the issuer has answered, or why it has not. Whether that changed anything.
    pub fn note_answer(&self, answer: Result<KeySet, String>) -> bool {
        let has_changed = self.write(|state| {
            state.is_asked = false;
            state.take_answer(answer)
        });
        self.asked.send_modify(|asked| *asked = asked.wrapping_add(1));
        has_changed
    }

    /// Whether tokens of the issuer are judged by keys that it has served now: why not, otherwise.
    ///
    /// # Errors
    /// What is the matter, for an operator.
    pub fn check(&self) -> Result<(), String> {
        self.read(|state| match (&state.keys, &state.failure) {
            (Some(_), None) => Ok(()),
            (None, None) => Err("its keys are not known yet".to_owned()),
            (None, Some(failure)) => Err(format!("{failure}; its tokens are refused until then")),
            (Some((_, at)), Some(failure)) if at.elapsed() > self.trust.outage => Err(format!(
                "{failure}; its keys are {} old, and its tokens are refused",
                describe_age(at.elapsed())
            )),
            (Some((_, at)), Some(failure)) => Err(format!(
                "{failure}; the keys of {} ago are believed for {} more",
                describe_age(at.elapsed()),
                describe_age(self.trust.outage.saturating_sub(at.elapsed()))
            )),
        })
    }

    /// The keys, while they are believed.
    pub(super) fn trusted(&self) -> Result<Arc<KeySet>, ExternalTokenError> {
        self.read(|state| match &state.keys {
            Some((keys, at)) if at.elapsed() <= self.trust.outage => Ok(Arc::clone(keys)),
            _ => Err(ExternalTokenError::ProviderAway),
        })
    }

    /// Why a key is not known: the issuer may have made it since, which nobody can tell while it does not answer.
    pub(super) fn explain_unknown(&self) -> AuthError {
        let is_away = self.read(|state| state.failure.is_some());
        if is_away { ExternalTokenError::ProviderAway.into() } else { AuthError::UnknownKey }
    }

    /// Asks for the key of this id, and waits for a moment when that may help.
    pub(super) async fn await_key(&self, kid: &str) {
        if self.trusted().is_ok_and(|keys| keys.find(kid).is_some()) {
            return;
        }
        let mut asked = self.asked.subscribe();
        let comes_soon = self.write(|state| {
            let may_ask = |at: Instant| at.elapsed() >= self.trust.least_interval;
            state.is_wanted |= !state.is_asked;
            state.is_asked || state.asked_at.is_none_or(may_ask)
        });
        self.wanted.notify_one();
        if comes_soon {
            let _ = tokio::time::timeout(self.trust.patience, asked.changed()).await;
        }
    }

    fn read<T>(&self, look: impl FnOnce(&KeyState) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut KeyState) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn describe_age(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}
