//! For how long pictures are kept: a revision is the whole policy, with who, when and why.

use domain::{PictureRetention, Role};
use platform::event_log::StreamId;
use serde_json::{Value, json};

use crate::support::{Call, TestApi};

const PATH: &str = "/v1/picture-retention";
const REVISIONS: &str = "/v1/picture-retention/revisions";

fn policy() -> Value {
    json!({
        "periods": {
            "golden_sample_days": null,
            "pass_days": 90,
            "review_days": 730,
            "fail_days": 3650,
            "void_days": 30,
        },
        "reason": " the customer asks for two years of review boards ",
    })
}

fn revise(api: &TestApi) -> Call {
    api.post(REVISIONS).json(policy()).token(&administrator(api))
}

fn read(api: &TestApi) -> Call {
    api.get(PATH).token(&administrator(api))
}

fn administrator(api: &TestApi) -> String {
    api.token_of("ada", &["admin"])
}

#[tokio::test]
async fn until_somebody_says_otherwise_everything_is_kept() {
    let api = TestApi::start().await;
    let read = read(&api).send().await;
    assert_eq!(
        (read.status, &read.json["revision"], &read.json["reason"]),
        (200, &json!(0), &Value::Null)
    );
    assert!(read.json["periods"].as_object().unwrap().values().all(Value::is_null), "{read:?}");
}

#[tokio::test]
async fn a_policy_is_in_force_with_who_and_why_and_only_the_same_for_the_same_reason_changes_nothing()
 {
    let api = TestApi::start().await;
    let reply = revise(&api).send().await;
    assert_eq!((reply.status, reply.header("location")), (201, Some(PATH)), "{reply:?}");
    assert_eq!(reply.json["periods"], policy()["periods"]);
    let stream = StreamId::for_aggregate::<PictureRetention>(PictureRetention::ID);
    let events = api.log.read_stream(&stream, 0).await.unwrap().events;
    assert_eq!(events[0].event_type, "PictureRetentionRevised");
    assert_eq!(events[0].metadata.actor.as_ref().unwrap().subject, "ada");
    assert_eq!(events[0].payload["reason"], "the customer asks for two years of review boards");

    let head = api.head().await;
    assert_eq!(revise(&api).send().await.json["revision"], 1);
    assert_eq!(api.head().await, head);
    let read = read(&api).send().await;
    assert_eq!((&read.json, read.header("etag")), (&reply.json, reply.header("etag")));
    let mut confirmed = policy();
    confirmed["reason"] = json!("the auditor confirmed it");
    let again = revise(&api).json(confirmed).send().await;
    assert_eq!(
        (again.status, &again.json["revision"], &again.json["reason"]),
        (201, &json!(2), &json!("the auditor confirmed it"))
    );
    let events = api.log.read_stream(&stream, 0).await.unwrap().events;
    assert_eq!(events[1].payload["reason"], "the auditor confirmed it");
    assert_eq!(events[1].payload["pass_days"], 90);
    let stale = revise(&api).json(changed("pass_days", json!(91)));
    let stale = stale.header("if-match", &api.tag(9).await);
    assert_eq!(stale.send().await.status, 412);
}

fn changed(field: &str, value: Value) -> Value {
    let mut policy = policy();
    policy["periods"][field] = value;
    policy
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_nothing_may_be_left_out() {
    let api = TestApi::start().await;
    let mut wrong = changed("pass_days", json!(0));
    wrong["periods"]["fail_days"] = json!(36_501);
    wrong["reason"] = json!(" ");
    let refused = revise(&api).json(wrong).send().await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let fields: Vec<_> =
        refused.json["errors"].as_array().unwrap().iter().map(|e| &e["field"]).collect();
    assert_eq!(fields, ["pass_days", "fail_days", "reason"]);
    for field in ["golden_sample_days", "pass_days", "review_days", "fail_days", "void_days"] {
        let mut less = policy();
        less["periods"].as_object_mut().unwrap().remove(field);
        let refused = revise(&api).json(less).send().await;
        assert!((400..=422).contains(&refused.status), "{field}: {refused:?}");
    }
    for odd in [json!(-1), json!(1.5), json!("90"), json!(4_294_967_296_u64)] {
        let refused = revise(&api).json(changed("pass_days", odd.clone())).send().await;
        assert!((400..=422).contains(&refused.status), "{odd}: {refused:?}");
    }
    assert_eq!(read(&api).send().await.json["revision"], 0);
}

#[tokio::test]
async fn only_an_administrator_says_so_and_whoever_answers_for_quality_reads_it() {
    let api = TestApi::start().await;
    for role in Role::ALL {
        let token = api.token_of(role.as_str(), &[role.as_str()]);
        let (may_write, may_read) =
            (matches!(role, Role::Admin), !matches!(role, Role::Station | Role::Operator));
        let written = revise(&api).token(&token).send().await;
        assert_eq!(written.status == 201, may_write, "{role}: {written:?}");
        let read = api.get(PATH).token(&token).send().await;
        assert_eq!(read.status, if may_read { 200 } else { 403 }, "{role}");
    }
}
