//! What a feed waits for, and for how long: not past its session, nor past a shutdown, and not for ever
//! for what fails.

use std::pin::pin;
use std::time::Duration;

use platform::backoff::Backoff;
use platform::shutdown::Shutdown;
use tokio::time::Instant;

use crate::error::QueryError;

/// How often the token is looked at again.
pub(super) const SESSION_CHECK: Duration = Duration::from_secs(1);

/// How long a feed tries again before what may pass by itself ends it: longer than another database takes to
/// take over from one that is gone.
const RETRIED_FOR: Duration = Duration::from_secs(60);
/// The pauses meanwhile.
const RETRY_PAUSE: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2), 0.5);

/// With failures that may pass by themselves.
#[derive(Default)]
pub(super) struct FeedPatience {
    failing_since: Option<Instant>,
    failures: u32,
}

impl FeedPatience {
    /// Waits before whoever failed with `error` tries again.
    ///
    /// # Errors
    /// `error`, when it does not pass by itself, or has not for a minute.
    pub(super) async fn wait_out(&mut self, error: QueryError) -> Result<(), QueryError> {
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        if !error.may_pass() || since.elapsed() > RETRIED_FOR {
            return Err(error);
        }
        RETRY_PAUSE.wait(self.failures).await;
        self.failures += 1;
        Ok(())
    }
}

/// Waits for something to be done, but not past the session, nor past a shutdown: then `None`. It goes on
/// while the token is looked at; what is broken off and begun again each time would never be done when
/// the database is slow.
pub(super) async fn wait_for<T>(
    something: impl Future<Output = T>,
    shutdown: &Shutdown,
    check_session: impl Fn() -> Result<(), QueryError>,
) -> Result<Option<T>, QueryError> {
    let (mut something, mut requested) = (pin!(something), pin!(shutdown.requested()));
    loop {
        tokio::select! {
            done = &mut something => return Ok(Some(done)),
            () = &mut requested => return Ok(None),
            () = tokio::time::sleep(SESSION_CHECK) => check_session()?,
        }
    }
}
