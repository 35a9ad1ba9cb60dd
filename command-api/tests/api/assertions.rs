//! Clients that sign: what they send is worth one use, for minutes, here.

use domain::{AccessControlCommand as Command, Role};
use futures::future::join_all;
use platform::access::parse_public_key;
use serde_json::{Value, json};

use crate::principals::{ClientKeys, assertion_claims};
use crate::support::{Reply, TestApi, board};

const TYPE: &str = "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3A\
                    client-assertion-type%3Ajwt-bearer";

async fn ask(api: &TestApi, assertion: &str) -> Reply {
    let form = format!("grant_type=client_credentials&{TYPE}&client_assertion={assertion}");
    api.send_form("/v1/token", &form).await
}

fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "JWT" })
}

/// A client with a key, and another key that is not its own.
async fn world() -> (TestApi, ClientKeys, ClientKeys) {
    let (api, keys) = (TestApi::start().await, ClientKeys::generate());
    api.create_client_with("aoi-1", Role::Station, &keys).await;
    (api, keys, ClientKeys::generate())
}

#[tokio::test]
async fn an_assertion_is_worth_a_token_once() {
    let (api, keys, _) = world().await;
    let assertion = keys.sign(&header(), &assertion_claims("aoi-1", json!({})));
    let replies = join_all((0..8).map(|_| ask(&api, &assertion))).await;
    let good: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(good.len(), 1, "{replies:?}");
    let used = replies.iter().find(|reply| reply.status == 401).unwrap();
    assert_eq!(used.text("error"), "invalid_client");
    assert!(used.text("error_description").contains("used before"), "{used:?}");
    let call = api.post("/v1/inspections").token(&good[0].text("access_token"));
    assert_eq!(call.json(board()).send().await.status, 201);
    for audience in [json!(["else", "chipq"]), json!("chipq")] {
        let claims = assertion_claims("aoi-1", json!({ "aud": audience }));
        assert_eq!(ask(&api, &keys.sign(&header(), &claims)).await.status, 200);
    }
}

#[tokio::test]
async fn an_assertion_that_is_wrong_is_worth_nothing() {
    let (api, keys, other) = world().await;
    let now = chrono::Utc::now().timestamp();
    let changes = [
        ("audience", json!({ "aud": "https://elsewhere.example" })),
        ("no audience", json!({ "aud": [] })),
        ("issuer", json!({ "iss": "mes" })),
        ("expired", json!({ "exp": now - 60 })),
        ("of the future", json!({ "nbf": now + 120 })),
        ("issued later", json!({ "iat": now + 120 })),
        ("for an hour", json!({ "exp": now + 3_600 })),
        ("for ever", json!({ "exp": i64::MAX })),
        ("without an end", json!({ "exp": null })),
        ("without an id", json!({ "jti": null })),
        ("empty id", json!({ "jti": "" })),
        ("long id", json!({ "jti": "x".repeat(256) })),
        ("id of another type", json!({ "jti": 7 })),
        ("of nobody", json!({ "iss": "eve", "sub": "eve" })),
        ("of no name", json!({ "iss": "\u{430}oi-1", "sub": "\u{430}oi-1" })),
    ];
    for (what, change) in changes {
        let assertion = keys.sign(&header(), &assertion_claims("aoi-1", change));
        let reply = ask(&api, &assertion).await;
        assert_eq!((reply.status, reply.text("error")), (401, "invalid_client".into()), "{what}");
    }
    let claims = || assertion_claims("aoi-1", json!({}));
    let unsigned = keys.sign(&header(), &claims());
    let unsigned = unsigned.rsplit_once('.').unwrap().0;
    let cases = [
        other.sign(&header(), &claims()),
        keys.sign(&json!({ "alg": "none" }), &claims()),
        keys.sign(&json!({ "alg": "HS256" }), &claims()),
        keys.sign(&json!({ "alg": "ES256" }), &claims()),
        keys.sign(&json!({ "alg": "EdDSA", "crit": ["exp"] }), &claims()),
        format!("{unsigned}."),
        unsigned.to_owned(),
        api.token.clone(),
        "x".to_owned(),
        "x".repeat(50_000),
    ];
    for assertion in cases {
        let reply = ask(&api, &assertion).await;
        assert_eq!((reply.status, reply.text("error")), (401, "invalid_client".into()));
    }
    let as_token = keys.sign(&json!({ "alg": "EdDSA", "typ": "at+jwt" }), &claims());
    let as_token = api.post("/v1/inspections").token(&as_token).json(board()).send().await;
    assert_eq!(as_token.problem(), (401, "unauthorized".into()), "no access token");
    assert_eq!(ask(&api, &keys.sign(&header(), &claims())).await.status, 200, "the control");
}

#[tokio::test]
async fn a_client_with_a_key_proves_itself_in_one_way() {
    let (api, keys, other) = world().await;
    let assertion = || keys.sign(&header(), &assertion_claims("aoi-1", json!({})));
    let grant = "grant_type=client_credentials";
    let cases = [
        format!("{grant}&client_assertion={}", assertion()),
        format!("{grant}&{TYPE}"),
        format!("{grant}&client_assertion_type=saml&client_assertion={}", assertion()),
        format!("{grant}&{TYPE}&client_assertion={}&client_secret=x", assertion()),
        format!("{grant}&{TYPE}&client_assertion={}&client_id=mes", assertion()),
    ];
    for form in cases {
        let reply = api.send_form("/v1/token", &form).await;
        assert_eq!((reply.status, reply.text("error")), (400, "invalid_request".into()), "{form}");
    }
    let secret = format!("{grant}&client_id=aoi-1&client_secret=chipq_secret_x");
    let reply = api.send_form("/v1/token", &secret).await;
    assert_eq!((reply.status, reply.text("error")), (401, "invalid_client".into()));

    let (name, reason) = ("aoi-1".parse().unwrap(), "another machine".to_owned());
    let key = parse_public_key(&other.pem()).unwrap();
    api.change(Command::RegisterPublicKey { name, key, reason }).await;
    assert_eq!(ask(&api, &assertion()).await.status, 401, "the key before is worth nothing");
    let by_new = other.sign(&header(), &assertion_claims("aoi-1", json!({})));
    assert_eq!(ask(&api, &by_new).await.status, 200);
    let (name, reason) = ("aoi-1".parse().unwrap(), "sold".to_owned());
    api.change(Command::DisablePrincipal { name, reason }).await;
    let by_new = other.sign(&header(), &assertion_claims("aoi-1", json!({})));
    assert_eq!(ask(&api, &by_new).await.status, 401);
}

#[tokio::test]
async fn over_rest_a_client_is_given_a_key_another_key_and_a_secret() {
    let (api, keys, other) =
        (TestApi::start().await, ClientKeys::generate(), ClientKeys::generate());
    api.create_account("root", Role::Admin).await;
    let admin = api.sign_in("root").await.text("access_token");
    let post = |path: &str, body: Value| api.post(path).token(&admin).json(body);
    let client =
        |key: String| json!({"name": "mes", "role": "auditor", "public_key": key, "reason": "new"});
    for unusable in [String::new(), "x".repeat(20_000), api.token.clone()] {
        let refused = post("/v1/clients", client(unusable)).send().await;
        assert_eq!(refused.problem(), (422, "validation".to_owned()));
        assert_eq!(refused.json["errors"][0]["field"], "public_key", "{refused:?}");
    }
    let created = post("/v1/clients", client(keys.pem())).send().await;
    assert_eq!((created.status, created.json.get("client_secret")), (201, None), "{created:?}");
    api.follow_access().await;
    let by = |keys: &ClientKeys| keys.sign(&header(), &assertion_claims("mes", json!({})));
    assert_eq!(ask(&api, &by(&keys)).await.status, 200);

    let key = json!({"public_key": other.pem(), "reason": "another machine"});
    let rotated = post("/v1/clients/mes/rotate", key).send().await;
    assert_eq!((rotated.status, rotated.json.get("client_secret")), (200, None), "{rotated:?}");
    api.follow_access().await;
    assert_eq!(ask(&api, &by(&keys)).await.status, 401);
    assert_eq!(ask(&api, &by(&other)).await.status, 200);

    let rotated = post("/v1/clients/mes/rotate", json!({"reason": "no key"})).send().await;
    let secret = rotated.text("client_secret");
    api.follow_access().await;
    assert_eq!(ask(&api, &by(&other)).await.status, 401);
    let form = format!("grant_type=client_credentials&client_id=mes&client_secret={secret}");
    assert_eq!(api.send_form("/v1/token", &form).await.status, 200);
}
