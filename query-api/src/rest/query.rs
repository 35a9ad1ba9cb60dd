//! Strict query strings: unknown, repeated and malformed parameters are refused, with what they must be.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use platform::http::{Problem, ProblemType};
use serde::Deserialize as _;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
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
            Problem::new(ProblemType::InvalidQuery, detail.unwrap_or(&text))
        })
    }
}

/// A time (RFC 3339), for serde's `deserialize_with`. In a query string a `+` that is not encoded is a space.
pub(super) fn read_time<'de, D: Deserializer<'de>>(
    parameter: D,
) -> Result<Option<DateTime<Utc>>, D::Error> {
    let text = String::deserialize(parameter)?;
    let time = DateTime::parse_from_rfc3339(&text).map_err(|_| {
        D::Error::custom(
            "must be a time with its offset from UTC, such as 2026-01-31T12:00:00Z or \
             2026-01-31T12:00:00%2B01:00",
        )
    })?;
    Ok(Some(time.to_utc()))
}

/// A confidence, for serde's `deserialize_with`; whether it is one is said by who filters by it.
pub(super) fn read_confidence<'de, D: Deserializer<'de>>(
    parameter: D,
) -> Result<Option<f64>, D::Error> {
    read_parameter(parameter, "must be a number from 0 to 1")
}

fn read_parameter<'de, D: Deserializer<'de>, T: FromStr>(
    parameter: D,
    must: &str,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(parameter)?;
    text.parse().map(Some).map_err(|_| D::Error::custom(must))
}

/// The id in a path. What is no id names nothing.
pub(super) fn parse_id(what: &str, text: &str) -> Result<Uuid, QueryError> {
    Uuid::parse_str(text).map_err(|_| QueryError::NotFound(what.to_owned()))
}
