//! Accounts, clients and their tokens; and what only an administrator says.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use super::Client;
use super::platform::chipq;

const PASSWORD: &str = "tulip anvil quartz meridian";

pub(super) async fn accounts_and_clients(client: &mut Client, data: &Path) {
    let metadata = client.request(Method::GET, "/.well-known/oauth-authorization-server");
    client.call(metadata, 404).await;
    claim(client, data).await;
    let account = json!({"name": "bob", "display_name": "Bob", "role": "operator",
        "stations": ["AOI-1"], "password": PASSWORD, "reason": "line 2"});
    change(client, "/v1/accounts", account.clone(), 201).await;
    change(client, "/v1/accounts", account, 409).await;
    change(client, "/v1/accounts", json!({"name": "B B"}), 422).await;
    let station =
        json!({"name": "aoi-1", "role": "station", "stations": ["AOI-1"], "reason": "new"});
    change(client, "/v1/clients", station, 201).await;
    let why = || json!({"reason": "x"});
    let password = json!({"password": "copper lantern orbit mango", "reason": "x"});
    let reach = || json!({"stations": ["AOI-2"], "parts": [], "reason": "x"});
    let role = |role: &str| json!({"role": role, "reason": "x"});
    for (path, body, status) in [
        ("/v1/accounts/bob/role", role("quality"), 200),
        ("/v1/accounts/bob/reach", reach(), 200),
        ("/v1/accounts/bob/password", password, 200),
        ("/v1/accounts/bob/disable", why(), 200),
        ("/v1/accounts/bob/enable", why(), 200),
        ("/v1/accounts/ada/disable", why(), 409),
        ("/v1/accounts/nobody/disable", why(), 404),
        ("/v1/clients/aoi-1/reach", reach(), 200),
        ("/v1/clients/aoi-1/role", role("operator"), 200),
        ("/v1/clients/aoi-1/rotate", why(), 200),
        ("/v1/clients/aoi-1/disable", why(), 200),
        ("/v1/clients/aoi-1/enable", why(), 200),
    ] {
        change(client, path, body, status).await;
    }
    client.refusals_of_commands("/v1/accounts/bob/disable").await;
    for path in ["/v1/accounts", "/v1/accounts/bob", "/v1/clients", "/v1/clients/aoi-1"] {
        client.call(client.read(path), 200).await;
    }
    client.call(client.read("/v1/clients/bob"), 404).await;
    picture_retention(client).await;
    tokens(client).await;
}

/// For how long pictures are kept, which an administrator says.
async fn picture_retention(client: &mut Client) {
    let path = "/v1/picture-retention";
    client.call(client.read(path), 200).await;
    let revisions = format!("{path}/revisions");
    let periods = json!({ "golden_sample_days": null, "pass_days": 90, "review_days": 730,
        "fail_days": 3650, "void_days": 30 });
    let policy = json!({ "periods": periods, "reason": "the customer asks for two years" });
    change(client, &revisions, policy, 201).await;
    let wrong = json!({ "periods": periods, "reason": "" });
    change(client, &revisions, wrong, 422).await;
    client.refusals_of_commands(&revisions).await;
    client.call(client.read(path), 200).await;
}

/// Becomes the first administrator, and goes on as that.
async fn claim(client: &mut Client, data: &Path) {
    let mut code = chipq(&["accounts", "claim-code", "--reason", "to be claimed", "--data"]);
    let code = code.arg(data).output().unwrap();
    let code = String::from_utf8(code.stdout).unwrap();
    let claim = |code: &str| json!({"code": code, "name": "ada", "password": PASSWORD});
    for (code, status) in [("wrong", 403), (code.trim(), 201)] {
        let request = client.request(Method::POST, "/v1/claim").json(&claim(code));
        client.call(request, status).await;
    }
    let form = [("username", "ada"), ("password", PASSWORD)];
    // The process believes in her as soon as it has read the event.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    let signed_in = loop {
        let request = client.request(Method::POST, "/v1/token").form(&form);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        if answer["access_token"].is_string() {
            break answer;
        }
        assert!(std::time::Instant::now() < deadline, "{answer}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    client.token = signed_in["access_token"].as_str().unwrap().to_owned();
}

async fn change(client: &mut Client, path: &str, body: Value, status: u16) {
    let request = client.command(path).json(&body);
    client.call(request, status).await;
}

async fn tokens(client: &mut Client) {
    for (asked, active) in [(client.token.clone(), true), ("nonsense".to_owned(), false)] {
        let request = client.request(Method::POST, "/v1/token/introspect");
        let request = request.bearer_auth(&client.token).form(&[("token", asked)]);
        assert_eq!(client.call(request, 200).await["active"], active);
    }
    let token = client.token.clone();
    let revoke = |client: &Client| {
        client.request(Method::POST, "/v1/token/revoke").form(&[("token", &token)])
    };
    client.call(revoke(client), 200).await;
    client.call(client.request(Method::POST, "/v1/token/revoke").form(&[("x", "y")]), 400).await;
}
