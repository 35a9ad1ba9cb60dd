//! Tokens that are taken back, and asked about.

use chrono::{TimeDelta, Utc};
use domain::{AccessControlCommand as Command, Role};
use platform::auth::{Actor, KeyRing, TokenConfig, TokenIssuer};
use serde_json::json;

use crate::principals::{OtherProcess, basic};
use crate::support::{Reply, TestApi, board};

const REVOKE: &str = "/v1/token/revoke";
const INTROSPECT: &str = "/v1/token/introspect";

async fn revoke(api: &TestApi, authorization: Option<&str>, token: &str) -> Reply {
    let reply = api.send_form_as(REVOKE, authorization, &format!("token={token}")).await;
    assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
    reply
}

pub(crate) async fn token_of_client(api: &TestApi, id: &str, secret: &str) -> String {
    let form = "grant_type=client_credentials";
    let reply = api.send_form_as("/v1/token", Some(&basic(id, secret)), form).await;
    reply.text("access_token")
}

#[tokio::test]
async fn signing_out_by_either_token_ends_the_session_in_every_process() {
    let api = TestApi::start().await;
    api.create_account("mia", Role::Engineer).await;
    let process = OtherProcess::start(&api).await;
    for by in ["refresh_token", "access_token"] {
        let (signed_in, other) = (api.sign_in("mia").await, api.sign_in("mia").await);
        let (access, refresh) = (signed_in.text("access_token"), signed_in.text("refresh_token"));
        assert!(process.believes(&access), "the control");
        assert_eq!(revoke(&api, None, &signed_in.text(by)).await.status, 200);
        process.until_revoked(&access).await;
        api.follow_access().await;
        let replayed = api.post("/v1/inspections").token(&access).json(board()).send().await;
        assert_eq!(replayed.problem(), (401, "unauthorized".into()));
        assert_eq!(api.refresh(&refresh).await.text("error"), "invalid_grant");
        assert!(process.believes(&other.text("access_token")), "the other session goes on");
        assert_eq!(revoke(&api, None, &signed_in.text(by)).await.status, 200, "a second time");
    }
    let ended = "SessionEnded revoked";
    assert_eq!(api.access_events().await, ["PrincipalCreated", ended, ended]);
}

#[tokio::test]
async fn a_client_takes_back_one_token_of_its_own_and_of_nobody_else() {
    let api = TestApi::start().await;
    let (mes, erp) = (
        api.create_client_as("mes", Role::Auditor).await,
        api.create_client_as("erp", Role::Auditor).await,
    );
    let (taken, kept) =
        (token_of_client(&api, "mes", &mes).await, token_of_client(&api, "mes", &mes).await);
    let process = OtherProcess::start(&api).await;
    let nobody = revoke(&api, None, &taken).await;
    assert_eq!((nobody.status, nobody.text("error")), (401, "invalid_client".into()));
    let wrong = revoke(&api, Some(&basic("mes", "x")), &taken).await;
    assert_eq!((wrong.status, wrong.text("error")), (401, "invalid_client".into()));
    let other = revoke(&api, Some(&basic("erp", &erp)), &taken).await;
    assert_eq!((other.status, other.text("error")), (400, "invalid_grant".into()));
    assert!(process.believes(&taken));

    assert_eq!(revoke(&api, Some(&basic("mes", &mes)), &taken).await.status, 200);
    process.until_revoked(&taken).await;
    assert!(process.believes(&kept));
    let events = api.access_events().await;
    assert_eq!(events, ["PrincipalCreated", "PrincipalCreated", "TokenRevoked"]);
}

#[tokio::test]
async fn nobody_learns_whether_a_token_was_one() {
    let api = TestApi::start().await;
    let secret = api.create_client_as("mes", Role::Auditor).await;
    let foreign = tempfile::tempdir().unwrap();
    let keys = KeyRing::open(foreign.path(), Utc::now()).unwrap();
    let foreign = TokenIssuer::new(keys, TokenConfig::default());
    let auditor = Actor::with_roles("mes", &["auditor"]);
    let foreign = foreign.issue(&auditor, Utc::now()).unwrap().token;
    let before = Utc::now() - TimeDelta::hours(1);
    let expired = api.issuer.issue(&Actor { revision: Some(1), ..auditor }, before).unwrap().token;
    let unknown = format!("chipq_refresh_{}", "A".repeat(43));
    let head = api.head().await;
    for token in ["x", "a.b.c", &foreign, &expired, &unknown, &"x".repeat(50_000)] {
        for authorization in [None, Some(basic("mes", &secret))] {
            let reply = revoke(&api, authorization.as_deref(), token).await;
            assert_eq!((reply.status, reply.bytes.len()), (200, 0), "{token:.30}");
        }
    }
    assert_eq!(api.head().await, head, "nothing was appended");
    let none = api.send_form(REVOKE, "token_type_hint=access_token").await;
    assert_eq!((none.status, none.text("error")), (400, "invalid_request".into()));
    let demo = revoke(&api, None, &api.token).await;
    assert_eq!((demo.status, demo.text("error")), (400, "unsupported_token_type".into()));
}

async fn introspect(api: &TestApi, authorization: &str, token: &str) -> Reply {
    api.send_form_as(INTROSPECT, Some(authorization), &format!("token={token}")).await
}

#[tokio::test]
async fn a_resource_server_is_told_what_a_token_is_worth_now() {
    let api = TestApi::start().await;
    api.create_account("mia", Role::Operator).await;
    let secret = api.create_client_as("mes", Role::Auditor).await;
    let (as_mes, signed_in) = (basic("mes", &secret), api.sign_in("mia").await);
    let token = signed_in.text("access_token");
    let reply = introspect(&api, &as_mes, &token).await;
    assert_eq!((reply.status, reply.header("cache-control")), (200, Some("no-store")));
    assert_eq!(reply.json["active"], true, "{reply:?}");
    for (field, value) in [
        ("sub", json!("mia")),
        ("username", json!("mia")),
        ("client_id", json!("chipq:first-party")),
        ("token_type", json!("Bearer")),
        ("iss", json!("chipq")),
        ("aud", json!("chipq")),
        ("scope", signed_in.json["scope"].clone()),
        ("roles", json!(["operator"])),
    ] {
        assert_eq!(reply.json.get(field).cloned().unwrap_or_default(), value, "{field}");
    }
    assert_eq!(reply.json["exp"].as_i64().unwrap() - reply.json["iat"].as_i64().unwrap(), 900);
    let own = token_of_client(&api, "mes", &secret).await;
    let by_token = introspect(&api, &format!("Bearer {own}"), &own).await;
    assert_eq!(
        (&by_token.json["active"], &by_token.json["client_id"]),
        (&json!(true), &json!("mes"))
    );

    revoke(&api, None, &signed_in.text("refresh_token")).await;
    api.follow_access().await;
    for worthless in [&*token, &signed_in.text("refresh_token"), "x", "a.b.c", &"x".repeat(50_000)]
    {
        let reply = introspect(&api, &as_mes, worthless).await;
        assert_eq!((reply.status, &reply.json), (200, &json!({ "active": false })));
    }
}

#[tokio::test]
async fn only_who_may_asks_about_tokens() {
    let api = TestApi::start().await;
    let (station, mes) = (
        api.create_client_as("aoi-1", Role::Station).await,
        api.create_client_as("mes", Role::Auditor).await,
    );
    let may_not = introspect(&api, &basic("aoi-1", &station), &api.token).await;
    assert_eq!(may_not.problem(), (403, "missing-scope".into()));
    let may_not = introspect(&api, &format!("Bearer {}", api.token), &api.token).await;
    assert_eq!(may_not.problem(), (403, "missing-scope".into()));
    let nobody = api.send_form(INTROSPECT, &format!("token={}", api.token)).await;
    assert_eq!((nobody.status, nobody.text("error")), (401, "invalid_client".into()));
    let wrong = introspect(&api, &basic("mes", "x"), &api.token).await;
    assert_eq!((wrong.status, wrong.text("error")), (401, "invalid_client".into()));
    let forged = introspect(&api, "Bearer a.b.c", &api.token).await;
    assert_eq!(forged.problem(), (401, "unauthorized".into()));
    assert_eq!(introspect(&api, &basic("mes", &mes), &api.token).await.status, 200, "the control");
    let (name, reason) = ("mes".parse().unwrap(), "sold".to_owned());
    api.change(Command::DisablePrincipal { name, reason }).await;
    let disabled = introspect(&api, &basic("mes", &mes), &api.token).await;
    assert_eq!((disabled.status, disabled.text("error")), (401, "invalid_client".into()));
}
