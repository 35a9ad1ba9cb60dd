//! What stops a whole read model: an event of a name or version that this software does not know. Nothing is
//! skipped without somebody's decision, so the projection stands still before it.
//!
//! Invariants: where it stands and why is in its checkpoint's row, for whoever looks, until it moves; while it
//! waits it owns nothing, so that software that knows the event may take over. The same code would fail
//! in the same way, so it tries again when that may help: after a decision, at once.

use std::fmt;
use std::time::Duration;

use domain::GenerationStatus;
use platform::event_log::Position;
use platform::follower::{FollowError, LogTail};
use platform::postgres::{DatabaseConnection, Pool};
use serde_json::json;
use tokio::time::Instant;

use crate::generation::Generation;
use crate::poison::Poison;
use crate::projection::Projection;
use crate::repair;

/// How often to look whether another process has got past the event.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// After so long it is tried again without a reason, and said again that it stands still.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(600);
/// The most events that are looked at for a decision at a time.
const PAGE_EVENTS: usize = 500;

/// A generation that stands still, and the event before which it does.
pub(crate) struct Blockade {
    generation: i32,
    event: Poison,
}

impl Blockade {
    /// Says in the checkpoint's row that the generation stands still, if it is still ours.
    pub(crate) async fn record(
        connection: &mut DatabaseConnection,
        generation: &Generation,
        event: Poison,
    ) -> Result<Self, sqlx::Error> {
        let blocked_by = json!({
            "position": event.position.0,
            "aggregate_type": event.stream.aggregate_type,
            "aggregate_id": event.stream.aggregate_id,
            "event_type": event.event_type,
            "error": event.reason,
        });
        // Whoever stands still before the same event as before does so since then.
        sqlx::query(
            "UPDATE public.projection_checkpoints
             SET blocked_by = jsonb_build_object('since', clock_timestamp())
                 || CASE WHEN blocked_by -> 'position' = $4 -> 'position'
                    THEN blocked_by ELSE '{}' END || $4
             WHERE projection = $1 AND generation = $2 AND owner_epoch = $3",
        )
        .bind(generation.projection.name())
        .bind(generation.number)
        .bind(generation.epoch)
        .bind(blocked_by)
        .execute(connection)
        .await?;
        Ok(Self { generation: generation.number, event })
    }

    /// Waits until this code may get past the event, or another process has. Owns nothing meanwhile.
    pub(crate) async fn wait_until_worth_trying(
        &self,
        projection: &dyn Projection,
        pool: &Pool,
        tail: &LogTail,
    ) -> Result<(), FollowError> {
        // What is decided after this place is seen in the log, and what was before it in what is decided now.
        let mut follow = tail.follow(tail.log().head().await?);
        let discarded = repair::load_discarded(&**tail.log(), projection).await?;
        if discarded.get(&self.event.stream) == Some(&self.event.position) {
            return Ok(());
        }
        let until = Instant::now() + TRY_AGAIN_AFTER;
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        while Instant::now() < until {
            tokio::select! {
                page = follow.next_page(PAGE_EVENTS) => {
                    let events = page?.events;
                    if events.iter().any(|event| repair::is_decision(projection, event)) {
                        return Ok(());
                    }
                }
                _ = look.tick() => {
                    if !self.still_stands(projection, pool).await? {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the generation serves and has not come to the event.
    async fn still_stands(
        &self,
        projection: &dyn Projection,
        pool: &Pool,
    ) -> Result<bool, sqlx::Error> {
        let serving: Option<(i32, i64)> = sqlx::query_as(
            "SELECT generation, position FROM public.projection_checkpoints
             WHERE projection = $1 AND status = $2",
        )
        .bind(projection.name())
        .bind(GenerationStatus::Serving.as_str())
        .fetch_optional(pool)
        .await?;
        Ok(serving.is_some_and(|(generation, position)| {
            generation == self.generation && Position(position) < self.event.position
        }))
    }
}

/// For the log and for readiness: what is in the way, and the two ways out.
impl fmt::Display for Blockade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Poison { position, stream, reason, .. } = &self.event;
        write!(
            f,
            "stands still before {stream}: {reason}; or let every read model go on without it: \
             chipq projections discard all {position} --reason \"…\""
        )
    }
}
