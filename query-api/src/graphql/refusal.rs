//! Why an operation is refused before it runs, as GraphQL says it: a message and a code.

use async_graphql::ServerError;

use crate::error::code_extensions;

/// The code of what contradicts itself or the schema.
pub(super) const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";

/// Why an operation is refused before it runs.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It is no GraphQL.
    #[error("{0}")]
    Unreadable(String),
    /// It is nested deeper than anything sensible.
    #[error("{0}")]
    TooDeep(String),
    /// It asks for too much.
    #[error("{0}")]
    TooComplex(String),
    /// It contradicts itself or the schema.
    #[error("{0}")]
    Invalid(String),
}

impl Refusal {
    const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "GRAPHQL_PARSE_FAILED",
            Self::TooDeep(_) => "QUERY_TOO_DEEP",
            Self::TooComplex(_) => "QUERY_TOO_COMPLEX",
            Self::Invalid(_) => VALIDATION_FAILED,
        }
    }
}

impl From<Refusal> for ServerError {
    fn from(refusal: Refusal) -> Self {
        let mut error = Self::new(refusal.to_string(), None);
        error.extensions = Some(code_extensions(refusal.code()));
        error
    }
}
