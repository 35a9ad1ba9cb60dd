//! Why there is no token, in the words and the shape of OAuth.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why there is no token (RFC 6749, section 5.2).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenError {
    /// `invalid_request`, `invalid_client`, `invalid_grant`, `invalid_scope`, `unauthorized_client` or
    /// `unsupported_grant_type`.
    #[schema(example = "invalid_grant")]
    error: &'static str,
    /// What to do about it.
    #[schema(example = "user name or password is wrong")]
    error_description: String,
}

impl TokenError {
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { error, error_description: description.into() }
    }
}

/// A refusal with its status.
pub(super) struct TokenRefusal {
    error: TokenError,
    status: StatusCode,
    /// Whether the client authenticated by header, and is told how to.
    challenges: bool,
}

impl TokenRefusal {
    /// The client is not who it says, by whichever way it said so.
    pub(super) fn of_client(description: &str, by_header: bool) -> Self {
        let error = TokenError::new("invalid_client", description);
        Self { error, status: StatusCode::UNAUTHORIZED, challenges: by_header }
    }
}

impl TokenRefusal {
    /// The error in a word that stays.
    pub(super) const fn code(&self) -> &'static str {
        self.error.error
    }
}

impl From<TokenError> for TokenRefusal {
    fn from(error: TokenError) -> Self {
        Self { error, status: StatusCode::BAD_REQUEST, challenges: false }
    }
}

impl IntoResponse for TokenRefusal {
    fn into_response(self) -> Response {
        let headers = [(header::CACHE_CONTROL, "no-store")];
        let mut response = (self.status, headers, Json(self.error)).into_response();
        if self.challenges {
            let challenge = HeaderValue::from_static("Basic realm=\"chipq\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
