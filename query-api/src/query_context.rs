//! What every read needs: the pool, the log, the checkpoints, the key of cursors, what a caller may
//! have of each, the configuration.

use std::sync::Arc;

use platform::event_log::Position;
use platform::follower::LogTail;
use platform::http::{RateLimit, WaitPlaces};
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

use crate::QueryApiConfig;
use crate::checkpoints::Checkpoints;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::cursor::CursorKey;
use crate::error::QueryError;

/// What every read needs.
pub(crate) struct QueryContext {
    pub(crate) pool: Pool,
    pub(crate) tail: LogTail,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) cursor_key: CursorKey,
    pub(crate) config: QueryApiConfig,
    /// Reads, by principal.
    pub(crate) rate: RateLimit,
    pub(crate) subscriptions: Arc<ConcurrencyLimit>,
    /// WebSocket connections whose token was believed.
    pub(crate) sockets: Arc<ConcurrencyLimit>,
    /// Of those who wait for a judgement.
    pub(crate) wait_places: WaitPlaces,
    pub(crate) shutdown: Shutdown,
}

impl QueryContext {
    /// How far behind the log a read model at each of `positions` is, in seconds: the age of the
    /// oldest event that it has not applied. Asks the log once for the head and once per distinct
    /// position.
    ///
    /// # Errors
    /// When the log does not answer.
    pub(crate) async fn read_lags(
        &self,
        positions: &[Position],
    ) -> Result<(Position, Vec<f64>), QueryError> {
        let head = self.tail.log().head().await?;
        let mut known: Vec<(Position, f64)> = Vec::new();
        let mut lags = Vec::with_capacity(positions.len());
        for &position in positions {
            let lag = match known.iter().find(|(at, _)| *at == position) {
                Some((_, lag)) => *lag,
                None if position >= head => 0.0,
                None => self.age_of_next(position).await?,
            };
            known.push((position, lag));
            lags.push(lag);
        }
        Ok((head, lags))
    }

    async fn age_of_next(&self, position: Position) -> Result<f64, QueryError> {
        let page = self.tail.log().read_all(position, 1).await?;
        let age = page.events.first().map(|event| chrono::Utc::now() - event.recorded_at);
        Ok(age.map_or(0.0, |age| age.as_seconds_f64().max(0.0)))
    }
}
