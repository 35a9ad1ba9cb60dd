//! What time it is by the database: one clock for all processes, whatever their own machines say.
//!
//! Invariant: between two looks a process counts on by its monotonic clock, which nobody sets and which never
//! jumps; so a machine's wall clock decides nothing that is asked here.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

use super::Pool;

/// For so long it is counted on: another server may have taken over, whose clock says otherwise, and a monotonic clock
/// stands still while a machine is suspended.
const COUNTED_MAX: Duration = Duration::from_secs(1);

/// The database's clock, as this process knows it.
#[derive(Debug)]
pub(crate) struct DatabaseClock {
    pool: Pool,
    /// When the database said what last.
    said: Mutex<Option<(Instant, DateTime<Utc>)>>,
}

impl DatabaseClock {
    pub(crate) const fn new(pool: Pool) -> Self {
        Self { pool, said: Mutex::new(None) }
    }

    /// The database has just said what time it is, in answer to another question.
    pub(crate) fn note(&self, time: DateTime<Utc>) {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), time));
    }

    /// The present. The database is asked only when it has not said so for a second.
    ///
    /// # Errors
    /// When it does not answer.
    pub(crate) async fn now(&self) -> Result<DateTime<Utc>, sqlx::Error> {
        if let Some(time) = self.count_on() {
            return Ok(time);
        }
        let time = sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.pool).await?;
        self.note(time);
        Ok(time)
    }

    fn count_on(&self) -> Option<DateTime<Utc>> {
        let (at, time) = (*self.said.lock().unwrap_or_else(PoisonError::into_inner))?;
        let since = Some(at.elapsed()).filter(|since| *since <= COUNTED_MAX)?;
        time.checked_add_signed(TimeDelta::from_std(since).ok()?)
    }
}
