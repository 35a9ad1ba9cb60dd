//! What an OAuth client is told of this server.

use chrono::Utc;
use command_api::CommandApiConfig;
use platform::auth::{Actor, RoleScopes, TokenConfig};
use serde_json::{Value, json};

use crate::support::TestApi;

const PATH: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn without_an_address_as_issuer_there_are_no_metadata() {
    let api = TestApi::start().await;
    let reply = api.get(PATH).send().await;
    assert_eq!(reply.problem(), (404, "not-found".into()));
    assert!(reply.text("detail").contains("CHIPQ_TOKEN_ISSUER"));
}

#[tokio::test]
async fn metadata_name_the_issuer_that_tokens_name_and_what_there_is() {
    let tokens =
        TokenConfig { issuer: "https://chipq.example".to_owned(), ..TokenConfig::default() };
    let config = CommandApiConfig::default();
    let api = TestApi::start_where((tokens, RoleScopes::default()), config, |log| log).await;
    let reply = api.get(PATH).send().await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let metadata = &reply.json;
    let actor = Actor::with_roles("demo", &["engineer"]);
    let token = api.issuer.issue(&actor, Utc::now()).unwrap().token;
    let claims = crate::tokens::decode(token.split('.').nth(1).unwrap());
    assert_eq!(
        (&metadata["issuer"], &claims["iss"]),
        (&json!("https://chipq.example"), &metadata["issuer"])
    );
    for endpoint in ["token_endpoint", "revocation_endpoint", "introspection_endpoint"] {
        let url = metadata[endpoint].as_str().unwrap();
        let path = url.strip_prefix("https://chipq.example").unwrap();
        let reply = api.send_form(path, "grant_type=x").await;
        assert!(matches!(reply.status, 400 | 401), "{endpoint}: {reply:?}");
    }
    let keys =
        metadata["jwks_uri"].as_str().unwrap().strip_prefix("https://chipq.example").unwrap();
    assert_eq!(api.get(keys).send().await.status, 200);
    assert_eq!(metadata["response_types_supported"], json!([]));
    for grant in metadata["grant_types_supported"].as_array().unwrap() {
        let form = format!("grant_type={}", grant.as_str().unwrap());
        let reply = api.send_form("/v1/token", &form).await;
        assert_eq!(reply.text("error"), "invalid_request", "{grant} is known");
    }
    let scopes: Vec<Value> = metadata["scopes_supported"].as_array().unwrap().clone();
    assert!(scopes.contains(&json!("tokens:introspect")), "{scopes:?}");
}
