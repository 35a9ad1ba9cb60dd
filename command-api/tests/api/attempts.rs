//! Who stands in events, and what becomes of those who are refused: addresses, pauses, rates, the record of it.

use chrono::{TimeDelta, Utc};
use domain::AccessAttemptEvent as Attempt;
use serde_json::json;

use command_api::CommandApiConfig;
use platform::auth::Actor;
use platform::event_log::ActorRef;

use crate::pictures::jpeg;
use crate::support::{Call, PROXY, Reply, TestApi, board};
use crate::tokens::{FORM, ask, create_client};

fn sign_in(api: &TestApi, form: &str) -> Call {
    let call = api.post("/v1/token").without("authorization").without("idempotency-key");
    call.header("content-type", FORM).body(form)
}

const DEMO: &str = "username=demo&password=demo";

#[tokio::test]
async fn the_demo_account_signs_in_on_this_machine_and_never_through_a_proxy() {
    let api = TestApi::start().await;
    let call = sign_in(&api, DEMO);
    assert_eq!(call.clone().send().await.status, 200);
    let elsewhere = [
        call.clone().sent_from("192.0.2.9"),
        call.clone().sent_from(PROXY).header("x-forwarded-for", "127.0.0.1"),
        call.clone().header("x-forwarded-for", "203.0.113.5"),
        call.clone().header("forwarded", "for=127.0.0.1"),
        call.clone().header("via", "1.1 proxy"),
        call.clone().header("x-real-ip", "127.0.0.1"),
        call.header("x-forwarded-proto", "https"),
    ];
    for call in elsewhere {
        let reply = call.send().await;
        assert_eq!((reply.status, reply.text("error")), (400, "unauthorized_client".into()));
        assert!(reply.text("error_description").contains("chipq accounts create"), "{reply:?}");
    }
}

#[tokio::test]
async fn an_event_says_who_by_which_client_and_token_and_from_where() {
    let api = TestApi::start().await;
    let secret = create_client(&api).await;
    let form = format!("grant_type=client_credentials&client_id=aoi-1&client_secret={secret}");
    let token = ask(&api, &form).await.text("access_token");
    let through_proxy =
        |call: Call| call.sent_from(PROXY).header("x-forwarded-for", "198.51.100.7");
    let created = api.post("/v1/inspections").token(&token).json(board());
    let id = through_proxy(created).send().await.text("inspection_id");
    let path = format!("/v1/inspections/{id}/artifacts?type=image/jpeg");
    let url = api.post(path).token(&token).send().await.text("upload_url");
    assert_eq!(through_proxy(api.put(&url, jpeg(1))).send().await.status, 201);
    let ada = api.token_of("ada", &["engineer"]);
    assert_eq!(
        api.post("/v1/parts").token(&ada).json(json!({"part": "P"})).send().await.status,
        201
    );

    let actors = api
        .events()
        .await
        .into_iter()
        .map(|event| (event.event_type, event.metadata.actor.unwrap()));
    let actors: Vec<_> = actors.filter(|(event, _)| event != "PrincipalCreated").collect();
    let token_id = actors[0].1.token_id.clone().expect("of the token");
    let station = |address: &str| ActorRef {
        client: Some("aoi-1".into()),
        token_id: Some(token_id.clone()),
        address: Some(address.parse().unwrap()),
        ..ActorRef::new("aoi-1", &["station"])
    };
    assert_eq!(actors[0], ("InspectionCreated".into(), station("198.51.100.7")));
    assert_eq!(actors[1], ("ArtifactReserved".into(), station("127.0.0.1")));
    assert_eq!(actors[2], ("ArtifactUploaded".into(), station("198.51.100.7")), "who announced it");
    let (_, person) = &actors[3];
    assert_eq!((person.client.as_ref(), &*person.subject), (None, "ada"));
    assert_ne!(person.token_id, Some(token_id));
}

/// Subject, address, reason and count.
type Refusal<'a> = (Option<&'a str>, &'a str, &'a str, u64);

/// Every refusal that was recorded, and how many tokens were.
fn summary(attempts: &[Attempt]) -> (Vec<Refusal<'_>>, usize) {
    let mut refused = Vec::new();
    let mut granted = 0;
    for attempt in attempts {
        match attempt {
            Attempt::TokenGranted { .. } => granted += 1,
            Attempt::AccessRefused { subject, address, reason, count, .. } => refused.push((
                subject.as_deref(),
                address.as_deref().unwrap_or_default(),
                reason.as_str(),
                *count,
            )),
            // Of commands a test of its own tells.
            Attempt::CommandRejected { .. } => {}
            Attempt::AttemptsSummed { .. } => panic!("too much: {attempt:?}"),
        }
    }
    refused.sort_unstable();
    (refused, granted)
}

#[tokio::test]
async fn who_is_let_in_and_who_is_refused_stands_in_the_log_and_no_secret_with_it() {
    let api = TestApi::start().await;
    let _client = create_client(&api).await;
    ask(&api, DEMO).await;
    ask(&api, "username=aoi-1&password=hunter2").await;
    ask(&api, "username=my-secret-password&password=x").await;
    sign_in(&api, "grant_type=client_credentials&client_id=aoi-1&client_secret=hunter2")
        .sent_from("192.0.2.9")
        .send()
        .await;
    let auditor = api.token_of("ada", &["auditor"]);
    let create = api.post("/v1/inspections").json(board());
    assert_eq!(create.clone().token(&auditor).send().await.status, 403);
    for _ in 0..3 {
        assert_eq!(create.clone().token("nonsense").send().await.status, 401);
    }
    assert_eq!(create.clone().without("authorization").send().await.status, 401);
    let expired = Actor::with_roles("demo", &["engineer"]);
    let expired = api.issuer.issue(&expired, Utc::now() - TimeDelta::hours(1)).unwrap().token;
    assert_eq!(create.token(&expired).send().await.status, 401);

    let attempts = api.recorded_attempts().await;
    let (refused, granted) = summary(&attempts);
    assert_eq!(granted, 1);
    let here = "127.0.0.1";
    let mut expected = [
        (None, here, "invalid_grant", 1),
        (None, here, "malformed-token", 1),
        (None, here, "malformed-token", 2),
        (None, here, "missing-token", 1),
        (Some("ada"), here, "missing-scope", 1),
        (Some("aoi-1"), here, "invalid_grant", 1),
        (Some("demo"), here, "expired-token", 1),
        (Some("aoi-1"), "192.0.2.9", "invalid_client", 1),
    ];
    expected.sort_unstable();
    assert_eq!(refused, expected);
    let text = format!("{attempts:?}");
    assert!(text.contains("POST /v1/inspections") && text.contains("POST /v1/token"), "{text}");
    for secret in ["hunter2", "my-secret-password", "nonsense", &auditor] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[tokio::test]
async fn of_a_refresh_token_that_is_refused_the_log_says_whose_it_was() {
    let api = TestApi::start().await;
    api.create_account("mia", domain::Role::Operator).await;
    let token = api.sign_in("mia").await.text("refresh_token");
    let form = format!("grant_type=refresh_token&refresh_token={token}");
    for status in [200, 400, 400] {
        assert_eq!(ask(&api, &form).await.status, status);
    }
    ask(&api, "grant_type=refresh_token&refresh_token=chipq_refresh_unknown").await;
    let attempts = api.recorded_attempts().await;
    let (refused, granted) = summary(&attempts);
    assert_eq!(granted, 2);
    let whose: Vec<_> = refused.iter().map(|(subject, _, reason, _)| (*subject, *reason)).collect();
    let of_mia = (Some("mia"), "invalid_grant");
    assert_eq!(whose, [(None, "invalid_grant"), of_mia, of_mia]);
    assert!(!format!("{attempts:?}").contains(&token));
}

#[tokio::test]
async fn a_command_that_the_rules_reject_stands_in_the_log_with_who_what_and_which_rejection() {
    let api = TestApi::start().await;
    let ada = api.token_of("ada", &["engineer"]);
    let register = api.post("/v1/parts").token(&ada).json(json!({"part": "P"}));
    assert_eq!(register.clone().send().await.status, 201);
    for _ in 0..3 {
        let again = register.clone().key(&uuid::Uuid::new_v4().to_string());
        assert_eq!(again.send().await.status, 409);
    }
    let id =
        api.post("/v1/inspections").token(&ada).json(board()).send().await.text("inspection_id");
    let infer = format!("/v1/inspections/{id}/infer");
    assert_eq!(api.post(&infer).token(&ada).send().await.problem(), (409, "no-artifact".into()));
    let stale = api.post(&infer).token(&ada).header("if-match", &api.tag(77).await);
    assert_eq!(stale.send().await.status, 412);
    // What is malformed, and what is only read, is no command that the rules reject.
    assert_eq!(
        api.post("/v1/parts").token(&ada).json(json!({"part": ""})).send().await.status,
        422
    );
    let admin = api.token_of("root", &["admin"]);
    assert_eq!(api.get("/v1/accounts/nobody").token(&admin).send().await.status, 404);

    let mut rejected = Vec::new();
    for attempt in api.recorded_attempts().await {
        if let Attempt::CommandRejected {
            subject,
            token_id,
            address,
            asked,
            resource,
            reason,
            count,
            ..
        } = attempt
        {
            assert_eq!(subject.as_deref(), Some("ada"));
            assert!(token_id.is_some_and(|id| id.parse::<uuid::Uuid>().is_ok()));
            assert_eq!(address.as_deref(), Some("127.0.0.1"));
            rejected.push((asked, resource, reason, count));
        }
    }
    rejected.sort();
    let of = |asked: &str, resource: &str, reason: &str, count: u64| {
        (asked.to_owned(), resource.to_owned(), reason.to_owned(), count)
    };
    let pattern = "POST /v1/inspections/{inspection_id}/infer";
    let mut expected = [
        of(pattern, &infer, "no-artifact", 1),
        of(pattern, &infer, "precondition-failed", 1),
        of("POST /v1/parts", "/v1/parts", "part-already-registered", 1),
        of("POST /v1/parts", "/v1/parts", "part-already-registered", 2),
    ];
    expected.sort();
    assert_eq!(rejected, expected);
}

fn outcome(reply: &Reply) -> (u16, Option<&str>) {
    (reply.status, reply.header("retry-after"))
}

#[tokio::test]
async fn after_five_wrong_passwords_the_next_waits_and_names_that_nobody_has_count_alike() {
    let api = TestApi::start().await;
    for name in ["demo", "nobody", "ä%20word%20that%20is%20no%20name"] {
        let wrong = sign_in(&api, &format!("username={name}&password=wrong"));
        for _ in 0..5 {
            let reply = wrong.clone().send().await;
            assert_eq!((reply.status, reply.text("error")), (400, "invalid_grant".into()));
        }
        let reply = wrong.clone().send().await;
        assert_eq!(outcome(&reply), (429, Some("1")), "{name}");
        assert_eq!(reply.problem().1, "too-many-requests");
        let detail = reply.text("detail");
        assert_eq!(detail, "too many wrong passwords or secrets; try again in 1 s", "{name}");
        let elsewhere = wrong.sent_from("192.0.2.9").send().await;
        assert_eq!(elsewhere.status, 400, "from elsewhere nobody is locked out");
    }
    assert!(right_waits_too(&api).await, "also the right one waits");
    let attempts = api.recorded_attempts().await;
    let (refused, _) = summary(&attempts);
    assert!(refused.iter().any(|(_, _, reason, _)| *reason == "locked-out"), "{refused:?}");
}

/// The wait is over after a second, which a busy machine may take between two requests.
async fn right_waits_too(api: &TestApi) -> bool {
    for _ in 0..5 {
        for _ in 0..6 {
            sign_in(api, "username=demo&password=wrong").send().await;
        }
        if sign_in(api, DEMO).send().await.status == 429 {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn commands_uploads_and_tokens_have_rates_of_their_own_and_roles_may_have_others() {
    let config = CommandApiConfig {
        rate_by_role: Some("station=1/2".parse().unwrap()),
        upload_rate_by_role: Some("engineer=1/1".parse().unwrap()),
        ..CommandApiConfig::default()
    };
    let api = TestApi::start_with(config, |log| log).await;
    let policy = |reply: &Reply| reply.header("ratelimit-policy").unwrap_or_default().to_owned();
    assert_eq!(policy(&ask(&api, DEMO).await), "\"token\";q=50;w=5");
    let ada = api.token_of("ada", &["engineer"]);
    let created = api.post("/v1/inspections").token(&ada).json(board()).send().await;
    assert_eq!(policy(&created), "\"command\";q=400;w=2");
    let id = created.text("inspection_id");
    let path = format!("/v1/inspections/{id}/artifacts?type=image/jpeg");
    let url = api.post(path).token(&ada).send().await.text("upload_url");
    let uploaded = api.put(&url, jpeg(1)).send().await;
    assert_eq!((uploaded.status, policy(&uploaded)), (201, "\"upload\";q=1;w=1".to_owned()));

    let station = api.token_of("aoi-1", &["station"]);
    let created = api.post("/v1/inspections").token(&station).json(board()).send().await;
    assert_eq!((created.status, policy(&created)), (201, "\"command\";q=2;w=2".to_owned()));
}
