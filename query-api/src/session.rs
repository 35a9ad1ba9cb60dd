//! Who is asking: a verified token, for HTTP from the header, for WebSockets also from the first
//! message.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::Utc;
use platform::auth::{Actor, AuthError, Scope, TokenVerifier};
use platform::event_log::ActorRef;
use platform::http::{Authenticated, Problem};

use crate::QueryApi;
use crate::error::QueryError;

/// A caller whose token was believed, and can be asked about again.
#[derive(Clone)]
pub(crate) struct Session {
    actor: Actor,
    token: Arc<str>,
    verifier: Arc<TokenVerifier>,
}

impl Session {
    /// Verifies a token, with or without `Bearer` in front.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(crate) fn open(verifier: Arc<TokenVerifier>, token: &str) -> Result<Self, QueryError> {
        let token = bearer_token(token);
        let actor = verifier.verify(token, Utc::now()).map_err(QueryError::Unauthenticated)?;
        Ok(Self { actor, token: token.into(), verifier })
    }

    /// # Errors
    /// When the token has expired, or its key is gone.
    pub(crate) fn check_token(&self) -> Result<(), QueryError> {
        let verified = self.verifier.verify(&self.token, Utc::now());
        verified.map(drop).map_err(QueryError::Unauthenticated)
    }

    /// # Errors
    /// When the token does not allow `scope`.
    pub(crate) fn require_scope(&self, scope: Scope) -> Result<(), QueryError> {
        if self.actor.allows(scope) { Ok(()) } else { Err(QueryError::Forbidden(scope)) }
    }

    /// Who asks, as the event log names it.
    pub(crate) fn actor_ref(&self) -> ActorRef {
        let Actor { subject, roles, .. } = &self.actor;
        ActorRef { subject: subject.clone(), roles: roles.clone() }
    }

    /// Whether the token allows `scope`.
    pub(crate) fn has_scope(&self, scope: Scope) -> bool {
        self.actor.allows(scope)
    }
}

/// Refuses with 401 and `WWW-Authenticate`, as [`Authenticated`] does.
impl FromRequestParts<QueryApi> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &QueryApi) -> Result<Self, Problem> {
        let Authenticated(actor) = Authenticated::from_request_parts(parts, api).await?;
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.map(bearer_token).ok_or(AuthError::MissingToken)?.into();
        Ok(Self { actor, token, verifier: Arc::clone(api.token_verifier()) })
    }
}

/// The token of `Bearer <token>`, or the text itself.
fn bearer_token(text: &str) -> &str {
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text.trim(),
    }
}
