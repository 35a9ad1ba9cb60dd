//! A company's identity provider, and a real one: Keycloak, which `deploy/ensure-keycloak` installs and
//! `CHIPQ_KEYCLOAK` names. Without it this test says so and does nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "keycloak/server.rs"]
mod server;

use std::path::Path;
use std::time::{Duration, Instant};

use platform::{Platform, folder};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use server::{Keycloak, Tokens};

/// How long a change at the provider may take until it is noticed here, on a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(60);

/// The platform, as whoever has a token sees it.
struct Api {
    http: reqwest::Client,
    url: String,
}

impl Api {
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let key = uuid::Uuid::new_v4().to_string();
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        request = request.bearer_auth(token).header("Idempotency-Key", key);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or(Value::Null))
    }

    async fn read(&self, token: &str) -> (StatusCode, Value) {
        self.call(Method::GET, "/v1/inspections", token, Value::Null).await
    }

    async fn register(&self, part: &str, token: &str) -> StatusCode {
        self.call(Method::POST, "/v1/parts", token, json!({ "part": part })).await.0
    }

    async fn create_at(&self, station: &str, token: &str) -> (StatusCode, Value) {
        let body = json!({"lot": "L-1", "part": "PCB-1", "station": station});
        self.call(Method::POST, "/v1/inspections", token, body).await
    }

    /// Whether the process is ready, and what it says of the provider.
    async fn provider_check(&self) -> (StatusCode, Value) {
        let (status, said) = self.call(Method::GET, "/readyz", "", Value::Null).await;
        let checks = said["checks"].as_array().cloned().unwrap_or_default();
        let check = checks.into_iter().find(|check| check["name"] == "identity-provider");
        (status, check.expect("the provider is looked at"))
    }

    async fn until_provider_is(&self, ready: bool) {
        let what = if ready { "the provider is noticed" } else { "its absence is noticed" };
        until(what, async || {
            let (status, check) = self.provider_check().await;
            assert_eq!(status, 200, "the process is ready all the same: {check}");
            check["ready"] == ready
        })
        .await;
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + NOTICED_WITHIN;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn start_platform(data: &Path, keycloak: &Keycloak) -> Platform {
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keycloak/mapping.json");
    let (issuer, certificate) = (keycloak.issuer(), keycloak.certificate());
    let settings = [
        ("CHIPQ_OIDC_ISSUER", issuer.as_str()),
        ("CHIPQ_OIDC_AUDIENCE", "chipq-api"),
        ("CHIPQ_OIDC_MAPPING", mapping.to_str().unwrap()),
        ("CHIPQ_OIDC_REFRESH", "10"),
        ("SSL_CERT_FILE", certificate.to_str().unwrap()),
    ];
    Platform::start_with(data, 0, &settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_stations_of_a_keycloak_realm_use_the_platform_as_their_roles_say() {
    let Some(home) = std::env::var_os("CHIPQ_KEYCLOAK").filter(|home| !home.is_empty()) else {
        eprintln!(
            "SKIPPED: CHIPQ_KEYCLOAK is not set; run: CHIPQ_KEYCLOAK=$(deploy/ensure-keycloak)"
        );
        return;
    };
    let folder = folder();
    let mut keycloak = Keycloak::start(Path::new(&home), folder.path());
    // It starts, and serves local accounts, while the provider is not there yet.
    let platform = start_platform(&folder.path().join("data"), &keycloak);
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10));
    let api = Api { http: http.build().unwrap(), url: platform.url.clone() };
    keycloak.until_it_serves().await;
    keycloak.import_realm(include_str!("keycloak/realm.json")).await;
    api.until_provider_is(true).await;

    roles_decide_and_a_change_counts_with_the_next_token(&api, &keycloak).await;
    a_client_of_the_realm_is_a_station(&api, &keycloak).await;
    what_is_not_for_the_platform_is_refused(&api, &keycloak).await;
    let token = keycloak.sign_in("mia").await.access;
    a_logout_counts_when_the_token_expires(&api, &keycloak).await;
    let token = keys_are_rotated(&api, &keycloak, token).await;

    keycloak.kill();
    api.until_provider_is(false).await;
    assert_eq!(api.read(&token).await.0, 200, "known keys go on");
    keycloak.start_again();
    keycloak.until_it_serves().await;
    api.until_provider_is(true).await;
    let token = keycloak.sign_in("mia").await.access;
    assert_eq!(api.read(&token).await.0, 200);

    platform.stop();
    let log = std::fs::read_to_string(folder.path().join("data.log")).unwrap();
    assert!(log.contains("the identity provider's keys are known"), "the control");
    assert!(!log.contains(&token), "a token is in the log");
}

async fn roles_decide_and_a_change_counts_with_the_next_token(api: &Api, keycloak: &Keycloak) {
    let Tokens { access: as_operator, .. } = keycloak.sign_in("mia").await;
    let (status, said) = api.read(&as_operator).await;
    assert_eq!(status, 200, "{said}");
    assert_eq!(api.register("PCB-1", &as_operator).await, 403);
    keycloak.give_role("mia", "chipq-engineer").await;
    assert_eq!(api.register("PCB-1", &as_operator).await, 403, "the token says what it said");
    let as_engineer = keycloak.sign_in("mia").await.access;
    assert_eq!(api.register("PCB-1", &as_engineer).await, 201);
    let path = "/v1/parts/PCB-1/recipe-revisions";
    until("who registered the part can be read", async || {
        let (_, revisions) = api.call(Method::GET, path, &as_engineer, Value::Null).await;
        revisions["items"][0]["actor"] == "oidc:mia"
    })
    .await;
}

async fn a_client_of_the_realm_is_a_station(api: &Api, keycloak: &Keycloak) {
    let token = keycloak.sign_in_client("aoi-7").await;
    let (status, said) = api.create_at("AOI-7", &token).await;
    assert_eq!(status, 201, "{said}");
    let (status, said) = api.create_at("AOI-1", &token).await;
    assert_eq!(status, 403, "{said}");
    assert!(said["type"].as_str().unwrap().ends_with("out-of-reach"), "{said}");
}

async fn what_is_not_for_the_platform_is_refused(api: &Api, keycloak: &Keycloak) {
    let cook = keycloak.sign_in("cook").await.access;
    let (status, said) = api.read(&cook).await;
    assert_eq!(status, 403, "{said}");
    assert!(said["type"].as_str().unwrap().ends_with("no-role"), "{said}");
    let elsewhere = keycloak.sign_in_at("canteen-web", "mia").await.access;
    let (status, said) = api.read(&elsewhere).await;
    assert_eq!(
        (status.as_u16(), said["detail"].as_str().unwrap().contains("audience")),
        (401, true)
    );
    let tokens = keycloak.sign_in("mia").await;
    let (status, said) = api.read(&tokens.id).await;
    assert_eq!(
        (status.as_u16(), said["detail"].as_str().unwrap().contains("access token")),
        (401, true)
    );
    assert_eq!(api.read(&tokens.refresh).await.0, 401);
}

async fn a_logout_counts_when_the_token_expires(api: &Api, keycloak: &Keycloak) {
    let tokens = keycloak.sign_in("mia").await;
    keycloak.log_out(&tokens.refresh).await;
    assert_eq!(api.read(&tokens.access).await.0, 200, "nobody tells the platform of a logout");
}

/// Returns a token of the new key.
async fn keys_are_rotated(api: &Api, keycloak: &Keycloak, old: String) -> String {
    keycloak.add_key("newer", 200).await;
    let new = keycloak.sign_in("mia").await.access;
    let kid = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_ne!(kid(&new), kid(&old), "the control");
    until("the new key is believed", async || api.read(&new).await.0 == 200).await;
    assert_eq!(api.read(&old).await.0, 200, "until it expires, or its key goes");
    keycloak.disable_key("rsa-generated").await;
    until("the old key is forgotten", async || api.read(&old).await.0 == 401).await;
    assert_eq!(api.read(&new).await.0, 200);
    new
}
