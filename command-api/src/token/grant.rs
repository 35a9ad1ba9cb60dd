//! From a request for a token to who it is for (RFC 6749, sections 4.3, 4.4 and 6).

use std::collections::BTreeSet;

use chrono::Utc;
use domain::PrincipalKind;
use platform::access::{SessionError, SessionGrant};
use platform::auth::{Actor, Scope};
use secrecy::SecretString;
use uuid::Uuid;

use super::client::authenticate_client;
use super::form::TokenForm;
use super::refusal::{NotGranted, TokenError, from_session_error};
use super::requester::Requester;
use crate::CommandApi;

/// The kinds of grants, in the words of RFC 6749.
const PASSWORD: &str = "password";
const CLIENT_CREDENTIALS: &str = "client_credentials";
const REFRESH_TOKEN: &str = "refresh_token";

/// What is granted.
pub(super) struct Granted {
    pub(super) actor: Actor,
    /// By which kind of proof.
    pub(super) grant_type: &'static str,
    /// The session that the access token belongs to.
    pub(super) session: Option<Uuid>,
    /// What the next one is had for.
    pub(super) refresh_token: Option<SecretString>,
}

impl Granted {
    /// An access token, and nothing after it: whoever has a secret asks with it again.
    const fn alone(actor: Actor, grant_type: &'static str) -> Self {
        Self { actor, grant_type, session: None, refresh_token: None }
    }

    /// One of a session, which goes on with the refresh token.
    fn in_session(grant: SessionGrant, grant_type: &'static str) -> Self {
        let SessionGrant { actor, session, refresh_token } = grant;
        let (session, refresh_token) = (Some(session), Some(refresh_token));
        Self { actor, grant_type, session, refresh_token }
    }
}

/// Who the token is for, with the scopes that are asked for, and by which kind of grant.
pub(super) async fn grant_token(
    api: &CommandApi,
    requester: &Requester,
    mut form: TokenForm,
) -> Result<Granted, NotGranted> {
    let wanted = form.take("scope");
    match form.take("grant_type").as_deref().unwrap_or(PASSWORD) {
        PASSWORD => {
            let actor = sign_in(api, requester, &mut form).await?;
            begin_session(api, narrow_scopes(actor, wanted.as_deref())?).await
        }
        CLIENT_CREDENTIALS => {
            let client = authenticate_client(api, requester, &mut form).await?;
            let client = client.ok_or_else(|| {
                TokenError::new("invalid_request", "send client_id and client_secret")
            })?;
            Ok(Granted::alone(narrow_scopes(client, wanted.as_deref())?, CLIENT_CREDENTIALS))
        }
        REFRESH_TOKEN => refresh(api, requester, form, wanted.as_deref()).await,
        _ => {
            let known = "the grant types are client_credentials, password and refresh_token";
            Err(TokenError::new("unsupported_grant_type", known).into())
        }
    }
}

async fn sign_in(
    api: &CommandApi,
    requester: &Requester,
    form: &mut TokenForm,
) -> Result<Actor, NotGranted> {
    let (Some(name), Some(password)) = (form.take("username"), form.take("password")) else {
        return Err(TokenError::new("invalid_request", "send username and password").into());
    };
    let password = SecretString::from(password);
    requester.sign_in(api, (&name, PrincipalKind::Account), (&password, false)).await
}

/// The demonstration's account has no sessions: whoever uses it knows its password.
async fn begin_session(api: &CommandApi, actor: Actor) -> Result<Granted, NotGranted> {
    let begun = api.sessions().begin(&actor, api.issuer().config(), Utc::now()).await;
    let begun = begun.map_err(from_session_error)?;
    Ok(match begun {
        Some(grant) => Granted::in_session(grant, PASSWORD),
        None => Granted::alone(actor, PASSWORD),
    })
}

async fn refresh(
    api: &CommandApi,
    requester: &Requester,
    mut form: TokenForm,
    wanted: Option<&str>,
) -> Result<Granted, NotGranted> {
    let token = SecretString::from(form.require("refresh_token")?);
    let wanted = wanted.map(parse_scopes).transpose()?;
    let asked = (&token, wanted.as_ref());
    let refreshed =
        api.sessions().refresh(api.register(), asked, api.issuer().config(), Utc::now()).await;
    if let Err(SessionError::Refused { name: Some(name) }) = &refreshed {
        requester.note_concerned(api, name.as_str());
    }
    refreshed.map(|grant| Granted::in_session(grant, REFRESH_TOKEN)).map_err(from_session_error)
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
