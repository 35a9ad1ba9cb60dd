//! Keys of tokens and of clients, as an operator keeps them: beside a platform that serves.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::path::Path;
use std::time::{Duration, Instant};

use platform::{Platform, chipq, finished, folder};
use serde_json::Value;
use station::Station;

/// What is done to the keys is known everywhere within a minute; as long again for a machine that is busy.
const KNOWN_WITHIN: Duration = Duration::from_secs(120);
const REASON: [&str; 2] = ["--reason", "a test"];

fn run(data: &Path, arguments: &[&str]) -> (i32, String, String) {
    finished(chipq(arguments).arg("--data").arg(data))
}

fn succeed(data: &Path, arguments: &[&str]) -> String {
    let (code, said, error) = run(data, arguments);
    assert_eq!(code, 0, "{arguments:?}: {error}");
    said
}

/// Each key with what it is used for.
fn keys(data: &Path) -> Vec<(String, String)> {
    let listed: Value = serde_json::from_str(&succeed(data, &["keys", "list", "--json"])).unwrap();
    let text = |key: &Value, field: &str| key[field].as_str().unwrap().to_owned();
    let listed = listed.as_array().unwrap().iter();
    listed.map(|key| (text(key, "kid"), text(key, "use"))).collect()
}

async fn published(url: &str) -> Vec<String> {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.get(format!("{url}/.well-known/jwks.json"));
    let (_, set) = station::answer(request).await.unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + KNOWN_WITHIN;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_retired_while_the_platform_serves() {
    let folder = folder();
    let data = folder.path().join("data");
    let platform = Platform::start(&data);
    let station = Station::try_sign_in(&platform.url).await.unwrap();
    let old = keys(&data).remove(0);
    assert_eq!(old.1, "signs");
    let (code, _, error) = run(&data, &[&["keys", "retire", &old.0], &REASON[..]].concat());
    assert!(code == 65 && error.contains("chipq keys rotate"), "{error}");
    let (code, _, error) = run(&data, &["keys", "rotate"]);
    assert!(code == 64 && error.contains("--reason"), "{error}");

    let new = succeed(&data, &[&["keys", "rotate"], &REASON[..]].concat()).trim().to_owned();
    assert_eq!(keys(&data)[1], (new.clone(), "signs soon".to_owned()));
    until("the new key is published", async || published(&platform.url).await.contains(&new)).await;
    until("the new key signs", async || keys(&data)[1].1 == "signs").await;
    assert_eq!(station.get("/v1/inspections").await.unwrap().0, 200, "the old token is good");
    let later = Station::try_sign_in(&platform.url).await.unwrap();
    assert_eq!(later.get("/v1/inspections").await.unwrap().0, 200);

    let (code, _, error) = run(&data, &[&["keys", "retire", &old.0], &REASON[..]].concat());
    assert!(code == 0 && error.contains("may have been alive"), "{error}");
    until("the old token is refused", async || {
        station.get("/v1/inspections").await.unwrap().0 == 401
    })
    .await;
    assert_eq!(later.get("/v1/inspections").await.unwrap().0, 200);
    assert_eq!(published(&platform.url).await, [new]);
    platform.stop();
}

#[test]
fn a_client_is_given_a_public_key_and_never_a_private_one() {
    let folder = folder();
    let (data, file) = (folder.path().join("data"), folder.path().join("mes.pem"));
    let (code, _, error) = run(&data, &["keys", "list"]);
    assert!(code != 0 && !data.exists(), "a list makes no installation: {error}");
    assert_eq!(run(&data, &["migrate"]).0, 0);
    let (code, _, error) = run(&data, &["keys", "list"]);
    assert!(code == 66 && error.contains("no keys"), "nobody has signed yet: {error}");

    let public = "-----BEGIN PUBLIC KEY-----\n\
                  MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                  -----END PUBLIC KEY-----\n";
    let create = ["clients", "create", "mes", "--role", "auditor", "--public-key"];
    let create = [&create[..], &[file.to_str().unwrap(), "--json"], &REASON].concat();
    let (code, _, error) = run(&data, &create);
    assert!(code == 66 && error.contains("mes.pem"), "{error}");
    std::fs::write(&file, public.replace("PUBLIC", "PRIVATE")).unwrap();
    let (code, _, error) = run(&data, &create);
    assert!(code == 65 && error.contains("openssl pkey"), "{error}");
    std::fs::write(&file, public).unwrap();
    let created: Value = serde_json::from_str(&succeed(&data, &create)).unwrap();
    assert_eq!(created, serde_json::json!({ "client_id": "mes" }));
    let rotate = ["clients", "rotate", "mes", "--public-key", file.to_str().unwrap()];
    let said = succeed(&data, &[&rotate[..], &REASON].concat());
    assert!(said.contains("so already"), "{said}");
    let said = succeed(&data, &[&["clients", "rotate", "mes"], &REASON[..]].concat());
    assert!(said.contains("chipq_secret_"), "it may have a secret again: {said}");
}
