//! From a request for a token to who it is for (RFC 6749, sections 2.3.1, 4.3 and 4.4).

use std::collections::BTreeMap;

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::PrincipalKind;
use platform::access::SignInError;
use platform::auth::{Actor, Scope};
use platform::http::Problem;
use secrecy::SecretString;

use super::refusal::{TokenError, TokenRefusal};
use crate::{CommandApi, problems};

/// Seconds after which signing in is worth another try where too many do.
const RETRY_AFTER_S: u64 = 1;

/// A form, as it came.
pub(super) type TokenForm = Result<Form<Vec<(String, String)>>, FormRejection>;

/// Who asks for a token, and how that is proved.
struct Grant {
    kind: PrincipalKind,
    name: String,
    secret: SecretString,
    /// Whether client and secret came as `Authorization: Basic`, which a refusal answers in kind.
    by_header: bool,
}

/// Why there is no token.
pub(super) enum NotGranted {
    /// In the words of OAuth.
    Refused(TokenRefusal),
    /// The platform's own trouble.
    Problem(Box<Problem>),
}

impl From<TokenError> for NotGranted {
    fn from(error: TokenError) -> Self {
        Self::Refused(error.into())
    }
}

/// Who the token is for, with the scopes that are asked for.
pub(super) async fn grant_token(
    api: &CommandApi,
    authorization: Option<&HeaderValue>,
    form: TokenForm,
) -> Result<Actor, NotGranted> {
    let mut form = read_form(form)?;
    let grant = read_grant(authorization, &mut form)?;
    let actor = sign_in(api, grant).await?;
    match form.get("scope") {
        Some(wanted) => Ok(narrow_scopes(actor, wanted)?),
        None => Ok(actor),
    }
}

fn read_form(form: TokenForm) -> Result<BTreeMap<String, String>, TokenError> {
    let Form(pairs) =
        form.map_err(|error| TokenError::new("invalid_request", error.body_text()))?;
    // One without a value counts as left out (RFC 6749, section 3.2).
    let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
    let count = pairs.len();
    let form: BTreeMap<String, String> = pairs.into_iter().collect();
    if form.len() < count {
        return Err(TokenError::new("invalid_request", "a parameter stands there twice"));
    }
    Ok(form)
}

fn read_grant(
    authorization: Option<&HeaderValue>,
    form: &mut BTreeMap<String, String>,
) -> Result<Grant, NotGranted> {
    match form.get("grant_type").map_or("password", String::as_str) {
        "password" => {
            let (Some(name), Some(password)) = (form.remove("username"), form.remove("password"))
            else {
                return Err(TokenError::new("invalid_request", "send username and password").into());
            };
            let (kind, secret) = (PrincipalKind::Account, password.into());
            Ok(Grant { kind, name, secret, by_header: false })
        }
        "client_credentials" => read_client(authorization, form),
        _ => {
            let known = "the grant types are client_credentials and password";
            Err(TokenError::new("unsupported_grant_type", known).into())
        }
    }
}

/// Client and secret, from the header or from the form, and never from both.
fn read_client(
    authorization: Option<&HeaderValue>,
    form: &mut BTreeMap<String, String>,
) -> Result<Grant, NotGranted> {
    let kind = PrincipalKind::Client;
    let (client_id, client_secret) = (form.remove("client_id"), form.remove("client_secret"));
    match (authorization, client_id, client_secret) {
        (Some(_), _, Some(_)) => {
            let twice = "send the secret as Authorization: Basic or as client_secret, not both";
            Err(TokenError::new("invalid_request", twice).into())
        }
        (Some(value), client_id, None) => {
            let basic = value.to_str().ok().and_then(read_basic);
            let (name, secret) = basic.ok_or_else(|| {
                let form = "send Authorization: Basic with client_id:client_secret in Base64";
                NotGranted::Refused(TokenRefusal::of_client(form, true))
            })?;
            if client_id.is_some_and(|id| id != name) {
                let two = "client_id is another than in Authorization";
                return Err(TokenError::new("invalid_request", two).into());
            }
            Ok(Grant { kind, name, secret, by_header: true })
        }
        (None, Some(name), Some(secret)) => {
            Ok(Grant { kind, name, secret: secret.into(), by_header: false })
        }
        (None, ..) => {
            Err(TokenError::new("invalid_request", "send client_id and client_secret").into())
        }
    }
}

/// `Basic` with `client_id:client_secret`, each form-urlencoded (RFC 6749, section 2.3.1). Neither needs it here.
fn read_basic(value: &str) -> Option<(String, SecretString)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, secret) = decoded.split_once(':')?;
    Some((decode_form(name)?, decode_form(secret)?.into()))
}

fn decode_form(text: &str) -> Option<String> {
    let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&format!("v={text}")).ok()?;
    match pairs.as_slice() {
        [(_, value)] => Some(value.clone()),
        _ => None,
    }
}

async fn sign_in(api: &CommandApi, grant: Grant) -> Result<Actor, NotGranted> {
    let Grant { kind, name, secret, by_header } = grant;
    if kind == PrincipalKind::Account
        && let Some(demo) = api.users().authenticate(&name, &secret)
    {
        return Ok(demo);
    }
    let signed_in = api.credentials().sign_in(api.register(), (&name, kind), &secret).await;
    let problem = |problem| NotGranted::Problem(Box::new(problem));
    signed_in.map_err(|error| match (error, kind) {
        (SignInError::Refused, PrincipalKind::Account) => {
            TokenError::new("invalid_grant", "user name or password is wrong").into()
        }
        (SignInError::Refused, PrincipalKind::Client) => {
            let wrong = "client_id or client_secret is wrong, or the client is disabled";
            NotGranted::Refused(TokenRefusal::of_client(wrong, by_header))
        }
        (SignInError::Busy(_), _) => problem(Problem::too_many_requests(RETRY_AFTER_S)),
        (SignInError::Unknown(error), _) => {
            problem(Problem::unavailable(error.to_string(), RETRY_AFTER_S))
        }
        (SignInError::Storage(error), _) => problem(problems::from_log_error(error)),
    })
}

/// The actor with the scopes that it wants, all of which it must have.
fn narrow_scopes(mut actor: Actor, wanted: &str) -> Result<Actor, TokenError> {
    let not_granted =
        || TokenError::new("invalid_scope", "a scope is unknown or not granted to you");
    let wanted = wanted.split_whitespace().map(|name| {
        let granted = name.parse::<Scope>().ok().filter(|scope| actor.allows(*scope));
        granted.ok_or_else(not_granted)
    });
    actor.scopes = wanted.collect::<Result<_, _>>()?;
    Ok(actor)
}
