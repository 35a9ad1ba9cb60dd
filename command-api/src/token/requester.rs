//! Who asks for a token, or about one, before anything is proved: from where, how often, and with how many wrong
//! passwords before. How that ends is noted.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::response::Response;
use domain::{PrincipalKind, PrincipalName};
use platform::access::SignInError;
use platform::auth::Actor;
use platform::http::{AttemptNotes, ClientAddress, Problem, RequestCaller, ShownRateLimit};
use secrecy::SecretString;

use super::refusal::{NotGranted, TokenError, from_sign_in_error};
use crate::CommandApi;

/// Who asks. As an extractor it never fails.
pub(super) struct Requester {
    client: ClientAddress,
    notes: AttemptNotes,
    caller: RequestCaller,
    shown: ShownRateLimit,
}

impl FromRequestParts<CommandApi> for Requester {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &CommandApi) -> Result<Self, Infallible> {
        Ok(Self {
            client: ClientAddress::from_request_parts(parts, api).await?,
            notes: AttemptNotes::from_request_parts(parts, api).await?,
            caller: RequestCaller::from_request_parts(parts, api).await?,
            shown: ShownRateLimit::from_request_parts(parts, api).await?,
        })
    }
}

impl Requester {
    /// Counts the request for the address that it comes from.
    ///
    /// # Errors
    /// When too many come from there.
    pub(super) fn count_request(&self, api: &CommandApi) -> Result<(), NotGranted> {
        let counted = api.token_rate().count_request(&self.client.network(), &self.shown);
        counted.map_err(|error| Problem::from(error).into())
    }

    /// Counts the request for who has proved to be somebody already.
    ///
    /// # Errors
    /// When that one has asked too often.
    pub(super) fn count_command(&self, api: &CommandApi, actor: &Actor) -> Result<(), NotGranted> {
        let one = std::num::NonZeroU32::MIN;
        let counted = api.command_rate().count_requests(actor, one, &self.shown);
        counted.map_err(|error| Problem::from(error).into())
    }

    /// It has proved to be this one.
    pub(super) fn identify(&self, subject: &str) {
        self.caller.identify(subject, None);
    }

    /// It is given a token, by this kind of proof.
    pub(super) fn note_grant(&self, by: (&str, &str), token_id: &str, scopes: Vec<String>) {
        self.notes.grant(by, token_id, scopes);
    }

    /// The answer, with a note of what was refused.
    pub(super) fn conclude(
        &self,
        outcome: Result<Response, NotGranted>,
    ) -> Result<Response, NotGranted> {
        outcome.inspect_err(|error| match error {
            NotGranted::Refused(refusal) => self.notes.refuse(refusal.code()),
            NotGranted::LockedOut(_) => self.notes.refuse("locked-out"),
            // The problem says so itself.
            NotGranted::Problem(_) => {}
        })
    }

    /// Signs in by a secret, which is not even looked at after too many wrong ones.
    ///
    /// # Errors
    /// When it is another secret, there is nobody of that name, or nobody can tell now.
    pub(super) async fn sign_in(
        &self,
        api: &CommandApi,
        (name, kind): (&str, PrincipalKind),
        (secret, by_header): (&SecretString, bool),
    ) -> Result<Actor, NotGranted> {
        self.note_concerned(api, name);
        let attempt = api.sign_in_guard().begin_try((name, kind), &self.client.network());
        let attempt = attempt.map_err(NotGranted::LockedOut)?;
        if kind == PrincipalKind::Account
            && let Some(demo) = api.users().authenticate(name, secret)
        {
            if !self.client.is_on_this_machine() {
                return Err(refuse_demo().into());
            }
            attempt.succeed();
            return Ok(demo.with_scopes_of(api.register().role_scopes()));
        }
        // What is heard of while the digest is computed counts as well.
        let before = api.register().revision_of(name);
        let mut signed_in = api.credentials().sign_in(api.register(), (name, kind), secret).await;
        // Whoever was created or given another secret a moment ago gets in with it.
        if matches!(signed_in, Err(SignInError::Refused))
            && api.administration().hear_more(api.register(), name, before).await
        {
            signed_in = api.credentials().sign_in(api.register(), (name, kind), secret).await;
        }
        match &signed_in {
            Ok(_) => attempt.succeed(),
            Err(SignInError::Refused) => attempt.fail(),
            // It was not looked at.
            Err(_) => drop(attempt),
        }
        signed_in.map_err(|error| from_sign_in_error(error, kind, by_header))
    }

    /// Notes whom it is about, if there is anybody of that name.
    pub(super) fn note_concerned(&self, api: &CommandApi, name: &str) {
        let Ok(name) = name.parse::<PrincipalName>() else { return };
        if let Ok(Some(_)) = api.register().find(&name) {
            self.notes.concern(name.as_str());
        }
    }
}

/// A proxy on this machine would let everybody in whom it lets through.
fn refuse_demo() -> TokenError {
    let detail = "demo signs in on this machine only, and not through a proxy: create an account with chipq \
                  accounts create";
    TokenError::new("unauthorized_client", detail)
}
