//! How far the serving read models have come: what a read may claim, and waiting for more.
//!
//! Invariant: a position is given out only after the checkpoint was seen there, so rows read after
//! it reflect at least that position. However many wait, the table is read once per [`REFRESH`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::ProjectionName;
use platform::event_log::Position;
use sqlx::PgPool;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::QueryError;

/// How old a checkpoint may be before it is read again.
const REFRESH: Duration = Duration::from_millis(15);
/// How long a read waits for the position it asked for.
pub(crate) const WAIT_MAX: Duration = Duration::from_secs(2);

type Positions = Arc<BTreeMap<String, Position>>;

/// The serving checkpoints, read at most once per [`REFRESH`].
pub(crate) struct Checkpoints {
    pool: PgPool,
    seen: Mutex<Option<(Instant, Positions)>>,
}

impl Checkpoints {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self { pool, seen: Mutex::new(None) }
    }

    /// The position that `projection` has reached, once that is at least `wanted`.
    ///
    /// # Errors
    /// [`QueryError::Behind`] when it does not come within [`WAIT_MAX`]; [`QueryError::NotBuilt`]
    /// when nothing serves.
    pub(crate) async fn reached(
        &self,
        projection: ProjectionName,
        wanted: Option<Position>,
    ) -> Result<Position, QueryError> {
        let started = Instant::now();
        loop {
            let at = self.position(projection).await?;
            let wanted = wanted.unwrap_or_default();
            if at >= wanted {
                return Ok(at);
            }
            if started.elapsed() >= WAIT_MAX {
                return Err(QueryError::Behind { projection: projection.as_str(), at, wanted });
            }
            tokio::time::sleep(REFRESH).await;
        }
    }

    /// The position that `projection` has reached, at most [`REFRESH`] ago.
    pub(crate) async fn position(
        &self,
        projection: ProjectionName,
    ) -> Result<Position, QueryError> {
        let positions = self.positions().await?;
        positions.get(projection.as_str()).copied().ok_or(QueryError::NotBuilt)
    }

    /// Whoever comes while another reads the table waits for that and shares it.
    async fn positions(&self) -> Result<Positions, QueryError> {
        let mut seen = self.seen.lock().await;
        if let Some((at, positions)) = &*seen
            && at.elapsed() < REFRESH
        {
            return Ok(Arc::clone(positions));
        }
        let asked = Instant::now();
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "SELECT projection, position FROM projection_checkpoints WHERE status = 'serving'",
        )
        .fetch_all(&self.pool)
        .await?;
        let positions: BTreeMap<_, _> =
            rows.into_iter().map(|(name, position)| (name, Position(position))).collect();
        let positions = Arc::new(positions);
        *seen = Some((asked, Arc::clone(&positions)));
        Ok(positions)
    }
}
