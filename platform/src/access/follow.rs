//! Keeping what a process believes of accounts and clients as the log says.
//!
//! Invariant: what is believed was so in the log at some time not long ago, and never goes back behind what this
//! process has believed, unless the log itself does.

use domain::{AccessControl, AccessControlRejection, Aggregate as _};

use crate::auth::AccessRegister;
use crate::backoff::Backoff;
use crate::execute::{ExecuteError, load};
use crate::follower::{LogTail, SESSION_BACKOFF};
use crate::shutdown::Shutdown;

/// Events that are looked at at a time.
const PAGE_EVENTS: usize = 512;
/// The pause before the log is followed again.
const PAUSE: Backoff = SESSION_BACKOFF;

/// Keeps `register` as the log says, until `shutdown`.
pub async fn follow_access(register: AccessRegister, tail: LogTail, shutdown: Shutdown) {
    let following = async {
        for attempt in 0.. {
            match follow_until_it_fails(&register, &tail).await {
                // What is believed was so a moment ago; who serves commands without a log serves none.
                ExecuteError::Log(error) => {
                    tracing::warn!(%error, "accounts and clients are followed again");
                }
                // A newer version may have taken somebody's rights in a way that is not known here.
                error => {
                    tracing::error!(%error, "accounts and clients cannot be read: nobody is let in");
                    register.forget();
                }
            }
            PAUSE.wait(attempt).await;
        }
    };
    tokio::select! {
        () = following => {}
        () = shutdown.requested() => {}
    }
}

async fn follow_until_it_fails(
    register: &AccessRegister,
    tail: &LogTail,
) -> ExecuteError<AccessControlRejection> {
    match follow(register, tail).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn follow(
    register: &AccessRegister,
    tail: &LogTail,
) -> Result<std::convert::Infallible, ExecuteError<AccessControlRejection>> {
    // Taken first: what is appended meanwhile is looked at twice.
    let end = tail.log().head().await?;
    let mut follow = tail.follow(end);
    publish_loaded(register, tail).await?;
    loop {
        let page = follow.next_shared_page(PAGE_EVENTS).await?;
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
