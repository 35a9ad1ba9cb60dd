//! Who is asking, from the `Authorization` header, and what they may do.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::Utc;

use super::Problem;
use crate::auth::{Actor, AuthError, Scope, TokenVerifier};

/// The verified caller. Works with any state from which an `Arc<TokenVerifier>` can be taken.
///
/// Refuses with 401 and `WWW-Authenticate` (RFC 6750).
#[derive(Debug, Clone)]
pub struct Authenticated(pub Actor);

impl<S> FromRequestParts<S> for Authenticated
where
    Arc<TokenVerifier>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).ok_or(AuthError::MissingToken)?;
        let token = header.to_str().ok().and_then(bearer_token).ok_or(AuthError::NotBearer)?;
        let verifier = Arc::<TokenVerifier>::from_ref(state);
        Ok(Self(verifier.verify(token, Utc::now())?))
    }
}

/// The token of `Bearer <token>`; the scheme's case does not matter (RFC 9110).
fn bearer_token(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

impl Actor {
    /// # Errors
    /// 403 that names `scope`, when the actor lacks it.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.allows(scope) { Ok(()) } else { Err(AuthError::MissingScope(scope).into()) }
    }
}
