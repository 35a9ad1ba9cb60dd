//! Accounts and clients over REST: who may change what, and that a secret is told once and kept nowhere.

use command_api::CommandApiConfig;
use domain::{PrincipalKind, Reach, Role};
use platform::access::{NewAccount, NewClient};
use platform::auth::{RoleScopes, TokenConfig};
use platform::event_log::ActorRef;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::support::{Call, Reply, TestApi};

const PASSWORD: &str = "tulip anvil quartz meridian";
const OTHER_PASSWORD: &str = "granite otter lantern voyage";

async fn sign_in(api: &TestApi, form: &str) -> Reply {
    api.follow_access().await;
    let call = api.post("/v1/token").without("authorization").without("idempotency-key");
    call.header("content-type", "application/x-www-form-urlencoded").body(form).send().await
}

async fn token_of(api: &TestApi, name: &str, password: &str) -> String {
    let form = format!("username={name}&password={}", password.replace(' ', "+"));
    let reply = sign_in(api, &form).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.text("access_token")
}

/// An installation with an administrator, and a token of that.
async fn claimed(api: &TestApi) -> String {
    let code = api.administration().issue_claim_code(operator(), "start".into()).await.unwrap();
    let claim = claim(api, code.code.expose_secret(), "ada").send().await;
    assert_eq!(claim.status, 201, "{claim:?}");
    token_of(api, "ada", PASSWORD).await
}

fn operator() -> ActorRef {
    ActorRef::for_service("test")
}

fn claim(api: &TestApi, code: &str, name: &str) -> Call {
    let call = api.post("/v1/claim").without("authorization").without("idempotency-key");
    call.json(json!({"code": code, "name": name, "password": PASSWORD}))
}

fn bob() -> Value {
    json!({"name": "bob", "display_name": "Bob", "role": "operator", "stations": ["AOI-1"],
        "password": PASSWORD, "reason": "line 2"})
}

fn station() -> Value {
    json!({"name": "aoi-1", "role": "station", "stations": ["AOI-1"], "reason": "new"})
}

/// Everything that is kept, but for the digests of secrets.
async fn everything_kept(api: &TestApi) -> String {
    let sql = "SELECT (SELECT string_agg(events::text, ' ') FROM events) ||
        (SELECT string_agg(idempotency_keys::text || encode(fingerprint, 'hex'), ' ')
         FROM idempotency_keys)";
    sqlx::query_scalar(sql).fetch_one(&api.pool).await.unwrap()
}

#[tokio::test]
async fn whoever_has_the_code_becomes_the_first_administrator_once() {
    let api = TestApi::start().await;
    let wrong = claim(&api, "0123", "ada").send().await;
    assert_eq!(wrong.problem(), (403, "wrong-claim-code".to_owned()));
    let code = api.administration().issue_claim_code(operator(), "start".into()).await.unwrap();
    let code = code.code.expose_secret();
    let guessed = json!({"code": code, "name": "ada", "password": "passwordpassword"});
    let guessed = claim(&api, code, "ada").json(guessed).send().await;
    assert_eq!(guessed.problem(), (422, "validation".to_owned()));
    let reserved = claim(&api, code, "demo").send().await;
    assert_eq!(reserved.problem(), (409, "reserved-name".to_owned()));
    let done = claim(&api, code, "Ada").send().await;
    assert_eq!((done.status, done.json.clone()), (201, json!({"name": "ada"})));
    assert_eq!(done.header("location"), Some("/v1/accounts/ada"));
    assert_eq!(done.header("cache-control"), Some("no-store"));
    let again = claim(&api, code, "eve").send().await;
    assert_eq!(again.problem(), (409, "already-claimed".to_owned()));

    let token = token_of(&api, "ada", PASSWORD).await;
    let own = api.get("/v1/accounts/ada").token(&token).send().await;
    assert_eq!((own.status, own.text("role")), (200, "admin".to_owned()));
    assert!(!everything_kept_or_nothing(&api).await.contains(PASSWORD));
}

/// The same where no key was ever used.
async fn everything_kept_or_nothing(api: &TestApi) -> String {
    let sql = "SELECT string_agg(events::text, ' ') FROM events";
    sqlx::query_scalar(sql).fetch_one(&api.pool).await.unwrap()
}

#[tokio::test]
async fn a_claim_is_tried_as_often_as_an_address_may_ask_for_a_token() {
    let one = std::num::NonZeroU32::MIN;
    let config = CommandApiConfig {
        token_rate_per_second: one,
        token_rate_burst: one,
        ..CommandApiConfig::default()
    };
    let api = TestApi::start_with(config, |log| log).await;
    assert_eq!(claim(&api, "0123", "ada").send().await.status, 403);
    let refused = claim(&api, "0123", "ada").send().await;
    assert_eq!(refused.problem(), (429, "too-many-requests".to_owned()));
}

#[tokio::test]
async fn a_secret_of_a_client_is_in_one_answer_and_is_kept_nowhere() {
    let api = TestApi::start().await;
    let token = claimed(&api).await;
    let create = api.post("/v1/clients").token(&token).json(station());
    let created = create.clone().send().await;
    assert_eq!(created.status, 201, "{created:?}");
    assert_eq!(created.header("cache-control"), Some("no-store"));
    assert_eq!(created.header("location"), Some("/v1/clients/aoi-1"));
    let secret = created.text("client_secret");
    assert!(!everything_kept(&api).await.contains(&secret));
    let form = |secret: &str| {
        format!("grant_type=client_credentials&client_id=aoi-1&client_secret={secret}")
    };
    assert_eq!(sign_in(&api, &form(&secret)).await.status, 200);

    let again = create.send().await;
    assert!(again.is_replay() && again.json.get("client_secret").is_none(), "{again:?}");
    assert_eq!((again.status, again.text("name")), (201, "aoi-1".to_owned()));
    assert_eq!(sign_in(&api, &form(&secret)).await.status, 200, "a replay changes nothing");

    let rotate = api.post("/v1/clients/aoi-1/rotate").token(&token).json(json!({"reason": "lost"}));
    let rotated = rotate.clone().send().await;
    let next = rotated.text("client_secret");
    assert_eq!((rotated.status, rotated.json["revision"].clone()), (200, json!(2)));
    assert_eq!(sign_in(&api, &form(&secret)).await.status, 401);
    assert_eq!(sign_in(&api, &form(&next)).await.status, 200);
    assert!(rotate.send().await.json.get("client_secret").is_none());
    let kept = everything_kept(&api).await;
    assert!(kept.contains("aoi-1") && !kept.contains(&next), "{kept}");
}

#[tokio::test]
async fn a_password_is_told_apart_by_a_mark_that_tells_nothing_of_it() {
    let api = TestApi::start().await;
    let token = claimed(&api).await;
    let create = api.post("/v1/accounts").token(&token);
    let created = create.clone().json(bob()).send().await;
    assert_eq!(created.status, 201, "{created:?}");
    assert!(create.clone().json(bob()).send().await.is_replay());
    let mut other = bob();
    other["password"] = OTHER_PASSWORD.into();
    let refused = create.json(other).send().await;
    assert_eq!(refused.problem(), (422, "idempotency-key-reused".to_owned()));
    token_of(&api, "bob", PASSWORD).await;

    let change = json!({"password": OTHER_PASSWORD, "reason": "forgotten"});
    let changed = api.post("/v1/accounts/bob/password").token(&token).json(change).send().await;
    assert_eq!((changed.status, changed.json["revision"].clone()), (200, json!(2)));
    token_of(&api, "bob", OTHER_PASSWORD).await;
    let form = format!("username=bob&password={}", PASSWORD.replace(' ', "+"));
    assert_eq!(sign_in(&api, &form).await.status, 400);
    let kept = everything_kept(&api).await;
    for secret in [PASSWORD, OTHER_PASSWORD] {
        assert!(!kept.contains(secret));
        // Nor a digest that everybody could compute of words that come to mind.
        for text in [secret.to_owned(), format!("{{\"password\":\"{secret}\"}}")] {
            assert!(!kept.contains(&domain::Sha256::digest_of(text.as_bytes()).to_string()));
        }
    }
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM access_credentials")
        .fetch_one(&api.pool)
        .await
        .unwrap();
    assert_eq!(kept, 3, "of ada one, of bob two, and none of what was refused");
}

#[tokio::test]
async fn accounts_and_clients_are_changed_and_read_as_they_were_changed() {
    let api = TestApi::start().await;
    let token = claimed(&api).await;
    for (path, body) in [("/v1/accounts", bob()), ("/v1/clients", station())] {
        assert_eq!(api.post(path).token(&token).json(body).send().await.status, 201);
    }
    let reach = json!({"stations": [], "parts": ["PCB-1"], "reason": "x"});
    for (path, body, field, value) in [
        (
            "/v1/accounts/bob/role",
            json!({"role": "quality", "reason": "x"}),
            "role",
            json!("quality"),
        ),
        ("/v1/accounts/bob/reach", reach, "parts", json!(["PCB-1"])),
        ("/v1/accounts/bob/disable", json!({"reason": "x"}), "enabled", json!(false)),
        ("/v1/accounts/bob/enable", json!({"reason": "x"}), "enabled", json!(true)),
        ("/v1/clients/aoi-1/disable", json!({"reason": "x"}), "enabled", json!(false)),
        (
            "/v1/clients/aoi-1/role",
            json!({"role": "operator", "reason": "x"}),
            "role",
            json!("operator"),
        ),
    ] {
        let changed = api.post(path).token(&token).json(body).send().await;
        assert_eq!((changed.status, &changed.json[field]), (200, &value), "{path} {changed:?}");
        let (resource, _) = path.rsplit_once('/').unwrap();
        let read = api.get(resource).token(&token).send().await;
        assert_eq!(read.json, changed.json, "{path}");
        assert_eq!(read.header("etag"), changed.header("etag"));
        assert_eq!(read.header("cache-control"), Some("no-store"));
    }

    let seen = api.get("/v1/accounts/bob").token(&token).send().await;
    let etag = seen.header("etag").unwrap().to_owned();
    let disable = |name: &str| {
        let call = api.post(format!("/v1/accounts/{name}/disable")).token(&token);
        call.json(json!({"reason": "x"})).header("if-match", &etag)
    };
    assert_eq!(disable("bob").send().await.status, 200);
    assert_eq!(disable("bob").send().await.problem(), (412, "precondition-failed".to_owned()));
    let last = api.post("/v1/accounts/ada/disable").token(&token).json(json!({"reason": "x"}));
    assert_eq!(last.send().await.problem(), (409, "last-administrator".to_owned()));

    let names = |reply: &Reply| {
        let items = reply.json["items"].as_array().unwrap().iter();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = api.get("/v1/accounts?limit=1").token(&token).send().await;
    assert_eq!((names(&first), first.text("next")), (vec!["ada".to_owned()], "ada".to_owned()));
    let second = api.get("/v1/accounts?limit=1&after=ada").token(&token).send().await;
    assert_eq!((names(&second), &second.json["next"]), (vec!["bob".to_owned()], &Value::Null));
    assert_eq!(names(&api.get("/v1/clients").token(&token).send().await), ["aoi-1"]);
    for (query, problem) in [("limit=0", 422), ("limit=201", 422), ("after=%20", 422), ("x=1", 400)]
    {
        let refused = api.get(&format!("/v1/accounts?{query}")).token(&token).send().await;
        assert_eq!(refused.problem().0, problem, "{query}");
    }
}

#[tokio::test]
async fn a_name_of_the_other_kind_is_nobody_s() {
    let api = TestApi::start().await;
    let token = claimed(&api).await;
    assert_eq!(api.post("/v1/clients").token(&token).json(station()).send().await.status, 201);
    let (reason, not_found) = (json!({"reason": "x"}), (404, "principal-not-found".to_owned()));
    for path in [
        "/v1/accounts/aoi-1/disable",
        "/v1/clients/ada/disable",
        "/v1/clients/ada/rotate",
        "/v1/accounts/nobody/enable",
        "/v1/accounts/a%20b/enable",
    ] {
        let refused = api.post(path).token(&token).json(reason.clone()).send().await;
        assert_eq!(refused.problem(), not_found, "{path}");
    }
    for path in ["/v1/accounts/aoi-1", "/v1/clients/ada", "/v1/accounts/%00"] {
        assert_eq!(
            api.get(path).token(&token).send().await.status,
            if path.contains("%00") { 400 } else { 404 }
        );
    }
}

#[tokio::test]
async fn bad_input_is_named_field_by_field() {
    let api = TestApi::start().await;
    let token = claimed(&api).await;
    let post = |body: Value| api.post("/v1/accounts").token(&token).json(body).send();
    let mut wrong = bob();
    for (field, value) in [
        ("name", json!("böb")),
        ("display_name", json!(" ")),
        ("role", json!("boss")),
        ("stations", json!([""])),
        ("parts", json!(["x".repeat(65)])),
        ("reason", json!("")),
    ] {
        wrong[field] = value;
    }
    let refused = post(wrong).await;
    assert_eq!(refused.problem(), (422, "validation".to_owned()));
    let errors = refused.json["errors"].as_array().unwrap().iter();
    let fields: Vec<_> = errors.map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "display_name", "role", "stations", "parts", "reason"]);

    for (field, value, problem) in [
        ("password", json!("short"), "validation"),
        ("password", json!("passwordpassword"), "validation"),
        ("password", json!("x7Q".repeat(10_000)), "validation"),
        ("password", json!("x".repeat(70_000)), "payload-too-large"),
        ("stations", json!((0..257).map(|n| format!("S{n}")).collect::<Vec<_>>()), "validation"),
        ("name", json!("demo"), "reserved-name"),
        ("name", json!("ADA"), "name-taken"),
        ("role", json!("station"), "station-is-no-person"),
        ("role", json!("admin"), "limited-administrator"),
        ("client_secret", json!("mine"), "validation"),
    ] {
        let mut body = bob();
        body[field] = value;
        assert_eq!(post(body).await.problem().1, problem, "{field}");
    }
    let nowhere = json!({"name": "aoi-1", "role": "station", "reason": "x"});
    let refused = api.post("/v1/clients").token(&token).json(nowhere).send().await;
    assert_eq!(refused.problem(), (409, "station-without-station".to_owned()));
}

fn quality_keeps_accounts() -> RoleScopes {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roles.json");
    let of_quality = json!({"quality": ["inspections:read", "inspections:write", "parts:read",
        "reports:read", "access:read", "access:write"]});
    std::fs::write(&file, of_quality.to_string()).unwrap();
    RoleScopes::read(&file).unwrap()
}

#[tokio::test]
async fn only_who_may_reads_and_changes_and_nobody_more_than_they_hold() {
    let issued = (TokenConfig::default(), quality_keeps_accounts());
    let api = TestApi::start_where(issued, CommandApiConfig::default(), |log| log).await;
    let ada = claimed(&api).await;
    let aoi_1 = || Reach::new(["AOI-1".parse().unwrap()].into(), [].into()).unwrap();
    for (name, role, reach) in [
        ("eve", Role::Quality, aoi_1()),
        ("quinn", Role::Quality, Reach::everywhere()),
        ("bob", Role::Operator, aoi_1()),
        ("otto", Role::Operator, Reach::everywhere()),
        ("audrey", Role::Auditor, Reach::everywhere()),
    ] {
        let account = NewAccount { name: name.parse().unwrap(), display_name: None, role, reach };
        let (administration, password) = (api.administration(), PASSWORD.into());
        let created = administration.create_account(operator(), account, &password, "x".into());
        created.await.unwrap();
    }
    let (name, role) = ("aoi-2".parse().unwrap(), Role::Station);
    let reach = Reach::new(["AOI-2".parse().unwrap()].into(), [].into()).unwrap();
    let client = NewClient { name, role, reach };
    api.administration().create_client(operator(), client, "x".into()).await.unwrap();

    let eve = token_of(&api, "eve", PASSWORD).await;
    let listed = api.get("/v1/accounts").token(&eve).send().await;
    let items = listed.json["items"].as_array().unwrap().iter();
    let names: Vec<_> = items.map(|item| item["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bob", "eve"], "those within her reach");
    assert_eq!(api.get("/v1/accounts/ada").token(&eve).send().await.status, 404);

    let not_held = (403, "not-held".to_owned());
    let with = |change: Value| {
        let mut body = bob();
        body["name"] = "new".into();
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    for (path, body) in [
        ("/v1/accounts", with(json!({"stations": []}))),
        ("/v1/accounts", with(json!({"stations": ["AOI-1", "AOI-2"]}))),
        ("/v1/accounts", with(json!({"role": "engineer"}))),
        ("/v1/accounts", with(json!({"role": "admin", "stations": []}))),
        ("/v1/accounts/ada/password", json!({"password": OTHER_PASSWORD, "reason": "x"})),
        ("/v1/accounts/otto/disable", json!({"reason": "x"})),
        ("/v1/accounts/bob/role", json!({"role": "engineer", "reason": "x"})),
        ("/v1/accounts/eve/role", json!({"role": "admin", "reason": "x"})),
        ("/v1/accounts/eve/reach", json!({"stations": [], "parts": [], "reason": "x"})),
        ("/v1/clients/aoi-2/rotate", json!({"reason": "x"})),
    ] {
        let refused = api.post(path).token(&eve).json(body).send().await;
        assert_eq!(refused.problem(), not_held, "{path}");
    }
    let within = api.post("/v1/accounts").token(&eve).json(with(json!({}))).send().await;
    assert_eq!(within.status, 201, "{within:?}");
    let quinn = token_of(&api, "quinn", PASSWORD).await;
    let disable = json!({"reason": "x"});
    let otto = api.post("/v1/accounts/otto/disable").token(&quinn).json(disable.clone());
    assert_eq!(otto.send().await.status, 200);

    let missing = (403, "missing-scope".to_owned());
    let audrey = token_of(&api, "audrey", PASSWORD).await;
    assert_eq!(api.get("/v1/clients/aoi-2").token(&audrey).send().await.status, 200);
    let bob = token_of(&api, "bob", PASSWORD).await;
    for token in [&audrey, &bob] {
        let refused = api.post("/v1/accounts/bob/disable").token(token).json(disable.clone());
        assert_eq!(refused.send().await.problem(), missing);
    }
    assert_eq!(api.get("/v1/accounts").token(&bob).send().await.problem(), missing);
    let nobody = api.get("/v1/accounts").without("authorization").send().await;
    assert_eq!(nobody.problem(), (401, "unauthorized".to_owned()));
    let known = api.administration().read().await.unwrap();
    assert!(known.principal(&"ada".parse().unwrap()).unwrap().kind == PrincipalKind::Account);
    drop(ada);
}
