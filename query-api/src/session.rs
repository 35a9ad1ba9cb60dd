//! Who is asking: a verified token, for HTTP from the header, for WebSockets also from the first
//! message.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use chrono::Utc;
use domain::Reach;
use platform::auth::{Actor, AuthError, Scope, TokenVerifier};
use platform::event_log::ActorRef;
use platform::http::{
    AttemptNotes, Authenticated, ClientAddress, PrincipalRate, Problem, RateExceeded,
    ShownRateLimit,
};

use crate::QueryApi;
use crate::error::QueryError;
use crate::paging::{Filter, Within};

/// As how many reads more a page counts of whose conditions an index serves only one.
const COMBINED_READS: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// As how many reads more counting the rows of a list counts: of as many as are counted at most, by an index.
const COUNT_READS: NonZeroU32 = NonZeroU32::MIN;

/// A caller whose token was believed, and can be asked about again.
#[derive(Clone)]
pub(crate) struct Session {
    actor: Actor,
    token: Arc<str>,
    verifier: Arc<TokenVerifier>,
    /// What the answer says about the caller's rate; nobody sees that of a WebSocket.
    rate: ShownRateLimit,
    client: ClientAddress,
    notes: AttemptNotes,
}

impl Session {
    /// Verifies a token, with or without `Bearer` in front.
    ///
    /// # Errors
    /// Why it is not believed.
    pub(crate) fn open(
        verifier: Arc<TokenVerifier>,
        token: &str,
        (client, notes): (ClientAddress, AttemptNotes),
    ) -> Result<Self, QueryError> {
        let token = bearer_token(token);
        let actor = verifier.verify(token, Utc::now()).map_err(|error| {
            if error.is_refusal() {
                notes.refuse(error.name());
            }
            QueryError::Unauthenticated(error)
        })?;
        notes.concern(&actor.subject);
        let rate = ShownRateLimit::default();
        Ok(Self { actor, token: token.into(), verifier, rate, client, notes })
    }

    /// The same caller as it is now, which may be limited otherwise than before.
    ///
    /// # Errors
    /// When the token is not believed any more.
    pub(crate) fn renewed(&self) -> Result<Self, QueryError> {
        let actor = self.verifier.verify(&self.token, Utc::now());
        Ok(Self { actor: actor.map_err(QueryError::Unauthenticated)?, ..self.clone() })
    }

    /// Where the caller may see, as it was when the token was verified.
    pub(crate) fn reach(&self) -> &Reach {
        &self.actor.reach
    }

    /// # Errors
    /// When the caller is limited to stations or parts: what is asked for is of the whole installation.
    pub(crate) fn require_everywhere(&self) -> Result<(), QueryError> {
        if self.reach().is_everywhere() { Ok(()) } else { Err(QueryError::OutOfReach) }
    }

    /// The subject of the token.
    pub(crate) fn principal(&self) -> &str {
        &self.actor.subject
    }

    /// Counts so many reads of the caller.
    ///
    /// # Errors
    /// When it has read too often.
    pub(crate) fn count_reads(
        &self,
        limit: &PrincipalRate,
        reads: NonZeroU32,
    ) -> Result<(), QueryError> {
        let counted = limit.count_requests(&self.actor, reads, &self.rate);
        counted.map_err(|RateExceeded { retry_after_s }| QueryError::TooOften { retry_after_s })
    }

    /// Counts a page more when the rows of it may have to be looked for.
    ///
    /// # Errors
    /// When the caller has read too often.
    pub(crate) fn count_page(
        &self,
        limit: &PrincipalRate,
        filter: &Within<'_, impl Filter>,
    ) -> Result<(), QueryError> {
        if filter.is_combined() { self.count_reads(limit, COMBINED_READS) } else { Ok(()) }
    }

    /// Counts what counting the rows of a list takes.
    ///
    /// # Errors
    /// When the caller has read too often.
    pub(crate) fn count_total(
        &self,
        limit: &PrincipalRate,
        filter: &Within<'_, impl Filter>,
    ) -> Result<(), QueryError> {
        self.count_reads(limit, COUNT_READS)?;
        self.count_page(limit, filter)
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
        if self.actor.allows(scope) {
            return Ok(());
        }
        self.notes.refuse(AuthError::MissingScope(scope).name());
        Err(QueryError::Forbidden(scope))
    }

    /// Has it recorded that the rules reject a decision of the caller about `resource`, under the rejection's name.
    pub(crate) fn note_rejection(&self, resource: &str, rejection: &str) {
        self.notes.reject(resource, rejection);
    }

    /// Who asks, as the event log names it.
    pub(crate) fn actor_ref(&self) -> ActorRef {
        self.actor.acting_from(self.client.address)
    }

    /// Whether the token allows `scope`.
    pub(crate) fn has_scope(&self, scope: Scope) -> bool {
        self.actor.allows(scope)
    }
}

/// Refuses with 401 and `WWW-Authenticate`, as [`Authenticated`] does; counts the request, and refuses
/// with 429 who has read too often.
impl FromRequestParts<QueryApi> for Session {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &QueryApi) -> Result<Self, Problem> {
        let Authenticated(actor) = Authenticated::from_request_parts(parts, api).await?;
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = header.map(bearer_token).ok_or(AuthError::MissingToken)?.into();
        let Ok(rate) = ShownRateLimit::from_request_parts(parts, api).await;
        let verifier = Arc::clone(api.token_verifier());
        let Ok(client) = ClientAddress::from_request_parts(parts, api).await;
        let Ok(notes) = AttemptNotes::from_request_parts(parts, api).await;
        let session = Self { actor, token, verifier, rate, client, notes };
        session.count_reads(&api.context().rate, NonZeroU32::MIN)?;
        Ok(session)
    }
}

/// The token of `Bearer <token>`, or the text itself.
fn bearer_token(text: &str) -> &str {
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text.trim(),
    }
}
