//! Why there is no token, in the words and the shape of OAuth.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::PrincipalKind;
use platform::access::{AccessError, LockedOut, SessionError, SignInError};
use platform::http::{Problem, ProblemType};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problems;

/// Seconds after which signing in is worth another try where too many do.
const RETRY_AFTER_S: u64 = 1;

/// Why there is no token (RFC 6749, section 5.2).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenError {
    /// `invalid_request`, `invalid_client`, `invalid_grant`, `invalid_scope`, `unauthorized_client`,
    /// `unsupported_grant_type` or, where one is revoked, `unsupported_token_type`.
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

/// Why there is no token.
pub(super) enum NotGranted {
    /// In the words of OAuth.
    Refused(TokenRefusal),
    /// After too many wrong passwords or secrets.
    LockedOut(LockedOut),
    /// The platform's own trouble.
    Problem(Problem),
}

impl From<TokenError> for NotGranted {
    fn from(error: TokenError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Problem> for NotGranted {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for NotGranted {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(refusal) => refusal.into_response(),
            Self::LockedOut(locked_out) => {
                let problem = Problem::new(ProblemType::TooManyRequests, locked_out.to_string());
                problem.with_retry_after(locked_out.retry_after_s()).into_response()
            }
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

/// Why somebody of this kind is not signed in.
pub(super) fn from_sign_in_error(
    error: SignInError,
    kind: PrincipalKind,
    by_header: bool,
) -> NotGranted {
    match (error, kind) {
        (SignInError::Refused, PrincipalKind::Account) => {
            TokenError::new("invalid_grant", "user name or password is wrong").into()
        }
        (SignInError::Refused, PrincipalKind::Client) => {
            let wrong =
                "client_id, client_secret or client_assertion is wrong, or the client is disabled";
            NotGranted::Refused(TokenRefusal::of_client(wrong, by_header))
        }
        (SignInError::Assertion(flaw), _) => {
            NotGranted::Refused(TokenRefusal::of_client(&flaw.to_string(), by_header))
        }
        (SignInError::Busy(_), _) => Problem::too_many_requests(RETRY_AFTER_S).into(),
        (SignInError::Unknown(error), _) => {
            Problem::unavailable(error.to_string(), RETRY_AFTER_S).into()
        }
        (SignInError::Storage(error), _) => problems::from_log_error(error).into(),
    }
}

/// Why a session does not begin, go on or end.
pub(super) fn from_session_error(error: SessionError) -> NotGranted {
    let detail = error.to_string();
    match error {
        SessionError::Refused { .. } => TokenError::new("invalid_grant", detail).into(),
        SessionError::ScopeNotGranted => TokenError::new("invalid_scope", detail).into(),
        SessionError::Unknown(_) | SessionError::Unrecorded(AccessError::Contended) => {
            Problem::unavailable(detail, RETRY_AFTER_S).into()
        }
        SessionError::Storage(error) | SessionError::Unrecorded(AccessError::Log(error)) => {
            problems::from_log_error(error).into()
        }
        SessionError::Random(_) | SessionError::Unrecorded(_) => Problem::internal(detail).into(),
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
