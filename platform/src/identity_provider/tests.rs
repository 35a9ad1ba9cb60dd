//! Following a provider's keys, against one that is played by a small server.

mod provider;

use std::time::{Duration, Instant};

use chrono::Utc;
use jsonwebtoken::Algorithm;
use serde_json::json;

use super::*;
use crate::auth::test_keys::{AUDIENCE, SigningKeyPair, claims_at};
use crate::auth::{
    AuthError, ClaimMapping, ExternalTokenError, KeyRing, KeyTrust, TokenConfig, TokenIssuer,
    TokenVerifier,
};
use crate::config::ConfigErrors;
use fetch::FetchLimits;
use provider::{Behaviour, StandInProvider};

const LIMITS: FetchLimits = FetchLimits { deadline: Duration::from_secs(2), bytes: 1 << 20 };
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that follows the provider of this URL.
struct Process {
    verifier: TokenVerifier,
    provider: IdentityProvider,
    url: String,
    stop: Shutdown,
    _folder: tempfile::TempDir,
}

impl Process {
    /// One that may ask again after `least_interval` when it meets an unknown key.
    fn start(url: &str, least_interval: Duration) -> Self {
        let mapping = json!({"roles": {"claim": "realm_access.roles", "values": {"chipq-engineer": "engineer"}}});
        let mapping = ClaimMapping::parse(mapping.to_string().as_bytes()).unwrap();
        let outage = Duration::from_secs(3600);
        let trust = KeyTrust { outage, least_interval, patience: PATIENCE };
        let issuer = ExternalIssuer::new(url.to_owned(), AUDIENCE.to_owned(), mapping, trust);
        let (address, fetcher) = Fetcher::open(url, LIMITS).unwrap();
        let provider = IdentityProvider { issuer, address, fetcher, refresh: outage };
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), Utc::now()).unwrap();
        let verifier = TokenIssuer::new(ring, TokenConfig::default()).verifier();
        let verifier = verifier.with_external_issuer(Some(provider.issuer().clone()));
        let stop = Shutdown::new();
        tokio::spawn(provider.clone().follow(stop.clone()));
        Self { verifier, provider, url: url.to_owned(), stop, _folder: folder }
    }

    async fn verify(&self, token: &str) -> Result<String, AuthError> {
        self.verifier.await_key_of(token).await;
        self.verifier.verify(token, Utc::now()).map(|actor| actor.subject)
    }

    fn token(&self, key: &SigningKeyPair) -> String {
        let mut claims = claims_at(Utc::now());
        claims["iss"] = self.url.as_str().into();
        key.sign(&claims)
    }

    /// Waits until what is said of the provider is as `holds` wants it.
    async fn until(&self, holds: impl Fn(&Result<(), String>) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.provider.issuer().keys().check();
            if holds(&said) {
                return;
            }
            assert!(Instant::now() < deadline, "not in time: {said:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop.request();
    }
}

const NEVER: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_new_key_is_looked_for_when_a_token_names_it_and_one_that_is_gone_is_forgotten() {
    let (old, new) = (SigningKeyPair::rsa("old", Algorithm::RS256), SigningKeyPair::p256("new"));
    let provider = StandInProvider::start(&[&old]).await;
    let process = Process::start(&provider.url(), Duration::ZERO);
    assert_eq!(process.verify(&process.token(&old)).await.unwrap(), "oidc:0b1f-77");
    let asked = provider.fetches();
    for _ in 0..20 {
        process.verify(&process.token(&old)).await.unwrap();
    }
    assert_eq!(provider.fetches(), asked, "who is known costs no question");

    provider.rotate_to(&[&old, &new]);
    assert!(process.verify(&process.token(&new)).await.is_ok());
    assert!(process.verify(&process.token(&old)).await.is_ok(), "until it is taken away");
    provider.rotate_to(&[&new]);
    let third = process.token(&SigningKeyPair::ed25519("third"));
    assert_eq!(process.verify(&third).await, Err(AuthError::UnknownKey));
    assert_eq!(process.verify(&process.token(&old)).await, Err(AuthError::UnknownKey));
}

#[tokio::test]
async fn a_storm_of_forged_key_ids_asks_the_provider_no_more_often() {
    let key = SigningKeyPair::ed25519("k");
    let provider = StandInProvider::start(&[&key]).await;
    let process = Process::start(&provider.url(), NEVER);
    process.until(Result::is_ok).await;
    let forged: Vec<_> =
        (0..50).map(|n| process.token(&SigningKeyPair::ed25519(&format!("f{n}")))).collect();
    let tries = forged.iter().map(|token| process.verify(token));
    for outcome in futures::future::join_all(tries).await {
        assert_eq!(outcome, Err(AuthError::UnknownKey));
    }
    assert_eq!(provider.fetches(), 1);
    assert!(process.verify(&process.token(&key)).await.is_ok());
}

#[tokio::test]
async fn the_process_starts_without_the_provider_goes_on_without_it_and_heals_by_itself() {
    let (key, local) = (SigningKeyPair::ed25519("k"), SigningKeyPair::ed25519("other"));
    let mut provider = StandInProvider::start(&[&key]).await;
    provider.stop().await;
    let process = Process::start(&provider.url(), NEVER);
    process.until(|said| said.as_ref().is_err_and(|said| said.contains("cannot be reached"))).await;
    let away = Err(AuthError::External(ExternalTokenError::ProviderAway));
    assert_eq!(process.verify(&process.token(&key)).await, away);

    provider.start_again().await;
    process.until(Result::is_ok).await;
    assert!(process.verify(&process.token(&key)).await.is_ok());
    provider.stop().await;
    assert!(!process.provider.ask_for_keys(&count_fetches()).await);
    assert!(process.verify(&process.token(&key)).await.is_ok(), "its keys go on being believed");
    assert_eq!(process.verify(&process.token(&local)).await, away, "nobody can tell now");
    let checks = process.provider.probe().checks().await;
    assert!(!checks[0].ready && checks[0].optional, "{checks:?}");
    let said = checks[0].detail.clone().unwrap();
    assert!(said.contains("cannot be reached") && said.contains("believed for"), "{said}");

    provider.start_again().await;
    assert!(process.provider.ask_for_keys(&count_fetches()).await);
    assert!(process.provider.probe().checks().await[0].ready);
}

#[tokio::test]
async fn what_a_provider_must_not_answer_is_not_taken_and_what_was_known_goes_on() {
    let (key, theirs) = (SigningKeyPair::ed25519("k"), SigningKeyPair::ed25519("theirs"));
    let provider = StandInProvider::start(&[&key]).await;
    let process = Process::start(&provider.url(), NEVER);
    process.until(Result::is_ok).await;
    let elsewhere = StandInProvider::start(&[&theirs]).await;
    for (behaviour, said) in [
        (Behaviour::Endless, "more than 1048576 bytes"),
        (Behaviour::Slow, "has not answered within 2 s"),
        (Behaviour::Silent, "has not answered within 2 s"),
        (Behaviour::Redirect(elsewhere.key_set_url()), "307"),
        (Behaviour::Html, "it is no key set"),
        (Behaviour::Empty, "none of its 0 keys can be used"),
        (Behaviour::Broken, "500"),
        (
            Behaviour::DiscoveryOf("https://id.example/realms/factory".to_owned()),
            "of another issuer",
        ),
        (Behaviour::DiscoveryHtml, "its discovery document is none"),
        (Behaviour::KeysAt("http://id.example/keys".to_owned()), "must begin with https://"),
        (Behaviour::KeysAt("file:///etc/passwd".to_owned()), "is not a URL"),
        (Behaviour::KeysAt("http://user@127.0.0.1/keys".to_owned()), "is not a URL"),
    ] {
        provider.behave(behaviour.clone());
        assert!(!process.provider.ask_for_keys(&count_fetches()).await, "{behaviour:?}");
        let found = process.provider.issuer().keys().check().unwrap_err();
        assert!(found.contains(said), "{behaviour:?}: {found}");
        assert!(process.verify(&process.token(&key)).await.is_ok(), "{behaviour:?}");
        assert!(process.verify(&process.token(&theirs)).await.is_err(), "{behaviour:?}");
    }
    provider.behave(Behaviour::Well);
    assert!(process.provider.ask_for_keys(&count_fetches()).await);
    assert_eq!(elsewhere.fetches(), 0, "no redirect is followed");
}

#[tokio::test]
async fn keys_of_a_provider_with_tls_are_not_asked_for_without_it() {
    let address: WebAddress = "https://id.example".parse().unwrap();
    let document = json!({"issuer": "https://id.example", "jwks_uri": "http://127.0.0.1:1/keys"});
    let found = read_key_set_url(document.to_string().as_bytes(), "https://id.example", &address);
    assert!(matches!(found, Err(DiscoveryError::Downgrade)));
    let key = SigningKeyPair::ed25519("k");
    let provider = StandInProvider::start(&[&key]).await;
    let url = provider.url().replace("http://", "https://");
    let (address, fetcher) = Fetcher::open(&url, LIMITS).unwrap();
    let refused = fetcher.fetch_json(&address.well_known()).await;
    assert!(matches!(refused, Err(fetch::FetchError::Unreachable(_))), "it does not speak TLS");
}

#[test]
fn an_issuer_is_a_url_with_tls_or_on_this_machine() {
    let parse = |text: &str| Fetcher::open(text, LIMITS).map(|(address, _)| address);
    for (issuer, asked) in [
        ("https://id.example", "https://id.example/.well-known/openid-configuration"),
        ("https://id.example/", "https://id.example/.well-known/openid-configuration"),
        (
            "http://127.0.0.1:8080/realms/a",
            "http://127.0.0.1:8080/realms/a/.well-known/openid-configuration",
        ),
        ("http://[::1]:80/a/", "http://[::1]:80/a/.well-known/openid-configuration"),
    ] {
        assert_eq!(parse(issuer).unwrap().well_known().to_string(), asked);
    }
    let said = |text: &str| parse(text).unwrap_err().to_string();
    for insecure in
        ["http://id.example/a", "http://10.0.0.1", "http://127.0.0.1.example", "ftp://127.0.0.1/a"]
    {
        assert!(said(insecure).contains("must begin with https://"), "{insecure}");
    }
    let long = format!("https://id.example/{}", "a".repeat(2100));
    for malformed in [
        "",
        "id",
        "/realms",
        "https://a@id.example",
        "https://id.example/?a=b",
        "https://id.example/#a",
        &long,
    ] {
        assert!(said(malformed).contains("is not a URL"), "{malformed}");
    }
}

#[test]
fn everything_that_is_wrong_with_a_provider_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mapping.json");
    let said = |config: &IdentityProviderConfig| {
        let mut errors = ConfigErrors::new();
        config.check(&mut errors);
        errors.finish().map_err(|errors| errors.to_string())
    };
    let (refresh, outage) = (300, 86_400);
    let none = IdentityProviderConfig {
        oidc_refresh_s: refresh,
        oidc_outage_s: outage,
        ..Default::default()
    };
    assert_eq!(said(&none), Ok(()));
    assert!(none.open().unwrap().is_none());
    let halves = IdentityProviderConfig { oidc_audience: Some("chipq".to_owned()), ..none.clone() };
    assert!(said(&halves).unwrap_err().contains("CHIPQ_OIDC_ISSUER: name the issuer"));
    let wrong = IdentityProviderConfig {
        oidc_issuer: Some("http://id.example".to_owned()),
        ..none.clone()
    };
    let found = said(&wrong).unwrap_err();
    for part in
        ["wrong in 3 place", "CHIPQ_OIDC_ISSUER: ", "CHIPQ_OIDC_AUDIENCE: ", "CHIPQ_OIDC_MAPPING: "]
    {
        assert!(found.contains(part), "{found}");
    }
    let whole = IdentityProviderConfig {
        oidc_issuer: Some("http://127.0.0.1:1/realms/a".to_owned()),
        oidc_audience: Some("chipq".to_owned()),
        oidc_mapping: Some(file.clone()),
        ..none
    };
    assert!(said(&whole).unwrap_err().contains("cannot read"));
    std::fs::write(&file, "{}").unwrap();
    assert!(said(&whole).unwrap_err().contains("missing field `roles`"));
    std::fs::write(&file, vec![b' '; 300 << 10]).unwrap();
    assert!(said(&whole).unwrap_err().contains("cannot read"));
    std::fs::write(&file, r#"{"roles": {"claim": "groups", "values": {"a": "auditor"}}}"#).unwrap();
    assert_eq!(whole.open().unwrap().unwrap().issuer().url(), "http://127.0.0.1:1/realms/a");
}
