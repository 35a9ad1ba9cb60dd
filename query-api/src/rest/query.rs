//! Strict query strings: unknown, repeated and malformed parameters are refused.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use platform::http::Problem;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::QueryError;

/// A query string parsed into `T`; give `T` `#[serde(deny_unknown_fields)]`. Refuses with 400.
pub(super) struct QueryParams<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for QueryParams<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Query::try_from_uri(&parts.uri).map(|Query(params)| Self(params)).map_err(|rejection| {
            let text = rejection.body_text();
            let detail = text.strip_prefix("Failed to deserialize query string: ");
            Problem::bad_request("invalid-query", detail.unwrap_or(&text))
        })
    }
}

/// The id in a path. What is no id names nothing.
pub(super) fn parse_id(what: &str, text: &str) -> Result<Uuid, QueryError> {
    Uuid::parse_str(text).map_err(|_| QueryError::NotFound(what.to_owned()))
}
