//! Whatever clients get wrong: the answer says what, and nothing is stored.

use serde_json::json;

use crate::pictures::jpeg;
use crate::support::{Call, TestApi, board};

/// A call, and the status and problem it is answered with.
type Case = (&'static str, Call, u16, &'static str);

async fn refuses(api: &TestApi, cases: Vec<Case>) {
    let (head, files) = (api.head().await, api.stored_files());
    for (what, call, status, name) in cases {
        let reply = call.send().await;
        assert_eq!(reply.problem(), (status, name.to_owned()), "{what}: {reply:?}");
        assert_eq!(api.head().await, head, "{what} moved the log");
    }
    assert_eq!(api.stored_files(), files, "a refused call left a file");
    let keys: i64 =
        sqlx::query_scalar("SELECT count(*) FROM idempotency_keys WHERE answer IS NULL")
            .fetch_one(&api.pool)
            .await
            .unwrap();
    assert_eq!(keys, 0, "a refused call keeps its key claimed");
}

#[tokio::test]
async fn bodies_that_are_no_command() {
    let api = TestApi::start().await;
    let create = || api.post("/v1/inspections").header("content-type", "application/json");
    let part = || api.post("/v1/parts").header("content-type", "application/json");
    let huge = format!("{{\"part\":\"{}\"}}", "x".repeat(70_000));
    refuses(
        &api,
        vec![
            ("no body", create(), 400, "malformed-json"),
            ("not JSON", create().body("lot=1"), 400, "malformed-json"),
            ("cut off", create().body("{\"lot\":\"L\","), 400, "malformed-json"),
            ("two values", part().body("{\"part\":\"P\"} {}"), 400, "malformed-json"),
            ("not UTF-8", part().body(b"{\"part\":\"\xff\"}".to_vec()), 400, "malformed-json"),
            ("an array", create().body("[]"), 422, "validation"),
            ("a string", create().body("\"lot\""), 422, "validation"),
            ("null", part().body("null"), 422, "validation"),
            ("a missing field", create().body("{\"lot\":\"L\",\"part\":\"P\"}"), 422, "validation"),
            ("an unknown field", part().json(json!({"part": "P", "x": 1})), 422, "validation"),
            ("a field twice", part().body("{\"part\":\"P\",\"part\":\"Q\"}"), 422, "validation"),
            ("a number", part().json(json!({ "part": 4711 })), 422, "validation"),
            ("an object", part().json(json!({ "part": {} })), 422, "validation"),
            ("a null field", part().json(json!({ "part": null })), 422, "validation"),
            ("too large", part().body(huge), 413, "payload-too-large"),
            (
                "another media type",
                part().header("content-type", "text/plain").body("{\"part\":\"P\"}"),
                415,
                "unsupported-media-type",
            ),
            (
                "no media type",
                part().without("content-type").body("{\"part\":\"P\"}"),
                415,
                "unsupported-media-type",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn names_that_stand_on_no_label() {
    let api = TestApi::start().await;
    let long = "x".repeat(65);
    let bad = ["", " ", " P", "P ", "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{200b}b", &long];
    for field in ["lot", "part", "station"] {
        for name in bad {
            let mut body = board();
            body[field] = json!(name);
            let reply = api.post("/v1/inspections").json(body).send().await;
            assert_eq!(reply.problem(), (422, "validation".into()), "{field} {name:?}");
            assert_eq!(reply.json["errors"][0]["field"], field);
        }
    }
    for name in bad {
        let reply = api.post("/v1/parts").json(json!({ "part": name })).send().await;
        assert_eq!(reply.problem(), (422, "validation".into()), "{name:?}");
    }
    let all = json!({ "lot": "", "part": "a\u{7}", "station": long });
    let reply = api.post("/v1/inspections").json(all).send().await;
    assert_eq!(reply.json["errors"].as_array().unwrap().len(), 3);
    assert_eq!(api.head().await.0, 0);
    let longest = json!({ "part": "ä".repeat(64) });
    assert_eq!(api.post("/v1/parts").json(longest).send().await.status, 201);
}

#[tokio::test]
async fn keys_that_are_none() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let paths = [
        "/v1/parts".to_owned(),
        "/v1/parts/P/golden-sample?type=image/png".to_owned(),
        "/v1/parts/P/recipe-revisions".to_owned(),
        "/v1/inspections".to_owned(),
        format!("/v1/inspections/{id}/artifacts?type=image/png"),
        format!("/v1/inspections/{id}/artifacts/{id}/complete"),
        format!("/v1/inspections/{id}/infer"),
        format!("/v1/inspections/{id}/void"),
    ];
    let long = "k".repeat(256);
    for path in paths {
        let missing = api.post(path.as_str()).without("idempotency-key");
        let mut cases = vec![("no key", missing, 400, "idempotency-key-missing")];
        for key in ["", "\"\"", "a b", "\"open", "ä", &long] {
            let call = api.post(path.as_str()).key(key);
            cases.push(("a malformed key", call, 400, "idempotency-key-malformed"));
        }
        refuses(&api, cases).await;
    }
}

#[tokio::test]
async fn ids_of_nothing_or_of_something_else() {
    let api = TestApi::start().await;
    let (mine, other) = (api.create().await, api.create().await);
    let (artifact, _) = api.reserve(&mine).await;
    let nothing = "6f1c2f6e-57b1-4a35-9d0b-1c1f0a7d5e42";
    let inspection = |id: &str, rest: &str| api.post(format!("/v1/inspections/{id}/{rest}"));
    let complete = |id: &str, artifact: &str| {
        api.post(format!("/v1/inspections/{id}/artifacts/{artifact}/complete"))
    };
    let golden = |part: &str| api.post(format!("/v1/parts/{part}/golden-sample?type=image/png"));
    let reason = json!({ "reason": "r" });
    let void = |id: &str| inspection(id, "void").json(reason.clone());
    refuses(
        &api,
        vec![
            ("infer nothing", inspection(nothing, "infer"), 404, "inspection-not-found"),
            ("infer no id", inspection("42", "infer"), 404, "inspection-not-found"),
            ("void nothing", void(nothing), 404, "inspection-not-found"),
            (
                "reserve for nothing",
                inspection(nothing, "artifacts?type=image/png"),
                404,
                "inspection-not-found",
            ),
            ("complete for nothing", complete(nothing, &artifact), 404, "inspection-not-found"),
            ("complete nothing", complete(&mine, nothing), 404, "artifact-not-found"),
            ("complete no id", complete(&mine, "x"), 404, "artifact-not-found"),
            ("another's artifact", complete(&other, &artifact), 404, "artifact-not-found"),
            ("too early", complete(&mine, &artifact), 409, "artifact-not-uploaded"),
            ("golden of nobody", golden("NOBODY"), 404, "part-not-found"),
            ("golden of no part", golden("%20"), 404, "part-not-found"),
            ("a path of nothing", api.post("/v1/nothing"), 404, "not-found"),
        ],
    )
    .await;
}

#[tokio::test]
async fn commands_that_the_state_forbids_or_the_query_garbles() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let id = api.create().await;
    let voided = api.create().await;
    let void = |id: &str, body| api.post(format!("/v1/inspections/{id}/void")).json(body);
    void(&voided, json!({ "reason": "r" })).send().await;
    let (_, url) = api.reserve(&id).await;
    api.put(&url, jpeg(1)).send().await;
    let at = |id: &str, rest: &str| api.post(format!("/v1/inspections/{id}/{rest}"));
    let part = json!({ "part": "PCB-1" });
    let golden =
        |more: &str| api.post(format!("/v1/parts/PCB-1/golden-sample?type=image/png{more}"));
    let scale = |number: &str| format!("artifacts?type=image/png&pixels_per_millimetre={number}");
    let twice = "artifacts?type=image/png&type=image/jpeg";
    refuses(
        &api,
        vec![
            ("a part twice", api.post("/v1/parts").json(part), 409, "part-already-registered"),
            ("infer after void", at(&voided, "infer"), 409, "voided"),
            ("reserve after void", at(&voided, "artifacts?type=image/png"), 409, "voided"),
            ("no type", at(&id, "artifacts"), 422, "validation"),
            ("an empty type", at(&id, "artifacts?type="), 422, "validation"),
            ("a foreign type", at(&id, "artifacts?type=image/gif"), 422, "validation"),
            ("an unknown parameter", at(&id, "artifacts?type=image/png&x=1"), 422, "validation"),
            ("a type twice", at(&id, twice), 422, "validation"),
            ("a scale of nothing", at(&id, &scale("0")), 422, "validation"),
            ("a scale with its unit", at(&id, &scale("48px")), 422, "validation"),
            ("a scale without end", golden("&pixels_per_millimetre=inf"), 422, "validation"),
            ("a view in capitals", at(&id, "artifacts?type=image/png&view=TOP"), 422, "validation"),
            ("a use that is none", golden("&use=spare"), 422, "validation"),
            ("an empty view", golden("&view="), 422, "validation"),
            ("no reason for a variant", golden("&use=variant"), 422, "validation"),
            ("a blank reason", golden("&use=variant&reason=%20"), 422, "validation"),
            ("nothing to stand beside", golden("&use=variant&reason=r"), 409, "no-golden-sample"),
            ("a body for infer", at(&id, "infer").json(json!({})), 400, "unexpected-body"),
            (
                "a body for artifacts",
                at(&id, "artifacts?type=image/png").body("x"),
                400,
                "unexpected-body",
            ),
            ("no reason", void(&id, json!({})), 422, "validation"),
            ("a blank reason", void(&id, json!({ "reason": " " })), 422, "validation"),
            ("a long reason", void(&id, json!({ "reason": "r".repeat(501) })), 422, "validation"),
            ("an unprintable reason", void(&id, json!({ "reason": "a\nb" })), 422, "validation"),
            ("another method", api.get("/v1/parts"), 405, "method-not-allowed"),
        ],
    )
    .await;
}

#[tokio::test]
async fn too_many_requests_wait_for_their_turn() {
    let one = std::num::NonZeroU32::MIN;
    let config = command_api::CommandApiConfig {
        rate_per_second: one,
        rate_burst: one,
        token_rate_per_second: one,
        token_rate_burst: one,
        ..Default::default()
    };
    let api = TestApi::start_with(config, |log| log).await;
    // At once, so that both come within the second however slow the machine is.
    let create = || api.post("/v1/inspections").json(board());
    let (one, other) = tokio::join!(create().send(), create().send());
    let (refused, created) = if one.status == 429 { (one, other) } else { (other, one) };
    assert_eq!((refused.problem(), created.status), ((429, "too-many-requests".into()), 201));
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("ratelimit"), Some("\"command\";r=0;t=1"));
    assert_eq!(refused.header("ratelimit-policy"), Some("\"command\";q=1;w=1"));
    assert_eq!(api.events().await.len(), 1);
    let other = api.post("/v1/inspections").token(&api.token_of("aoi-2", &["station"]));
    assert_eq!(other.json(board()).send().await.status, 201);
    let form = "username=demo&password=wrong";
    let token = api.post("/v1/token").header("content-type", "application/x-www-form-urlencoded");
    let token = token.body(form);
    let (one, other) = tokio::join!(token.clone().send(), token.send());
    let (refused, answered) = if one.status == 429 { (one, other) } else { (other, one) };
    assert_eq!((refused.problem(), answered.status), ((429, "too-many-requests".into()), 400));
}
