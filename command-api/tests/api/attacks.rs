//! What somebody tries who wants in: names that look alike, what is too long, what breaks a header.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::{AccessControlCommand as Command, Role};
use serde_json::json;

use crate::pictures::jpeg;
use crate::principals::{OtherProcess, PASSWORD, basic};
use crate::revocation::token_of_client;
use crate::support::{TestApi, board};

#[tokio::test]
async fn a_name_that_looks_like_another_is_nobody() {
    let api = TestApi::start().await;
    api.create_account("ada", Role::Engineer).await;
    let password = PASSWORD.replace(' ', "+");
    let lookalikes = [
        "%D0%B0da",
        "ad%C3%A1",
        "ada%CC%81",
        "a%CC%80da",
        "%EF%BD%81da",
        "ada%E2%80%8B",
        "ada%00",
        "ada+",
        "+ada",
        "ada%0A",
        "ada%0D%0A",
        "%61da%2F",
        "ada%27",
        "ada%22",
        "%E1%B5%83da",
    ];
    for name in lookalikes {
        let form = format!("username={name}&password={password}");
        let reply = api.send_form("/v1/token", &form).await;
        assert_eq!((reply.status, reply.text("error")), (400, "invalid_grant".into()), "{name}");
    }
    for same in ["ada", "ADA", "Ada"] {
        let signed_in = api.sign_in(same).await.text("access_token");
        let created = api.post("/v1/inspections").token(&signed_in).json(board()).send().await;
        assert_eq!(created.status, 201, "{same}");
    }
    let actors = api.events().await.into_iter().filter_map(|event| event.metadata.actor);
    let written: Vec<_> = actors.map(|actor| actor.subject).collect();
    assert!(written.iter().all(|subject| subject == "ada"), "one way to write it: {written:?}");
}

#[tokio::test]
async fn what_is_too_long_is_refused_like_what_is_wrong() {
    let api = TestApi::start().await;
    api.create_account("ada", Role::Engineer).await;
    let secret = api.create_client_as("mes", Role::Auditor).await;
    let long = "x".repeat(60_000);
    for (form, status, error) in [
        (format!("username=ada&password={long}"), 400, "invalid_grant"),
        (format!("username={long}&password=x"), 400, "invalid_grant"),
        (format!("username=ada&password={}", "%C3%A9".repeat(10_000)), 400, "invalid_grant"),
        (
            format!("grant_type=client_credentials&client_id=mes&client_secret={secret}{long}"),
            401,
            "invalid_client",
        ),
        (format!("username=ada&password={}", "x".repeat(70_000)), 400, "invalid_request"),
    ] {
        let reply = api.send_form("/v1/token", &form).await;
        assert_eq!((reply.status, reply.text("error")), (status, error.into()), "{form:.40}");
        assert!(reply.bytes.len() < 1_000, "what is long is not sent back");
    }
}

#[tokio::test]
async fn nothing_in_basic_breaks_out_of_it() {
    let api = TestApi::start().await;
    let secret = api.create_client_as("mes", Role::Auditor).await;
    let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text));
    let cases = [
        encoded(&format!("mes\r\nX-Admin: 1:{secret}")),
        encoded(&format!("mes:{secret}\r\nSet-Cookie: a=b")),
        encoded(&format!("mes\0:{secret}")),
        encoded(&format!("mes%00:{secret}")),
        encoded(&format!("mes%0D%0A:{secret}")),
        encoded(&format!("mes:{secret}%00")),
        encoded(&format!("mes:{secret}&client_id=ada")),
        encoded(&format!("mes&x=1:{secret}")),
        encoded(&format!(":{secret}")),
        encoded("mes:"),
        encoded("mes"),
        encoded(""),
        format!("Basic {}", STANDARD.encode([0xff, 0xfe, b':', 0xff])),
        format!("Basic {}, Basic {}", STANDARD.encode("a:b"), STANDARD.encode("mes:x")),
        format!("Basic\t{}", STANDARD.encode(format!("mes:{secret}"))),
        format!("Basic {}", "A".repeat(6_000)),
        "Basic ====".to_owned(),
    ];
    for authorization in cases {
        let form = "grant_type=client_credentials";
        let reply = api.send_form_as("/v1/token", Some(&authorization), form).await;
        assert_eq!(
            (reply.status, reply.text("error")),
            (401, "invalid_client".into()),
            "{authorization}"
        );
        assert_eq!(reply.header("www-authenticate"), Some("Basic realm=\"chipq\""));
        assert_eq!((reply.header("x-admin"), reply.header("set-cookie")), (None, None));
    }
    let (good, form) = (basic("mes", &secret), "grant_type=client_credentials");
    let reply = api.send_form_as("/v1/token", Some(&good), form).await;
    assert_eq!(reply.status, 200, "the control");
}

#[tokio::test]
async fn a_token_of_a_client_that_is_disabled_is_worth_nothing_anywhere() {
    let api = TestApi::start().await;
    let secret = api.create_client_as("mes", Role::Engineer).await;
    let form = "grant_type=client_credentials";
    let ask = async || api.send_form_as("/v1/token", Some(&basic("mes", &secret)), form).await;
    let token = ask().await.text("access_token");
    let process = OtherProcess::start(&api).await;
    assert!(process.believes(&token), "the control");
    let (name, reason) = ("mes".parse().unwrap(), "stolen".to_owned());
    api.change(Command::DisablePrincipal { name, reason }).await;
    process.until_revoked(&token).await;
    let replayed = api.post("/v1/inspections").token(&token).json(board()).send().await;
    assert_eq!(replayed.problem(), (401, "unauthorized".into()));
    let reply = ask().await;
    assert_eq!((reply.status, reply.text("error")), (401, "invalid_client".into()));
    let (name, reason) = ("mes".parse().unwrap(), "found".to_owned());
    api.change(Command::EnablePrincipal { name, reason }).await;
    let replayed = api.post("/v1/inspections").token(&token).json(board()).send().await;
    assert_eq!(replayed.problem(), (401, "unauthorized".into()), "not the old one");
    assert_eq!(ask().await.status, 200);
}

#[tokio::test]
async fn an_upload_url_is_worth_nothing_once_its_announcer_may_do_nothing() {
    let api = TestApi::start().await;
    let secret = api.create_client_as("mes", Role::Operator).await;
    let token = token_of_client(&api, "mes", &secret).await;
    let created = api.post("/v1/inspections").token(&token).json(board()).send().await;
    let path =
        format!("/v1/inspections/{}/artifacts?type=image/jpeg", created.text("inspection_id"));
    let announce = || api.post(path.as_str()).token(&token).send();
    let [first, second] = [announce().await, announce().await].map(|it| it.text("upload_url"));
    assert_eq!(api.put(&first, jpeg(1)).send().await.status, 201, "the control");
    let (name, reason) = ("mes".parse().unwrap(), "stolen".to_owned());
    api.change(Command::DisablePrincipal { name, reason }).await;
    let refused = api.put(&second, jpeg(2)).send().await;
    assert_eq!(refused.problem(), (403, "url-signature".to_owned()));
}

/// What makes a request the same is kept for ever, and would tell a password to whoever can guess one.
#[tokio::test]
async fn what_is_kept_of_a_request_with_a_password_says_nothing_to_who_lacks_the_key_of_the_place()
{
    let mut kept = Vec::new();
    for _ in 0..2 {
        let api = TestApi::start().await;
        api.create_account("root", Role::Admin).await;
        let token = api.sign_in("root").await.text("access_token");
        let body =
            json!({"name": "bob", "role": "operator", "password": PASSWORD, "reason": "new"});
        let create = api.post("/v1/accounts").key("one").token(&token).json(body);
        assert_eq!(create.send().await.status, 201);
        let fingerprint = "SELECT encode(fingerprint, 'hex') FROM idempotency_keys";
        let fingerprint: String =
            sqlx::query_scalar(fingerprint).fetch_one(&api.pool).await.unwrap();
        kept.push(fingerprint);
    }
    assert_ne!(kept[0], kept[1], "the same request, at two installations");
}
