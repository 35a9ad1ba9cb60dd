//! What every list of the REST reads does: check the page, wait for the read model, read the rows.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use domain::ProjectionName;
use platform::event_log::LogPlace;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::respond::with_place;
use crate::QueryApi;
use crate::error::QueryError;
use crate::paging::{
    Filter, Listed, PAGE_MAX, PageArguments, Slice, Within, parse_page, read_page,
};
use crate::query_context::QueryContext;
use crate::session::Session;
use crate::shared_pages::WrittenPage;

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
}

/// A page as it is sent.
pub(super) trait PageBody: Serialize + Sized {
    /// What is listed.
    type Row: Listed;

    /// # Errors
    /// When a row holds what cannot be sent.
    fn new(page: ListPage<Self::Row>) -> Result<Self, QueryError>;
}

/// An answer to who asked for a page of a list.
pub(super) struct ListAnswer {
    page: WrittenPage,
    /// The page reflects the log at least up to here.
    place: LogPlace,
}

/// How many rows a list has; null when they are more than 10,000.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Option<i32>)]
pub(super) struct TotalCount(Option<i32>);

impl ListAnswer {
    /// Whether the page has no rows.
    pub(super) const fn is_empty(&self) -> bool {
        self.page.is_empty
    }
}

impl IntoResponse for ListAnswer {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        with_place(self.place, ([(CONTENT_TYPE, json)], self.page.json).into_response())
    }
}

/// Reads a page of a list, as far as it is within the caller's reach, once `projection` has reached the position asked for. The arguments are
/// checked before any SQL runs.
///
/// # Errors
/// When the page or the cursor will not do, the read model does not come up in time, or the database
/// does not answer.
pub(super) async fn answer_list<B: PageBody + 'static>(
    api: &QueryApi,
    session: &Session,
    projection: ProjectionName,
    filter: impl Filter + Clone + Send + 'static,
    arguments: ListArguments,
) -> Result<ListAnswer, QueryError> {
    let ListArguments { limit, cursor, count, min_position } = arguments;
    let context = api.context();
    let page = PageArguments { first: limit, after: cursor, ..PageArguments::default() };
    let within = Within::list::<B::Row>(&filter, session.reach());
    let page = parse_page::<B::Row>(page, &within, &context.cursor_key)?;
    session.count_page(&context.rate, &within)?;
    let place = context.checkpoints.reached(projection, min_position).await?;
    // What counts against whoever asks is read for nobody else.
    let page = if within.is_combined() || count == Some(true) {
        let turn = context.wait_for_page_turn(session, &within).await?;
        let slice = read_page::<B::Row>(&context.pool, page, &within).await?;
        drop(turn);
        let total_count = match count {
            Some(true) => Some(TotalCount(context.count_list::<B::Row>(session, &within).await?)),
            Some(false) | None => None,
        };
        write_page::<B>(context, slice, &within, total_count)?
    } else {
        let key = page.name::<B::Row>(&within)?;
        let (api, reach) = (api.clone(), session.reach().clone());
        let read = async move {
            let (context, within) = (api.context(), Within::list::<B::Row>(&filter, &reach));
            let slice = read_page::<B::Row>(&context.pool, page, &within).await?;
            write_page::<B>(context, slice, &within, None)
        };
        let read = context.shared_pages.read(key, read).await;
        let read = read.unwrap_or_else(|| Err(QueryError::internal("a page was not read")));
        // Why stands in the log once, for the request that began the read.
        read.inspect_err(|error| tracing::warn!(%error, "a page that several may share failed"))?
    };
    Ok(ListAnswer { page, place })
}

fn write_page<B: PageBody>(
    context: &QueryContext,
    slice: Slice<B::Row>,
    within: &Within<'_, impl Filter>,
    total_count: Option<TotalCount>,
) -> Result<WrittenPage, QueryError> {
    let next_cursor = slice.next_cursor(within, &context.cursor_key);
    let is_empty = slice.rows.is_empty();
    let body = B::new(ListPage { rows: slice.rows, next_cursor, total_count })?;
    let json = serde_json::to_vec(&body).map_err(QueryError::internal)?;
    Ok(WrittenPage { json: json.into(), is_empty })
}
