//! Clients that prove who they are by a JWT of their own (RFC 7523, section 2.2), with a key that was registered.
//!
//! Invariants: an assertion is worth one use, for minutes, for this authorization server; its algorithm is that of
//! the key; and what is kept of those that were used expires with them. Until the signature is known to be right,
//! nobody is told what is wrong with the rest.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{ClientKey, PrincipalName, Sha256};
use serde::Deserialize;

use super::client_key::is_signed_by;

/// The longest assertion that is looked at, in bytes.
const MAX_BYTES: usize = 8 << 10;
/// How long an assertion may be good.
const LIFETIME_MAX: TimeDelta = TimeDelta::minutes(5);
/// How far clocks may differ.
const LEEWAY: TimeDelta = TimeDelta::seconds(30);
/// The longest `jti`, in bytes.
const ID_MAX_BYTES: usize = 255;

/// What is wrong with an assertion that its client has signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssertionFlaw {
    /// Claims are missing, or are of another type.
    #[error("the assertion needs iss, sub, aud, exp and jti (at most 255 characters)")]
    Claims,
    /// It was made for another server.
    #[error("aud of the assertion is not this issuer and not its token endpoint")]
    Audience,
    /// Its time is over, or has not come.
    #[error("the assertion has expired, or is not valid yet; check the clock")]
    Time,
    /// It is good for too long.
    #[error("exp of the assertion is more than 5 minutes ahead")]
    Lifetime,
    /// It was used.
    #[error("the assertion was used before; sign another one, with a jti of its own")]
    Used,
}

#[derive(Deserialize)]
struct AssertionHeader {
    alg: String,
    crit: Option<serde_json::Value>,
}

/// Who says that it signs; read before anything is known to be true.
#[derive(Deserialize)]
struct ClaimedSubject {
    sub: String,
}

#[derive(Deserialize)]
struct AssertionClaims {
    iss: String,
    sub: String,
    aud: AssertionAudience,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AssertionAudience {
    One(String),
    Several(Vec<String>),
}

/// An assertion with the signature of its client.
pub(super) struct SignedAssertion {
    /// The client.
    pub(super) name: PrincipalName,
    claims: Vec<u8>,
}

/// What is kept of an assertion that is used.
pub(super) struct AssertionUse {
    pub(super) digest: Sha256,
    pub(super) expires_at: DateTime<Utc>,
}

/// The assertion, when it is signed with the key that `key_of` knows of its subject.
pub(super) fn read_assertion<'a>(
    assertion: &str,
    key_of: impl FnOnce(&PrincipalName) -> Option<&'a ClientKey>,
) -> Option<SignedAssertion> {
    if assertion.len() > MAX_BYTES {
        return None;
    }
    let (message, signature) = assertion.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    let header: AssertionHeader = serde_json::from_slice(&decode(header)?).ok()?;
    let claims = decode(claims)?;
    let claimed: ClaimedSubject = serde_json::from_slice(&claims).ok()?;
    let name = claimed.sub.parse().ok()?;
    let key = key_of(&name)?;
    let is_good = header.alg == key.algorithm().as_str()
        && header.crit.is_none()
        && is_signed_by(key, message.as_bytes(), &decode(signature)?);
    is_good.then_some(SignedAssertion { name, claims })
}

impl SignedAssertion {
    /// What using it at `now` means, for somebody who is known by one of `audiences`.
    pub(super) fn check(
        &self,
        audiences: &[String],
        now: DateTime<Utc>,
    ) -> Result<AssertionUse, AssertionFlaw> {
        let claims: AssertionClaims =
            serde_json::from_slice(&self.claims).map_err(|_| AssertionFlaw::Claims)?;
        check_claims(&claims, audiences, now)?;
        let expires_at = DateTime::from_timestamp(claims.exp, 0).unwrap_or(now) + LEEWAY;
        Ok(AssertionUse { digest: digest_of(&self.name, &claims.jti), expires_at })
    }
}

fn check_claims(
    claims: &AssertionClaims,
    audiences: &[String],
    now: DateTime<Utc>,
) -> Result<(), AssertionFlaw> {
    if claims.iss != claims.sub || !(1..=ID_MAX_BYTES).contains(&claims.jti.len()) {
        return Err(AssertionFlaw::Claims);
    }
    let is_for_us = |audience: &String| audiences.contains(audience);
    let is_meant = match &claims.aud {
        AssertionAudience::One(audience) => is_for_us(audience),
        AssertionAudience::Several(several) => several.iter().any(is_for_us),
    };
    if !is_meant {
        return Err(AssertionFlaw::Audience);
    }
    let is_ahead = |time: Option<i64>| time.is_some_and(|time| time > (now + LEEWAY).timestamp());
    if claims.exp <= (now - LEEWAY).timestamp() || is_ahead(claims.nbf) || is_ahead(claims.iat) {
        return Err(AssertionFlaw::Time);
    }
    if claims.exp > (now + LIFETIME_MAX + LEEWAY).timestamp() {
        return Err(AssertionFlaw::Lifetime);
    }
    Ok(())
}

/// Ids are the client's own: two clients may use the same.
fn digest_of(name: &PrincipalName, id: &str) -> Sha256 {
    Sha256::digest_of(format!("{name}\n{id}").as_bytes())
}
