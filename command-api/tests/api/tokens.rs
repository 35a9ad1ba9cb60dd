//! Tokens: given, believed and refused.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};
use platform::auth::{Actor, KeyRing, TokenConfig, TokenIssuer, TokenVerifier};
use serde_json::{Value, json};

use crate::support::{Reply, TestApi, board};

const FORM: &str = "application/x-www-form-urlencoded";

async fn ask(api: &TestApi, form: &str) -> Reply {
    let call = api.post("/v1/token").without("authorization").without("idempotency-key");
    call.header("content-type", FORM).body(form).send().await
}

#[tokio::test]
async fn a_token_is_given_for_name_and_password() {
    let api = TestApi::start().await;
    for form in ["username=demo&password=demo", "grant_type=password&username=demo&password=demo"] {
        let reply = ask(&api, form).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(
            (reply.text("token_type"), &reply.json["expires_in"]),
            ("Bearer".into(), &json!(900))
        );
        assert!(reply.text("scope").contains("inspections:write"));
        let call = api.post("/v1/inspections").token(&reply.text("access_token"));
        assert_eq!(call.json(board()).send().await.status, 201);
    }
    let narrow = ask(&api, "username=demo&password=demo&scope=parts:read").await;
    assert_eq!(narrow.text("scope"), "parts:read");
    let call = api.post("/v1/inspections").token(&narrow.text("access_token")).json(board());
    assert_eq!(call.send().await.problem(), (403, "missing-scope".into()));
}

#[tokio::test]
async fn a_token_is_refused_as_oauth_does() {
    let api = TestApi::start().await;
    let cases = [
        ("username=demo&password=wrong", "invalid_grant"),
        ("username=nobody&password=demo", "invalid_grant"),
        ("username=demo", "invalid_request"),
        ("", "invalid_request"),
        ("username=demo&password=demo&password=demo", "invalid_request"),
        ("grant_type=client_credentials", "unsupported_grant_type"),
        ("grant_type=&username=demo&password=demo", "unsupported_grant_type"),
        ("username=demo&password=demo&scope=projections:write", "invalid_scope"),
        ("username=demo&password=demo&scope=everything", "invalid_scope"),
    ];
    for (form, error) in cases {
        let reply = ask(&api, form).await;
        assert_eq!((reply.status, reply.text("error")), (400, error.to_owned()), "{form}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let json = api.post("/v1/token").json(json!({ "username": "demo", "password": "demo" }));
    assert_eq!(json.send().await.text("error"), "invalid_request");
}

#[tokio::test]
async fn tokens_that_are_not_believed() {
    let api = TestApi::start().await;
    let demo = Actor::with_roles("demo", &["engineer"]);
    let an_hour_ago = Utc::now() - TimeDelta::hours(1);
    let expired = api.issuer.issue(&demo, an_hour_ago).unwrap().token;
    let early = api.issuer.issue(&demo, Utc::now() + TimeDelta::hours(1)).unwrap().token;
    let elsewhere = tempfile::tempdir().unwrap();
    let keys = KeyRing::open(elsewhere.path(), Utc::now()).unwrap();
    let foreign = TokenIssuer::new(keys, TokenConfig::default());
    let foreign = foreign.issue(&demo, Utc::now()).unwrap().token;
    let config = TokenConfig { audience: "others".to_owned(), ..TokenConfig::default() };
    let keys = KeyRing::open(api.data.path(), Utc::now()).unwrap();
    let for_others = TokenIssuer::new(keys, config).issue(&demo, Utc::now()).unwrap().token;
    let parts: Vec<&str> = api.token.split('.').collect();
    let reheaded = |alg: &str| {
        let header: Value = decode(parts[0]);
        let header = encode(&json!({ "typ": "at+jwt", "alg": alg, "kid": header["kid"] }));
        format!("{header}.{}.{}", parts[1], parts[2])
    };
    let mut claims: Value = decode(parts[1]);
    claims["sub"] = json!("admin");
    let tampered = format!("{}.{}.{}", parts[0], encode(&claims), parts[2]);
    let unsigned = format!("{}.{}.", reheaded("none").split('.').next().unwrap(), parts[1]);
    let cases = [
        ("expired", expired),
        ("of the future", early),
        ("of a foreign key", foreign),
        ("for another audience", for_others),
        ("tampered", tampered),
        ("of a symmetric algorithm", reheaded("HS256")),
        ("of another algorithm", reheaded("ES256")),
        ("unsigned", unsigned),
        ("no JWT", "demo".to_owned()),
        ("empty", String::new()),
        ("overlong", "x".repeat(100_000)),
    ];
    for (what, token) in cases {
        let reply = api.post("/v1/inspections").token(&token).json(board()).send().await;
        assert_eq!(reply.problem(), (401, "unauthorized".into()), "{what}");
        let challenge = reply.header("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer realm=\"chipq\""), "{what}: {challenge}");
    }
    let basic = api.post("/v1/inspections").header("authorization", "Basic ZGVtbzpkZW1v");
    assert_eq!(basic.json(board()).send().await.problem(), (401, "unauthorized".into()));
    let none = api.post("/v1/inspections").without("authorization").json(board());
    assert_eq!(none.send().await.problem(), (401, "unauthorized".into()));
    assert_eq!(api.head().await.0, 0);
}

#[tokio::test]
async fn each_command_needs_its_scope_and_says_which() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let head = api.head().await;
    let auditor = api.token_of("ada", &["auditor"]);
    let station = api.token_of("aoi-1", &["station"]);
    let cases = [
        ("/v1/parts".to_owned(), &station, "parts:write"),
        ("/v1/parts/P/golden-sample?type=image/png".to_owned(), &station, "parts:write"),
        ("/v1/inspections".to_owned(), &auditor, "inspections:write"),
        (format!("/v1/inspections/{id}/artifacts?type=image/png"), &auditor, "inspections:write"),
        (format!("/v1/inspections/{id}/artifacts/{id}/complete"), &auditor, "inspections:write"),
        (format!("/v1/inspections/{id}/infer"), &auditor, "inspections:write"),
        (format!("/v1/inspections/{id}/void"), &station, "inspections:void"),
    ];
    for (path, token, scope) in cases {
        let reply = api.post(path.as_str()).token(token).send().await;
        assert_eq!(reply.problem(), (403, "missing-scope".into()), "{path}");
        assert_eq!(reply.json["scope"], scope, "{path}");
    }
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn the_published_keys_verify_the_tokens() {
    let api = TestApi::start().await;
    let reply = api.get("/.well-known/jwks.json").send().await;
    assert_eq!((reply.status, &reply.json["keys"][0]["crv"]), (200, &json!("Ed25519")));
    assert!(reply.json["keys"][0].get("d").is_none(), "the private half is published");
    let verifier = TokenVerifier::from_jwks(&reply.json, TokenConfig::default()).unwrap();
    let actor = Arc::new(verifier).verify(&api.token, Utc::now()).unwrap();
    assert_eq!(actor.subject, "demo");
}

fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
