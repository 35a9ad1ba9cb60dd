//! Why a read is refused or fails, and the one place per API that says so: a problem for REST, a
//! code in `extensions` for GraphQL.
//!
//! Invariant: `Display` is fit for a client; causes are logged here, once, and never sent.

use std::sync::Arc;

use async_graphql::{ErrorExtensionValues, ServerError};
use axum::http::StatusCode;
use domain::Rejection as _;
use platform::auth::{AuthError, Scope};
use platform::event_log::{EventLogError, LogPlace, Position};
use platform::http::{Problem, ProblemType};
use platform::postgres::may_pass;
use platform::projection_repair::RepairError;

/// Seconds after which a read that came too early is worth another try.
const NOT_READY_RETRY_S: u64 = 1;
/// Seconds after which a database that was away is worth another try.
const UNAVAILABLE_RETRY_S: u64 = 5;

/// PostgreSQL's code of a statement that took longer than it may.
const QUERY_CANCELED: &str = "57014";

/// Why a read is refused or fails.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum QueryError {
    /// An argument is wrong.
    #[error("{argument}: {must}")]
    Invalid { argument: &'static str, must: String },
    /// A cursor that was altered, made up, or comes from another query.
    #[error("the cursor is not one of this query with this filter; start again without it")]
    InvalidCursor,
    /// The token is missing or not believed.
    #[error(transparent)]
    Unauthenticated(AuthError),
    /// The token does not allow this.
    #[error("the token lacks the scope {0}")]
    Forbidden(Scope),
    /// What is of the whole installation is nobody's who is limited to a part of it.
    #[error("you are limited to stations or parts, and this is of the whole installation")]
    OutOfReach,
    /// There is nothing of that id.
    #[error("there is no {0}")]
    NotFound(String),
    /// The rules refuse what was decided.
    #[error("{message}")]
    Rejected { rejection: &'static str, message: String },
    /// The read model has not come as far as was asked for.
    #[error("the read model {projection} is at position {at}, not yet at {}; try again", wanted.position)]
    Behind { projection: &'static str, at: Position, wanted: LogPlace },
    /// The read model does not exist yet, or is of an older version than this software reads.
    #[error("a read model is not built yet; try again when /readyz says ready")]
    NotBuilt,
    /// Too many of something at once.
    #[error("too many {0} at once; try again")]
    TooMany(&'static str),
    /// The caller asked for more than its rate allows.
    #[error("too many requests; try again in {retry_after_s} s")]
    TooOften { retry_after_s: u64 },
    /// What was asked for takes going through too many rows.
    #[error("{0}")]
    TooBroad(String),
    /// The client took its items too slowly.
    #[error("the subscription fell behind and was ended")]
    SlowClient,
    /// The server is finishing, or closes the connection.
    #[error("the server ends this connection")]
    GoingAway,
    /// A feed ended, for whatever reason; this is where to go on.
    #[error("{reason}; go on with after: \"{resume}\"")]
    FeedEnded { reason: Box<QueryError>, resume: String },
    /// The database or the log does not answer.
    #[error("the database does not answer; try again")]
    Unavailable,
    /// The caller has been at a place of which the log knows nothing any more.
    #[error(
        "the log was restored, or another server took over: what came after position {after} is not what comes \
         after it now; read from there anew"
    )]
    Reissued { after: Position },
    /// A fault of ours.
    #[error("something failed on our side")]
    Internal,
}

impl QueryError {
    /// A wrong argument: which, and what it must be.
    pub(crate) fn invalid(argument: &'static str, must: impl Into<String>) -> Self {
        Self::Invalid { argument, must: must.into() }
    }

    /// What ended a feed, and the cursor to go on from.
    pub(crate) fn feed_ended(reason: Self, resume: String) -> Self {
        Self::FeedEnded { reason: Box::new(reason), resume }
    }

    /// Why a statement failed that may have to go through many rows: that it took too long says that it does.
    pub(crate) fn from_broad_read(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if code.as_deref() != Some(QUERY_CANCELED) {
            return error.into();
        }
        let message = "what these conditions hold for together takes too long to find: name a lot, a shorter \
                       time, or fewer conditions";
        Self::TooBroad(message.to_owned())
    }

    /// Whether trying again may help: nothing in the question is wrong.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable | Self::NotBuilt)
    }

    /// A fault of ours; `cause` goes to the log only.
    pub(crate) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "a read failed");
        Self::Internal
    }

    /// The stable name in GraphQL's `extensions.code`.
    pub(crate) fn graphql_code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "BAD_USER_INPUT",
            Self::InvalidCursor => "INVALID_CURSOR",
            Self::Unauthenticated(_) => "UNAUTHENTICATED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::OutOfReach => "OUT_OF_REACH",
            Self::NotFound(_) => "NOT_FOUND",
            Self::Rejected { .. } => "REJECTED",
            Self::Behind { .. } | Self::NotBuilt => "NOT_READY",
            Self::TooMany(_) | Self::TooOften { .. } => "TOO_MANY_REQUESTS",
            Self::TooBroad(_) => "QUERY_TOO_BROAD",
            Self::SlowClient => "SLOW_CLIENT",
            Self::GoingAway => "GOING_AWAY",
            Self::FeedEnded { reason, .. } => reason.graphql_code(),
            Self::Unavailable => "UNAVAILABLE",
            Self::Reissued { .. } => "POSITIONS_REISSUED",
            Self::Internal => "INTERNAL",
        }
    }

    fn graphql_extensions(&self) -> ErrorExtensionValues {
        let mut values = ErrorExtensionValues::default();
        values.set("code", self.graphql_code());
        match self {
            Self::Invalid { argument, .. } => values.set("argument", *argument),
            Self::Forbidden(scope) => values.set("scope", scope.as_str()),
            Self::Rejected { rejection, .. } => values.set("rejection", *rejection),
            Self::Behind { projection, at, wanted } => {
                values.set("projection", *projection);
                values.set("position", at.to_string());
                values.set("minPosition", wanted.to_string());
                values.set("retryAfterSeconds", NOT_READY_RETRY_S);
            }
            Self::TooOften { retry_after_s } => values.set("retryAfterSeconds", *retry_after_s),
            Self::FeedEnded { reason, resume } => {
                values = reason.graphql_extensions();
                values.set("cursor", resume.as_str());
            }
            Self::Reissued { after } => values.set("position", after.to_string()),
            Self::NotBuilt | Self::TooMany(_) => values.set("retryAfterSeconds", NOT_READY_RETRY_S),
            Self::Unavailable => values.set("retryAfterSeconds", UNAVAILABLE_RETRY_S),
            Self::InvalidCursor
            | Self::Unauthenticated(_)
            | Self::OutOfReach
            | Self::NotFound(_)
            | Self::TooBroad(_)
            | Self::SlowClient
            | Self::GoingAway
            | Self::Internal => {}
        }
        values
    }
}

/// For what is refused before any resolver runs.
impl From<QueryError> for ServerError {
    fn from(error: QueryError) -> Self {
        let mut refused = Self::new(error.to_string(), None);
        refused.extensions = Some(error.graphql_extensions());
        refused
    }
}

/// Gives a GraphQL error its `extensions.code`; one that has none of ours is the caller's input.
pub(crate) fn with_code(mut error: ServerError) -> ServerError {
    if error.extensions.as_ref().is_some_and(|values| values.get("code").is_some()) {
        return error;
    }
    let ours = error
        .source::<QueryError>()
        .or_else(|| error.source::<Arc<QueryError>>().map(AsRef::as_ref))
        .map(QueryError::graphql_extensions);
    error.extensions = Some(ours.unwrap_or_else(|| code_extensions("BAD_USER_INPUT")));
    error
}

/// Extensions that hold this code alone.
pub(crate) fn code_extensions(code: &str) -> ErrorExtensionValues {
    let mut values = ErrorExtensionValues::default();
    values.set("code", code);
    values
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        let detail = error.to_string();
        match error {
            QueryError::Invalid { argument, .. } => {
                Self::new(ProblemType::InvalidQuery, detail).with_extension("parameter", argument)
            }
            QueryError::InvalidCursor => Self::new(ProblemType::InvalidCursor, detail),
            QueryError::TooBroad(_) => Self::new(ProblemType::QueryTooBroad, detail),
            QueryError::Unauthenticated(error) => error.into(),
            QueryError::Forbidden(scope) => AuthError::MissingScope(scope).into(),
            QueryError::OutOfReach => Self::new(ProblemType::OutOfReach, detail),
            QueryError::NotFound(_) => Self::not_found(detail),
            QueryError::Rejected { .. } => {
                Self::new(ProblemType::Refused, detail).with_status(StatusCode::CONFLICT)
            }
            QueryError::Behind { .. } | QueryError::NotBuilt => {
                Self::unavailable(detail, NOT_READY_RETRY_S)
            }
            QueryError::TooOften { retry_after_s } => Self::too_many_requests(retry_after_s),
            QueryError::TooMany(_) | QueryError::SlowClient | QueryError::GoingAway => {
                Self::unavailable(detail, NOT_READY_RETRY_S)
            }
            QueryError::FeedEnded { reason, .. } => (*reason).into(),
            QueryError::Unavailable => Self::unavailable(detail, UNAVAILABLE_RETRY_S),
            QueryError::Reissued { .. } => Self::new(ProblemType::PositionsReissued, detail),
            QueryError::Internal => Self::internal(detail),
        }
    }
}

impl axum::response::IntoResponse for QueryError {
    fn into_response(self) -> axum::response::Response {
        Problem::from(self).into_response()
    }
}

impl From<domain::Invalid> for QueryError {
    fn from(invalid: domain::Invalid) -> Self {
        Self::invalid(invalid.field, invalid.must)
    }
}

/// Undefined tables and schemas (42P01, 3F000) mean that no projector has built them yet, undefined columns
/// (42703) that one of an older version has; what may pass by itself is told apart as the event log does.
impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        if matches!(code.as_deref(), Some("42P01" | "3F000" | "42703")) {
            return Self::NotBuilt;
        }
        if may_pass(&error) {
            tracing::warn!(%error, "the database is unavailable");
            Self::Unavailable
        } else {
            Self::internal(error)
        }
    }
}

impl From<RepairError> for QueryError {
    fn from(error: RepairError) -> Self {
        match error {
            RepairError::NoEvent(position) => Self::NotFound(format!("event at {position}")),
            RepairError::Refused(rejection) => {
                Self::Rejected { rejection: rejection.name(), message: rejection.to_string() }
            }
            RepairError::Contended => Self::TooMany("decisions"),
            RepairError::Log(error) => error.into(),
        }
    }
}

impl From<EventLogError> for QueryError {
    fn from(error: EventLogError) -> Self {
        match error {
            EventLogError::Unavailable(_) => {
                tracing::warn!(%error, "the event log is unavailable");
                Self::Unavailable
            }
            EventLogError::Reissued { after } => Self::Reissued { after },
            EventLogError::EndsBefore { .. } => Self::Reissued { after: Position::default() },
            EventLogError::Failed(_) => Self::internal(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use platform::test_support::fresh_database;
    use sqlx::Executor as _;

    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_too_broad_where_many_rows_may_be_gone_through() {
        let database = fresh_database().await;
        let slow = "SET statement_timeout = 1; SELECT pg_sleep(9)";
        let too_long = async || database.pool().execute(slow).await.unwrap_err();
        let told = QueryError::from_broad_read(too_long().await);
        assert!(matches!(told, QueryError::TooBroad(_)), "{told:?}");
        assert!(matches!(QueryError::from(too_long().await), QueryError::Unavailable));
    }
}
