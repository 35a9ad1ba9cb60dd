//! Keeping what a process believes of accounts and clients as the log says.
//!
//! Invariant: what is believed was so in the log at some time not long ago, and never goes back behind what this
//! process has believed, unless the log itself does.

use std::convert::Infallible;

use domain::{AccessControl, AccessControlRejection, Aggregate as _};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::auth::AccessRegister;
use crate::backoff::Backoff;
use crate::execute::{ExecuteError, load};
use crate::follower::{LogTail, SESSION_BACKOFF};
use crate::health::{Check, Probe};
use crate::shutdown::Shutdown;

/// Events that are looked at at a time.
const PAGE_EVENTS: usize = 512;
/// The pause before the log is followed again.
const PAUSE: Backoff = SESSION_BACKOFF;

/// Keeps `register` as the log says, until `shutdown`.
pub async fn follow_access(register: AccessRegister, tail: LogTail, shutdown: Shutdown) {
    tokio::select! {
        () = follow_for_ever(&register, &tail) => {}
        () = shutdown.requested() => {}
    }
}

async fn follow_for_ever(register: &AccessRegister, tail: &LogTail) {
    let mut attempt = 0;
    loop {
        let mut was_read = false;
        let Err(error) = follow(register, tail, &mut was_read).await;
        if was_read {
            attempt = 0;
        }
        match error {
            // What is believed was so a moment ago; who serves commands without a log serves none.
            ExecuteError::Log(error) => {
                tracing::warn!(%error, attempt, "accounts and clients are followed again");
            }
            // A newer version may have taken somebody's rights in a way that is not known here.
            error => {
                tracing::error!(%error, "accounts and clients cannot be read: nobody is let in");
                register.forget();
            }
        }
        PAUSE.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}

/// Follows the log until that fails; notes in `was_read` when accounts and clients could be read before.
async fn follow(
    register: &AccessRegister,
    tail: &LogTail,
    was_read: &mut bool,
) -> Result<Infallible, ExecuteError<AccessControlRejection>> {
    // Taken first: what is appended meanwhile is looked at twice.
    let end = tail.log().head().await?;
    let mut follow = tail.follow(end);
    publish_loaded(register, tail).await?;
    *was_read = true;
    loop {
        let page = follow.next_page(PAGE_EVENTS).await?;
        let is_access = |aggregate_type: &str| aggregate_type == AccessControl::TYPE;
        if page.events.iter().any(|event| is_access(&event.stream.aggregate_type)) {
            publish_loaded(register, tail).await?;
        }
    }
}

async fn publish_loaded(
    register: &AccessRegister,
    tail: &LogTail,
) -> Result<(), ExecuteError<AccessControlRejection>> {
    let loaded = load::<AccessControl>(&**tail.log(), AccessControl::ID).await?;
    register.publish(loaded.state);
    Ok(())
}

/// Whether this process knows who may use the installation: it lets nobody in before.
pub struct AccessProbe(AccessRegister);

impl AccessProbe {
    /// Of what `register` knows.
    #[must_use]
    pub fn new(register: AccessRegister) -> Self {
        Self(register)
    }
}

impl Probe for AccessProbe {
    fn name(&self) -> &'static str {
        AccessControl::TYPE
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        let known = self.0.current().map(drop).map_err(|unknown| unknown.to_string());
        std::future::ready(vec![Check::new(self.name(), known)]).boxed()
    }
}
