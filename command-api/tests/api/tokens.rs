//! Tokens: given, believed and refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{TimeDelta, Utc};
use domain::{Reach, Role};
use platform::access::{AccessAdministration, NewClient};
use platform::auth::{Actor, KeyRing, TokenConfig, TokenIssuer, TokenVerifier};
use platform::event_log::ActorRef;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::pictures::{ended_early, jpeg};
use crate::support::{Reply, TestApi, board};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) async fn ask(api: &TestApi, form: &str) -> Reply {
    let call = api.post("/v1/token").without("authorization").without("idempotency-key");
    call.header("content-type", FORM).body(form).send().await
}

#[tokio::test]
async fn a_token_is_given_for_name_and_password() {
    let api = TestApi::start().await;
    for form in [
        "username=demo&password=demo",
        "grant_type=password&username=demo&password=demo",
        // What has no value counts as left out: Swagger UI sends no scopes so when none is chosen.
        "grant_type=&username=demo&password=demo&client_id=&scope=",
    ] {
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
        ("grant_type=client_credentials", "invalid_request"),
        ("grant_type=client_credentials&client_id=aoi-1", "invalid_request"),
        ("grant_type=refresh_token", "invalid_request"),
        ("grant_type=authorization_code", "unsupported_grant_type"),
        ("username=demo&password=&password=demo&password=demo", "invalid_request"),
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

/// A client for the station AOI-1, with its secret.
pub(crate) async fn create_client(api: &TestApi) -> String {
    let administration = AccessAdministration::new(api.log.clone(), api.pool.clone());
    let by = ActorRef::new("ada", &["admin"]);
    let stations = BTreeSet::from(["AOI-1".parse().unwrap()]);
    let reach = Reach::new(stations, BTreeSet::new()).unwrap();
    let client = NewClient { name: "aoi-1".parse().unwrap(), role: Role::Station, reach };
    let created = administration.create_client(by, client, "new".to_owned()).await.unwrap();
    api.register.publish(administration.read().await.unwrap());
    created.client_secret.expose_secret().to_owned()
}

#[tokio::test]
async fn a_client_gets_a_token_by_its_secret_in_the_header_or_in_the_form() {
    let api = TestApi::start().await;
    let secret = create_client(&api).await;
    let basic =
        |id: &str, secret: &str| format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let ask_with = async |basic: &str, form: &str| {
        let call = api.post("/v1/token").without("authorization").without("idempotency-key");
        let call = call.header("content-type", FORM).header("authorization", basic);
        call.body(form.to_owned()).send().await
    };
    let grant = "grant_type=client_credentials";
    let by_form = ask(&api, &format!("{grant}&client_id=AOI-1&client_secret={secret}")).await;
    let by_header = ask_with(&basic("aoi-1", &secret), grant).await;
    let escaped = ask_with(&basic("aoi%2D1", &secret), &format!("{grant}&client_id=aoi-1")).await;
    for reply in [by_form, by_header, escaped] {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.text("scope"), "inspections:read inspections:write parts:read");
        let call = api.post("/v1/inspections").token(&reply.text("access_token"));
        assert_eq!(call.json(board()).send().await.status, 201);
    }
    let wrong = ask_with(&basic("aoi-1", "x"), grant).await;
    assert_eq!((wrong.status, wrong.text("error")), (401, "invalid_client".into()));
    assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"chipq\""));
    let wrong = ask(&api, &format!("{grant}&client_id=aoi-2&client_secret={secret}")).await;
    assert_eq!((wrong.status, wrong.text("error")), (401, "invalid_client".into()));
    assert_eq!(wrong.header("www-authenticate"), None);
    for malformed in ["Basic", "Basic !", "Bearer x", "Basic YW9pLTE="] {
        let reply = ask_with(malformed, grant).await;
        assert_eq!(
            (reply.status, reply.text("error")),
            (401, "invalid_client".into()),
            "{malformed}"
        );
    }
    let both = ask_with(&basic("aoi-1", &secret), &format!("{grant}&client_secret={secret}")).await;
    assert_eq!((both.status, both.text("error")), (400, "invalid_request".into()));
    let as_person = ask(&api, &format!("username=aoi-1&password={secret}")).await;
    assert_eq!((as_person.status, as_person.text("error")), (400, "invalid_grant".into()));
}

/// The answer's status and problem, in short.
fn outcome(reply: &Reply) -> (u16, String) {
    if reply.status < 400 { (reply.status, String::new()) } else { reply.problem() }
}

#[tokio::test]
async fn a_station_does_nothing_at_another_station() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let at = |station: &str| json!({ "lot": "L-1", "part": "PCB-1", "station": station });
    let created = api.post("/v1/inspections").json(at("AOI-2")).send().await;
    let elsewhere = created.text("inspection_id");
    let (artifact, url) = api.reserve(&elsewhere).await;
    let (damaged, _) = api.reserve(&elsewhere).await;
    api.put_to_rest(&damaged, ended_early()).await;
    let secret = create_client(&api).await;
    let form = format!("grant_type=client_credentials&client_id=aoi-1&client_secret={secret}");
    let token = ask(&api, &form).await.text("access_token");
    let post = async |path: &str, body: Option<Value>| {
        let call = api.post(path).token(&token);
        let call = if let Some(body) = body { call.json(body) } else { call };
        call.send().await
    };
    let out_of_reach = (403, "out-of-reach".to_owned());
    let own = post("/v1/inspections", Some(at("AOI-1"))).await;
    assert_eq!(outcome(&own), (201, String::new()));
    let own = format!("/v1/inspections/{}", own.text("inspection_id"));
    let announced = post(&format!("{own}/artifacts?type=image/jpeg"), None).await;
    assert_eq!(outcome(&announced), (201, String::new()));
    // What is told of one's own pictures, and of nobody else's.
    let complete = format!("{own}/artifacts/{}/complete", announced.text("artifact_id"));
    let not_uploaded = (409, "artifact-not-uploaded".to_owned());
    assert_eq!(outcome(&post(&complete, None).await), not_uploaded);
    let unknown = post(&format!("{own}/artifacts/{artifact}/complete"), None).await;
    assert_eq!(outcome(&unknown), (404, "artifact-not-found".to_owned()));

    let before = api.head().await;
    assert_eq!(outcome(&post("/v1/inspections", Some(at("AOI-2"))).await), out_of_reach);
    let other = format!("/v1/inspections/{elsewhere}");
    let picture = format!("{other}/artifacts/{artifact}");
    for path in [
        format!("{other}/artifacts?type=image/jpeg"),
        format!("{other}/infer"),
        format!("{picture}/renew"),
        format!("{picture}/cancel"),
        format!("{picture}/complete"),
        // No artifact has the id of an inspection.
        format!("{other}/artifacts/{elsewhere}/complete"),
        // Whoever reads that one finds it unreadable.
        format!("{other}/artifacts/{damaged}/complete"),
    ] {
        assert_eq!(outcome(&post(&path, None).await), out_of_reach, "{path}");
    }
    assert_eq!(api.head().await, before, "nothing was appended");
    // The URL of a picture carries its own permission, given to whoever might announce it.
    assert_eq!(api.put(&url, jpeg(1)).send().await.status, 201);
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

pub(crate) fn decode(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encode(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}
