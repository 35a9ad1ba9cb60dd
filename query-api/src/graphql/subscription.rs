//! The subscription: what happens to inspections.

use async_graphql::{Context, ID, Result, SimpleObject, Subscription as Subscribes};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt as _};
use platform::auth::Scope;

use super::feed::{Change, Feed, Start};
use super::{Allowed, current_session, query_context};
use crate::error::QueryError;
use crate::read_model::LogPosition;
use crate::read_model::inspections::{InspectionFilter, InspectionObject};

/// Something happened to an inspection.
#[derive(Debug, SimpleObject)]
pub(super) struct InspectionChange {
    /// The event's place in the log: every item has a greater one than the item before.
    position: LogPosition,
    /// Give it as `after` to go on behind this item.
    cursor: String,
    /// The event's stored name.
    event_type: String,
    /// When the command was accepted.
    occurred_at: DateTime<Utc>,
    /// The inspection's id.
    inspection_id: ID,
    /// The inspection as it stands now, which may be later than the event.
    inspection: Option<InspectionObject>,
}

impl From<Change> for InspectionChange {
    fn from(change: Change) -> Self {
        Self {
            position: change.position,
            cursor: change.cursor,
            event_type: change.event_type,
            occurred_at: change.occurred_at,
            inspection_id: change.inspection_id.into(),
            inspection: change.inspection,
        }
    }
}

/// Over `GET /graphql/ws` (graphql-transport-ws), or `POST /graphql` with `Accept:
/// text/event-stream`.
pub(crate) struct Subscription;

#[Subscribes]
impl Subscription {
    /// What happens to inspections: first what happened after `from` (a position) or `after` (the
    /// cursor of an item), then what happens, in the log's order. With neither, from now on. An
    /// error ends it; SLOW_CLIENT and GOING_AWAY carry the cursor to go on from.
    #[graphql(guard = "Allowed(Scope::InspectionsRead)")]
    async fn inspection_changed(
        &self,
        ctx: &Context<'_>,
        from: Option<LogPosition>,
        after: Option<String>,
        filter: Option<InspectionFilter>,
    ) -> Result<impl Stream<Item = Result<InspectionChange>>> {
        let filter = filter.unwrap_or_default();
        filter.check_arguments()?;
        let start = match (from, after) {
            (Some(_), Some(_)) => {
                return Err(QueryError::invalid("after", "must stand alone, without from").into());
            }
            (Some(from), None) => Start::After(from.into()),
            (None, Some(cursor)) => Start::Resume(cursor),
            (None, None) => Start::Now,
        };
        let feed =
            Feed::open(query_context(ctx)?.clone(), current_session(ctx)?.clone(), filter, start)
                .await?;
        Ok(feed.into_stream().map(|item| Ok(item?.into())))
    }
}
