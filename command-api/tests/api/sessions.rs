//! Who signed in goes on by refresh tokens, each of which is worth one use.

use domain::{AccessControlCommand as Command, Role};
use futures::future::join_all;

use crate::principals::OtherProcess;
use crate::support::{Reply, TestApi, board};

fn refused(reply: &Reply) -> (u16, String) {
    (reply.status, reply.text("error"))
}

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[tokio::test]
async fn a_refresh_token_is_worth_another_of_both_once() {
    let api = TestApi::start().await;
    api.create_account("mia", Role::Engineer).await;
    let first = api.sign_in("mia").await;
    let second = api.refresh(&first.text("refresh_token")).await;
    assert_eq!(second.status, 200, "{second:?}");
    assert_eq!(second.header("cache-control"), Some("no-store"));
    assert_eq!(second.text("scope"), first.text("scope"));
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    for reply in [&first, &second] {
        let call = api.post("/v1/inspections").token(&reply.text("access_token"));
        assert_eq!(call.json(board()).send().await.status, 201, "both live until they expire");
    }
    let third = api.refresh(&second.text("refresh_token")).await;
    assert_eq!(third.status, 200, "{third:?}");
}

#[tokio::test]
async fn a_refresh_token_that_is_used_again_ends_its_session_and_no_other() {
    let api = TestApi::start().await;
    api.create_account("mia", Role::Engineer).await;
    let other_session = api.sign_in("mia").await;
    let first = api.sign_in("mia").await;
    let second = api.refresh(&first.text("refresh_token")).await;
    let process = OtherProcess::start(&api).await;
    assert!(process.believes(&second.text("access_token")), "the control");

    for _ in 0..3 {
        assert_eq!(refused(&api.refresh(&first.text("refresh_token")).await), invalid_grant());
        assert_eq!(refused(&api.refresh(&second.text("refresh_token")).await), invalid_grant());
    }
    let ended = "SessionEnded refresh-token-reused";
    assert_eq!(api.access_events().await, ["PrincipalCreated", ended], "once");
    for token in [&first, &second] {
        process.until_revoked(&token.text("access_token")).await;
    }
    assert!(process.believes(&other_session.text("access_token")));
    api.follow_access().await;
    let call = api.post("/v1/inspections").token(&second.text("access_token")).json(board());
    assert_eq!(call.send().await.problem(), (401, "unauthorized".into()));
    assert_eq!(api.refresh(&other_session.text("refresh_token")).await.status, 200);
}

#[tokio::test]
async fn of_many_who_use_one_refresh_token_at_once_one_has_it_and_then_nobody() {
    let api = TestApi::start().await;
    api.create_account("mia", Role::Engineer).await;
    let token = api.sign_in("mia").await.text("refresh_token");
    let replies = join_all((0..32).map(|_| api.refresh(&token))).await;
    let won: Vec<_> = replies.iter().filter(|reply| reply.status == 200).collect();
    assert_eq!(won.len(), 1, "{replies:?}");
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(refused(lost), invalid_grant());
    }
    let process = OtherProcess::start(&api).await;
    process.until_revoked(&won[0].text("access_token")).await;
    let of_winner = won[0].text("refresh_token");
    assert_eq!(refused(&api.refresh(&of_winner).await), invalid_grant());
    let ended = "SessionEnded refresh-token-reused";
    assert_eq!(api.access_events().await, ["PrincipalCreated", ended]);
}

#[tokio::test]
async fn scopes_become_fewer_and_never_more() {
    let api = TestApi::start().await;
    api.create_account("mia", Role::Engineer).await;
    let form = "username=mia&password=tulip+anvil+quartz+meridian&scope=parts:read+reports:read";
    let narrow = api.send_form("/v1/token", form).await;
    let token = narrow.text("refresh_token");
    let ask = async |scope: &str, token: &str| {
        let form = format!("grant_type=refresh_token&scope={scope}&refresh_token={token}");
        api.send_form("/v1/token", &form).await
    };
    for more in ["parts:write", "parts:read+parts:write", "everything"] {
        let reply = ask(more, &token).await;
        assert_eq!(refused(&reply), (400, "invalid_scope".to_owned()), "{more}");
    }
    let narrower = ask("parts:read", &token).await;
    assert_eq!(narrower.text("scope"), "parts:read", "the token was good still");
    let again = api.refresh(&narrower.text("refresh_token")).await;
    assert_eq!(again.text("scope"), "parts:read reports:read", "what was granted at first");
}

#[tokio::test]
async fn whatever_is_changed_about_an_account_ends_what_it_may_refresh() {
    let reason = || "a test".to_owned();
    let name = || "mia".parse().unwrap();
    let changes = [
        Command::DisablePrincipal { name: name(), reason: reason() },
        Command::ChangeRole { name: name(), role: Role::Auditor, reason: reason() },
        Command::ReplaceCredential {
            name: name(),
            credential: uuid::Uuid::new_v4(),
            reason: reason(),
        },
    ];
    for change in changes {
        let api = TestApi::start().await;
        api.create_account("mia", Role::Engineer).await;
        let first = api.sign_in("mia").await;
        let second = api.refresh(&first.text("refresh_token")).await;
        api.change(change).await;
        for token in [&first, &second] {
            let reply = api.refresh(&token.text("refresh_token")).await;
            assert_eq!(refused(&reply), invalid_grant());
        }
        assert_eq!(api.access_events().await.len(), 2, "its revision says all of it");
    }
}

#[tokio::test]
async fn who_has_a_secret_or_is_the_demonstration_has_no_session() {
    let api = TestApi::start().await;
    let secret = api.create_client_as("mes", Role::Auditor).await;
    let form = format!("grant_type=client_credentials&client_id=mes&client_secret={secret}");
    for form in [form.as_str(), "username=demo&password=demo"] {
        let reply = api.send_form("/v1/token", form).await;
        assert_eq!((reply.status, reply.json.get("refresh_token")), (200, None), "{form:.20}");
    }
}

#[tokio::test]
async fn what_is_no_refresh_token_is_worth_nothing() {
    let api = TestApi::start().await;
    api.create_account("mia", Role::Engineer).await;
    let signed_in = api.sign_in("mia").await;
    let (access, refresh) = (signed_in.text("access_token"), signed_in.text("refresh_token"));
    let mut altered = refresh.clone().into_bytes();
    altered[30] = if altered[30] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let long = format!("chipq_refresh_{}", "A".repeat(50_000));
    let cases = ["x", "chipq_refresh_", &altered, &access, &refresh[..40], &long, "%00", "'--"];
    for token in cases {
        assert_eq!(refused(&api.refresh(token).await), invalid_grant(), "{token:.40}");
    }
    let absent = api.send_form("/v1/token", "grant_type=refresh_token").await;
    assert_eq!(refused(&absent), (400, "invalid_request".to_owned()));
    assert_eq!(api.refresh(&refresh).await.status, 200, "the control");
    let as_access = api.post("/v1/inspections").token(&refresh).json(board()).send().await;
    assert_eq!(as_access.problem(), (401, "unauthorized".into()));
}
