//! What every list of the REST reads does: check the page, wait for the read model, read the rows.

use domain::ProjectionName;
use platform::event_log::LogPlace;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::QueryError;
use crate::paging::{Filter, Listed, PAGE_MAX, PageArguments, Within, parse_page, read_page};
use crate::query_context::QueryContext;
use crate::session::Session;

/// How many rows a page has: 1 to `MAX`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct PageSize<const MAX: usize = PAGE_MAX>(u8);

impl<const MAX: usize> TryFrom<String> for PageSize<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let size: Option<u8> = text.parse().ok();
        let size = size.filter(|size| (1..=MAX).contains(&usize::from(*size)));
        size.map(Self).ok_or_else(|| format!("must be 1 to {MAX}"))
    }
}

impl<const MAX: usize> From<PageSize<MAX>> for i32 {
    fn from(PageSize(size): PageSize<MAX>) -> Self {
        size.into()
    }
}

/// The parameters that every list takes, as they come.
pub(super) struct ListArguments {
    pub(super) limit: Option<i32>,
    pub(super) cursor: Option<String>,
    pub(super) count: Option<bool>,
    pub(super) min_position: Option<LogPlace>,
}

/// A page's rows, and what it says about itself.
pub(super) struct ListPage<R> {
    pub(super) rows: Vec<R>,
    /// Where the next page begins; absent on the last.
    pub(super) next_cursor: Option<String>,
    /// How many rows the list has, where that is asked for.
    pub(super) total_count: Option<TotalCount>,
    /// The page reflects the log at least up to here.
    pub(super) place: LogPlace,
}

/// How many rows a list has; null when they are more than 10,000.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Option<i32>)]
pub(super) struct TotalCount(Option<i32>);

/// Reads a page of a list, as far as it is within the caller's reach, once `projection` has reached the position asked for. The arguments are
/// checked before any SQL runs.
///
/// # Errors
/// When the page or the cursor will not do, the read model does not come up in time, or the database
/// does not answer.
pub(super) async fn read_list<R: Listed>(
    context: &QueryContext,
    session: &Session,
    projection: ProjectionName,
    filter: &impl Filter,
    arguments: ListArguments,
) -> Result<ListPage<R>, QueryError> {
    let ListArguments { limit, cursor, count, min_position } = arguments;
    let page = PageArguments { first: limit, after: cursor, ..PageArguments::default() };
    let filter = &Within::list::<R>(filter, session.reach());
    let page = parse_page::<R>(page, filter, &context.cursor_key)?;
    session.count_page(&context.rate, filter)?;
    let place = context.checkpoints.reached(projection, min_position).await?;
    let turn = context.wait_for_page_turn(session, filter).await?;
    let slice = read_page::<R>(&context.pool, page, filter).await?;
    drop(turn);
    let next_cursor = slice.next_cursor(filter, &context.cursor_key);
    let total_count = match count {
        Some(true) => Some(TotalCount(context.count_list::<R>(session, filter).await?)),
        Some(false) | None => None,
    };
    Ok(ListPage { rows: slice.rows, next_cursor, total_count, place })
}
