//! For whom a token is, when it is good, and that it is an access token.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::ExternalTokenError;
use crate::auth::AuthError;

/// How far clocks may differ, in seconds.
const LEEWAY_S: i64 = 30;
/// The longest time that a token may be good for, in seconds: nothing but time takes it away.
const LIFETIME_MAX_S: i64 = 24 * 60 * 60;
/// Claims of ID tokens and of logout tokens, which access tokens never have (OpenID Connect Core 1.0, section 3.3.2.11;
/// Back-Channel Logout 1.0, section 2.4; RFC 8417).
const CLAIMS_OF_OTHERS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// What a token says.
pub(super) type Claims = Map<String, Value>;

/// Checks everything but who the subject is and what it may do.
pub(super) fn check_claims(
    claims: &Claims,
    issuer: &str,
    audience: &str,
    now: DateTime<Utc>,
) -> Result<(), AuthError> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(AuthError::WrongIssuer);
    }
    check_kind(claims)?;
    if !is_meant_for(claims.get("aud"), audience) {
        return Err(AuthError::WrongAudience);
    }
    check_time(claims, now.timestamp())
}

/// The issuer signs ID, refresh and logout tokens with the same keys.
fn check_kind(claims: &Claims) -> Result<(), ExternalTokenError> {
    let kind = claims.get("typ").map(|kind| kind.as_str().unwrap_or_default());
    let is_of_others = CLAIMS_OF_OTHERS.iter().any(|name| claims.contains_key(*name));
    // Keycloak says `Bearer`, and `ID`, `Refresh`, `Offline` or `Logout`; others say nothing.
    let is_bearer = kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
    let is_of_a_browser = !is_bearer && claims.contains_key("nonce");
    if claims.contains_key("cnf") || kind == Some("DPoP") {
        return Err(ExternalTokenError::Bound);
    }
    if (kind.is_some() && !is_bearer) || is_of_others || is_of_a_browser {
        return Err(ExternalTokenError::NoAccessToken);
    }
    Ok(())
}

fn is_meant_for(audiences: Option<&Value>, audience: &str) -> bool {
    match audiences {
        Some(Value::String(only)) => only == audience,
        Some(Value::Array(several)) => several.iter().any(|one| one == audience),
        _ => false,
    }
}

fn check_time(claims: &Claims, now: i64) -> Result<(), AuthError> {
    let expires = read_date(claims, "exp")?.ok_or(AuthError::Malformed)?;
    let issued = read_date(claims, "iat")?.ok_or(AuthError::Malformed)?;
    let begins = read_date(claims, "nbf")?.unwrap_or(issued).max(issued);
    if expires.saturating_sub(issued) > LIFETIME_MAX_S {
        return Err(ExternalTokenError::LongLived.into());
    }
    if expires.saturating_add(LEEWAY_S) <= now {
        return Err(AuthError::Expired);
    }
    if begins.saturating_sub(LEEWAY_S) > now {
        return Err(AuthError::NotYetValid);
    }
    Ok(())
}

/// Seconds since 1970, of which there may be parts (RFC 7519, section 2).
fn read_date(claims: &Claims, name: &str) -> Result<Option<i64>, AuthError> {
    let Some(date) = claims.get(name) else { return Ok(None) };
    let whole = date.as_i64().or_else(|| date.as_f64().map(|seconds| seconds.floor() as i64));
    whole.map(Some).ok_or(AuthError::Malformed)
}
