//! Strict query strings: unknown, repeated and malformed parameters are refused.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use platform::http::Problem;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::QueryError;
use crate::paging::{PAGE_MAX, PageArguments};

/// A query string parsed into `T`; give `T` `#[serde(deny_unknown_fields)]`. Refuses with 400.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            let text = rejection.body_text();
            let detail = text.strip_prefix("Failed to deserialize query string: ");
            Problem::bad_request("invalid-query", detail.unwrap_or(&text))
        })
    }
}

/// The first page, or the one behind `cursor`.
pub(super) fn forward(
    limit: Option<u32>,
    cursor: Option<String>,
) -> Result<PageArguments, QueryError> {
    let wrong = || QueryError::invalid("limit", format!("must be 1 to {PAGE_MAX}"));
    let first = limit.map(i32::try_from).transpose().map_err(|_| wrong())?;
    if first.is_some_and(|first| first < 1 || first as usize > PAGE_MAX) {
        return Err(wrong());
    }
    Ok(PageArguments { first, after: cursor, ..PageArguments::default() })
}

/// The id in a path. What is no id names nothing.
pub(super) fn id(what: &str, text: &str) -> Result<Uuid, QueryError> {
    Uuid::parse_str(text).map_err(|_| QueryError::NotFound(what.to_owned()))
}
