//! Which client sends a request, and how it proves that: by its secret, in the header or in the form (RFC 6749,
//! section 2.3.1), or by an assertion that it has signed (RFC 7523, section 2.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use domain::PrincipalKind;
use platform::auth::Actor;
use secrecy::SecretString;

use super::form::TokenForm;
use super::metadata::audiences;
use super::refusal::{NotGranted, TokenError, TokenRefusal, from_sign_in_error};
use super::requester::Requester;
use crate::CommandApi;

/// The one type of assertion by which a client proves who it is.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How a client proves who it is.
enum ClientProof {
    Secret {
        name: String,
        secret: SecretString,
        /// Whether it came as `Authorization: Basic`, which a refusal answers in kind.
        by_header: bool,
    },
    Assertion {
        assertion: String,
        /// Whose it is said to be, which need not be said.
        name: Option<String>,
    },
}

/// The client that sends this, when it says that it is one.
///
/// # Errors
/// When it is not the one it says, or says so in more than one way.
pub(super) async fn authenticate_client(
    api: &CommandApi,
    requester: &Requester,
    form: &mut TokenForm,
) -> Result<Option<Actor>, NotGranted> {
    let Some(proof) = read_proof(form)? else { return Ok(None) };
    match proof {
        ClientProof::Secret { name, secret, by_header } => {
            let who = (name.as_str(), PrincipalKind::Client);
            requester.sign_in(api, who, (&secret, by_header)).await.map(Some)
        }
        ClientProof::Assertion { assertion, name } => {
            sign_in_by_assertion(api, &assertion, name).await.map(Some)
        }
    }
}

/// A signature is not guessed: there is nothing that too many wrong ones would say.
async fn sign_in_by_assertion(
    api: &CommandApi,
    assertion: &str,
    name: Option<String>,
) -> Result<Actor, NotGranted> {
    let audiences = audiences(api);
    let proof = (assertion, audiences.as_slice());
    let signed_in = api.credentials().sign_in_by_assertion(api.register(), proof, Utc::now()).await;
    let actor =
        signed_in.map_err(|error| from_sign_in_error(error, PrincipalKind::Client, false))?;
    if name.is_some_and(|name| !actor.subject.eq_ignore_ascii_case(&name)) {
        let two = "client_id is another than the assertion's sub";
        return Err(TokenError::new("invalid_request", two).into());
    }
    Ok(actor)
}

/// What proves it, from the header or from the form, and never from both.
fn read_proof(form: &mut TokenForm) -> Result<Option<ClientProof>, NotGranted> {
    let (name, secret) = (form.take("client_id"), form.take("client_secret").map(Into::into));
    if let Some(assertion) = read_assertion(form)? {
        if secret.is_some() || form.authorization.is_some() {
            let twice = "send a client_assertion or a client_secret, not both";
            return Err(TokenError::new("invalid_request", twice).into());
        }
        return Ok(Some(ClientProof::Assertion { assertion, name }));
    }
    match (&form.authorization, name, secret) {
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
            Ok(Some(ClientProof::Secret { name, secret, by_header: true }))
        }
        (None, Some(name), Some(secret)) => {
            Ok(Some(ClientProof::Secret { name, secret, by_header: false }))
        }
        (None, ..) => Ok(None),
    }
}

fn read_assertion(form: &mut TokenForm) -> Result<Option<String>, TokenError> {
    match (form.take("client_assertion_type"), form.take("client_assertion")) {
        (None, None) => Ok(None),
        (Some(kind), Some(assertion)) if kind == ASSERTION_TYPE => Ok(Some(assertion)),
        _ => {
            let both = format!("send client_assertion, and client_assertion_type={ASSERTION_TYPE}");
            Err(TokenError::new("invalid_request", both))
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
