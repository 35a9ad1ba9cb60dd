//! Who was let in, who was refused, and whose commands were rejected, on its way into the log: bounded, so that nobody can fill the log with it.
//!
//! Invariants: whoever notes an attempt never waits for it and never fails by it; in a minute one process writes no
//! more events than a named number, whatever is tried, and what is not written is counted. Absent: who notes what
//! (`http::AttemptNotes`), and any secret.

mod recorder;
mod tally;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

pub use recorder::record_attempts;

/// Attempts that wait to be looked at; more are only counted.
const WAITING_MAX: usize = 4_096;

/// Something that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessAttempt {
    /// Somebody got a token.
    Granted(GrantedToken),
    /// Somebody was refused.
    Refused(RefusedAccess),
    /// A command was rejected by the rules.
    Rejected(RejectedCommand),
}

/// A token that was given to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedToken {
    /// The account or client.
    pub subject: String,
    /// By which kind of proof (RFC 6749, `grant_type`).
    pub grant_type: String,
    /// Its `jti`.
    pub token_id: String,
    /// From where it was asked for.
    pub address: Option<IpAddr>,
    /// What it allows.
    pub scopes: Vec<String>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAccess {
    /// The account or client that it was about, as far as one is known; never what might be a secret.
    pub subject: Option<String>,
    /// From where it was asked.
    pub address: Option<IpAddr>,
    /// What was asked: a method and the pattern of a path.
    pub asked: String,
    /// Why it was refused, in a word.
    pub reason: String,
}

/// A command that the rules reject, of somebody who may give it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RejectedCommand {
    /// The account or client that gave it, as far as one is known.
    pub subject: Option<String>,
    /// The id (`jti`) of the token that it was given with.
    pub token_id: Option<String>,
    /// From where it was given.
    pub address: Option<IpAddr>,
    /// What was asked: a method and the pattern of a path, or the name of a GraphQL mutation.
    pub asked: String,
    /// What it was for.
    pub resource: String,
    /// The rejection's name.
    pub reason: String,
}

/// Where attempts are noted. Clones share it; the default keeps nothing.
#[derive(Debug, Clone, Default)]
pub struct AttemptRecorder(Option<Arc<Noting>>);

#[derive(Debug)]
struct Noting {
    waiting: mpsc::Sender<(DateTime<Utc>, AccessAttempt)>,
    overflow: Arc<Overflow>,
}

/// How many found no place.
#[derive(Debug, Default)]
struct Overflow {
    granted: AtomicU64,
    refused: AtomicU64,
    rejected: AtomicU64,
}

/// What was noted and not looked at yet: for [`record_attempts`].
#[derive(Debug)]
pub struct NotedAttempts {
    waiting: mpsc::Receiver<(DateTime<Utc>, AccessAttempt)>,
    overflow: Arc<Overflow>,
}

impl AttemptRecorder {
    /// One that notes, and what it has noted.
    #[must_use]
    pub fn new() -> (Self, NotedAttempts) {
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let overflow = Arc::<Overflow>::default();
        let noting = Noting { waiting: sender, overflow: Arc::clone(&overflow) };
        (Self(Some(Arc::new(noting))), NotedAttempts { waiting, overflow })
    }

    /// Notes an attempt, at once; where too many wait, that there was one.
    pub fn note(&self, attempt: AccessAttempt) {
        let Some(noting) = &self.0 else { return };
        if let Err(full) = noting.waiting.try_send((Utc::now(), attempt)) {
            let (_, attempt) = full.into_inner();
            let count = match attempt {
                AccessAttempt::Granted(_) => &noting.overflow.granted,
                AccessAttempt::Refused(_) => &noting.overflow.refused,
                AccessAttempt::Rejected(_) => &noting.overflow.rejected,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}
