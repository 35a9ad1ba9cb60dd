//! What is refused, and how long and how often a request is sent again.

use std::time::{Duration, Instant};

use platform::backoff::Backoff;
use reqwest::StatusCode;

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// The pause after an attempt whose answer names none.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(20), PAUSE_MAX, 0.5);

/// How long a request that is not answered, or put off, is sent again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience(pub(crate) Duration);

impl Patience {
    /// Begins with a request; patience ends so much later.
    pub(super) fn begin(self) -> Trying {
        Trying { deadline: Instant::now() + self.0, attempt: 0 }
    }
}

/// A request that is sent until it succeeds, fails for good, or its time is over.
pub(super) struct Trying {
    deadline: Instant,
    attempt: u32,
}

impl Trying {
    /// Pauses after an attempt that failed.
    ///
    /// # Errors
    /// The same error, when another attempt makes no sense or comes too late.
    pub(super) async fn after(&mut self, error: anyhow::Error) -> anyhow::Result<()> {
        let pause = match transient(&error) {
            None => return Err(error),
            Some(Some(asked)) => asked,
            Some(None) => BACKOFF.delay(self.attempt),
        };
        if Instant::now() + pause > self.deadline {
            return Err(error);
        }
        tokio::time::sleep(pause).await;
        self.attempt = self.attempt.saturating_add(1);
        Ok(())
    }
}

/// An answer that was an error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) detail: String,
    pub(super) request: String,
    pub(super) retry_after: Option<Duration>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was refused ({}): {}", self.request, self.status.as_u16(), self.detail)
    }
}

impl std::error::Error for Refused {}

/// The status of an answer that was an error.
pub(super) fn status(error: &anyhow::Error) -> Option<StatusCode> {
    error.downcast_ref::<Refused>().map(|refused| refused.status)
}

/// `None` for an error that another attempt would only repeat, else the pause that was asked for.
fn transient(error: &anyhow::Error) -> Option<Option<Duration>> {
    if let Some(refused) = error.downcast_ref::<Refused>() {
        let put_off = matches!(refused.status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 507);
        let running = refused.status.as_u16() == 409 && refused.retry_after.is_some();
        // An answer that names no time, or a long one, still gets a look now and then.
        return (put_off || running).then_some(refused.retry_after.map(|d| d.min(PAUSE_MAX)));
    }
    error.is::<reqwest::Error>().then_some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, retry_after: Option<u64>) -> anyhow::Error {
        anyhow::anyhow!(Refused {
            status: StatusCode::from_u16(status).unwrap(),
            detail: String::new(),
            request: String::new(),
            retry_after: retry_after.map(Duration::from_secs),
        })
    }

    #[tokio::test]
    async fn what_is_put_off_is_sent_again_and_what_is_refused_is_not() {
        let mut trying = Patience(Duration::from_secs(60)).begin();
        assert!(trying.after(refused(503, Some(0))).await.is_ok());
        assert!(trying.after(refused(500, None)).await.is_ok());
        assert!(trying.after(refused(409, Some(0))).await.is_ok(), "still running");
        assert!(trying.after(refused(409, None)).await.is_err(), "a conflict is final");
        assert!(trying.after(refused(422, None)).await.is_err());
    }

    #[tokio::test]
    async fn patience_ends() {
        let mut trying = Patience(Duration::from_millis(200)).begin();
        let mut attempts = 0;
        while trying.after(refused(503, None)).await.is_ok() {
            attempts += 1;
        }
        assert!((2..20).contains(&attempts), "{attempts} attempts");
    }
}
