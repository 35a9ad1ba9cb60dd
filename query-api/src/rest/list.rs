//! What every list of the REST reads does: check the page, wait for the read model, read the rows.

use domain::ProjectionName;
use platform::event_log::LogPlace;

use crate::error::QueryError;
use crate::paging::{Filter, Listed, PAGE_MAX, PageArguments, parse_page, read_page};
use crate::query_context::QueryContext;
use crate::session::Session;

/// The parameters that every list takes, as they come.
pub(super) struct ListArguments {
    pub(super) limit: Option<u32>,
    pub(super) cursor: Option<String>,
    pub(super) min_position: Option<LogPlace>,
}

/// A page's rows, and what it says about itself.
pub(super) struct ListPage<R> {
    pub(super) rows: Vec<R>,
    /// Where the next page begins; absent on the last.
    pub(super) next_cursor: Option<String>,
    /// The page reflects the log at least up to here.
    pub(super) place: LogPlace,
}

/// Reads a page of a list once `projection` has reached the position asked for. The arguments are
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
    let ListArguments { limit, cursor, min_position } = arguments;
    let page = parse_page::<R>(forward_page(limit, cursor)?, filter, &context.cursor_key)?;
    session.count_page(&context.rate, filter)?;
    let place = context.checkpoints.reached(projection, min_position).await?;
    let _turn = context.wait_for_page_turn(session, filter).await?;
    let slice = read_page::<R>(&context.pool, page, filter).await?;
    let next_cursor = slice.next_cursor(filter, &context.cursor_key);
    Ok(ListPage { rows: slice.rows, next_cursor, place })
}

/// The first page, or the one behind `cursor`.
fn forward_page(limit: Option<u32>, cursor: Option<String>) -> Result<PageArguments, QueryError> {
    let wrong = || QueryError::invalid("limit", format!("must be 1 to {PAGE_MAX}"));
    let first = limit.map(i32::try_from).transpose().map_err(|_| wrong())?;
    if first.is_some_and(|first| first < 1 || first as usize > PAGE_MAX) {
        return Err(wrong());
    }
    Ok(PageArguments { first, after: cursor, ..PageArguments::default() })
}
