//! What every read needs: the pool, the log, the checkpoints, the key of cursors, what a caller may
//! have of each, the configuration.

use std::sync::Arc;
use std::time::Duration;

use platform::event_log::Position;
use platform::follower::LogTail;
use platform::http::{PrincipalRate, WaitPlaces};
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

use crate::QueryApiConfig;
use crate::checkpoints::Checkpoints;
use crate::concurrency_limit::ConcurrencyLimit;
use crate::cursor::CursorKey;
use crate::error::QueryError;
use crate::fair_turns::{FairTurn, FairTurns};
use crate::paging::{Filter, Listed, Within, count_rows};
use crate::past_rows::FoldInspection;
use crate::read_model::inspections::SharedInspections;
use crate::session::Session;
use crate::shared_pages::SharedPages;

/// Statements at work at once that may go through many rows, and those of one principal: the pool has sixteen
/// connections unless it is told otherwise, and the others are for what is found by an index.
const BROAD_READS_MAX: usize = 6;
const BROAD_READS_OF_PRINCIPAL: usize = 2;
/// How long such a read waits for its turn.
const BROAD_TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// What every read needs.
pub(crate) struct QueryContext {
    pub(crate) pool: Pool,
    pub(crate) tail: LogTail,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) cursor_key: CursorKey,
    pub(crate) config: QueryApiConfig,
    /// Reads, by principal.
    pub(crate) rate: PrincipalRate,
    pub(crate) subscriptions: Arc<ConcurrencyLimit>,
    /// WebSocket connections whose token was believed.
    pub(crate) sockets: Arc<ConcurrencyLimit>,
    /// Of those who wait for a judgement.
    pub(crate) wait_places: WaitPlaces,
    /// Statements that may go through many rows.
    pub(crate) broad_reads: FairTurns,
    /// Pages that are read now.
    pub(crate) shared_pages: SharedPages,
    /// Inspections that are read now, as they change.
    pub(crate) shared_inspections: SharedInspections,
    /// Shows what was.
    pub(crate) fold_inspection: FoldInspection,
    pub(crate) shutdown: Shutdown,
}

/// The turns of statements that may go through many rows.
pub(crate) fn broad_reads() -> FairTurns {
    FairTurns::new("broad reads", BROAD_READS_MAX, BROAD_READS_OF_PRINCIPAL)
}

impl QueryContext {
    /// The turn of a statement of `session` that may go through many rows: hold it while it is at work.
    ///
    /// # Errors
    /// When too many are at work.
    pub(crate) async fn wait_for_broad_turn(
        &self,
        session: &Session,
    ) -> Result<FairTurn, QueryError> {
        self.broad_reads.wait_for_turn(session.principal(), BROAD_TURN_TIMEOUT).await
    }

    /// The same of a page, when it may have to go through many rows.
    ///
    /// # Errors
    /// When too many are at work.
    pub(crate) async fn wait_for_page_turn(
        &self,
        session: &Session,
        filter: &Within<'_, impl Filter>,
    ) -> Result<Option<FairTurn>, QueryError> {
        if !filter.is_combined() {
            return Ok(None);
        }
        self.wait_for_broad_turn(session).await.map(Some)
    }

    /// How many rows a list has; `None` when they are more than are counted. Hold no turn meanwhile: who waits
    /// for a second one while others do the same waits for nobody's end.
    ///
    /// # Errors
    /// When the caller has read too often, too many are at work, or the database does not answer.
    pub(crate) async fn count_list<R: Listed>(
        &self,
        session: &Session,
        filter: &Within<'_, impl Filter>,
    ) -> Result<Option<i32>, QueryError> {
        session.count_total(&self.rate, filter)?;
        let _turn = self.wait_for_broad_turn(session).await?;
        count_rows::<R>(&self.pool, filter).await
    }

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
