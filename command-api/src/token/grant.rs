//! From a request for a token to who it is for (RFC 6749, sections 4.3, 4.4 and 6).

use std::collections::BTreeSet;

use chrono::Utc;
use domain::PrincipalKind;
use platform::access::SessionGrant;
use platform::auth::{Actor, Scope};
use secrecy::SecretString;
use uuid::Uuid;

use super::client::authenticate_client;
use super::form::TokenForm;
use super::refusal::{NotGranted, TokenError, from_session_error, from_sign_in_error};
use crate::CommandApi;

/// What is granted.
pub(super) struct Granted {
    pub(super) actor: Actor,
    /// The session that the access token belongs to.
    pub(super) session: Option<Uuid>,
    /// What the next one is had for.
    pub(super) refresh_token: Option<SecretString>,
}

impl Granted {
    /// An access token, and nothing after it: whoever has a secret asks with it again.
    const fn alone(actor: Actor) -> Self {
        Self { actor, session: None, refresh_token: None }
    }
}

impl From<SessionGrant> for Granted {
    fn from(SessionGrant { actor, session, refresh_token }: SessionGrant) -> Self {
        Self { actor, session: Some(session), refresh_token: Some(refresh_token) }
    }
}

/// Who the token is for, with the scopes that are asked for.
pub(super) async fn grant_token(
    api: &CommandApi,
    mut form: TokenForm,
) -> Result<Granted, NotGranted> {
    let wanted = form.take("scope");
    match form.take("grant_type").as_deref().unwrap_or("password") {
        "password" => {
            let actor = sign_in(api, &mut form).await?;
            begin_session(api, narrow_scopes(actor, wanted.as_deref())?).await
        }
        "client_credentials" => {
            let client = authenticate_client(api, &mut form).await?;
            let client = client.ok_or_else(|| {
                TokenError::new("invalid_request", "send client_id and client_secret")
            })?;
            Ok(Granted::alone(narrow_scopes(client, wanted.as_deref())?))
        }
        "refresh_token" => refresh(api, form, wanted.as_deref()).await,
        _ => {
            let known = "the grant types are client_credentials, password and refresh_token";
            Err(TokenError::new("unsupported_grant_type", known).into())
        }
    }
}

async fn sign_in(api: &CommandApi, form: &mut TokenForm) -> Result<Actor, NotGranted> {
    let (Some(name), Some(password)) = (form.take("username"), form.take("password")) else {
        return Err(TokenError::new("invalid_request", "send username and password").into());
    };
    let (password, kind) = (SecretString::from(password), PrincipalKind::Account);
    if let Some(demo) = api.users().authenticate(&name, &password) {
        return Ok(demo);
    }
    let signed_in = api.credentials().sign_in(api.register(), (&name, kind), &password).await;
    signed_in.map_err(|error| from_sign_in_error(error, kind, false))
}

/// The demonstration's account has no sessions: whoever uses it knows its password.
async fn begin_session(api: &CommandApi, actor: Actor) -> Result<Granted, NotGranted> {
    let begun = api.sessions().begin(&actor, api.issuer().config(), Utc::now()).await;
    let begun = begun.map_err(from_session_error)?;
    Ok(begun.map_or_else(|| Granted::alone(actor), Granted::from))
}

async fn refresh(
    api: &CommandApi,
    mut form: TokenForm,
    wanted: Option<&str>,
) -> Result<Granted, NotGranted> {
    let token = SecretString::from(form.require("refresh_token")?);
    let wanted = wanted.map(parse_scopes).transpose()?;
    let asked = (&token, wanted.as_ref());
    let refreshed =
        api.sessions().refresh(api.register(), asked, api.issuer().config(), Utc::now()).await;
    refreshed.map(Granted::from).map_err(from_session_error)
}

/// The actor with the scopes that it wants, all of which it must have; with all that it has, where it wants none.
fn narrow_scopes(actor: Actor, wanted: Option<&str>) -> Result<Actor, TokenError> {
    let Some(wanted) = wanted else { return Ok(actor) };
    let scopes = parse_scopes(wanted)?;
    if scopes.is_subset(&actor.scopes) { Ok(Actor { scopes, ..actor }) } else { Err(not_granted()) }
}

fn parse_scopes(wanted: &str) -> Result<BTreeSet<Scope>, TokenError> {
    wanted.split_whitespace().map(|name| name.parse().map_err(|_| not_granted())).collect()
}

fn not_granted() -> TokenError {
    TokenError::new("invalid_scope", "a scope is unknown or not granted to you")
}
