//! `chipq token`: a token for curl, and nothing of the secret anywhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "support/station.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod station;

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use platform::{Platform, chipq, finished, folder};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use station::Station;

/// `chipq token` with these arguments, no variable, and this on standard input.
fn token(arguments: &[&str], piped: &Path) -> Command {
    let mut command = chipq(&[&["token"], arguments].concat());
    command.env_remove("CHIPQ_CLIENT_SECRET").env_remove("CHIPQ_URL");
    command.stdin(File::open(piped).unwrap());
    command
}

/// A client that may read everything, and its secret.
fn create_client(data: &Path) -> String {
    let create = ["clients", "create", "mes", "--role", "auditor", "--reason", "new", "--json"];
    let (code, said, error) = finished(chipq(&create).arg("--data").arg(data));
    assert_eq!(code, 0, "{error}");
    let created: Value = serde_json::from_str(&said).unwrap();
    created["client_secret"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_and_an_account_get_a_token_that_works() {
    let folder = folder();
    let data = folder.path().join("data");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (empty, demo) = (file("empty", ""), file("demo", "demo\n"));
    let platform = Platform::start(&data);
    let secret = create_client(&data);
    let of_client = file("secret", &format!("{secret}\r\nnot this\n"));
    let station = Station::sign_in(&platform.url).await;

    let client = ["--client", "mes", "--url", &platform.url];
    let by_file = [&client[..], &["--secret-file", of_client.to_str().unwrap()]].concat();
    let mut by_variable = token(&client, &empty);
    by_variable.env("CHIPQ_CLIENT_SECRET", &secret);
    let mut of_account = token(&["--account", "demo"], &demo);
    of_account.env("CHIPQ_URL", format!("{}/", platform.url));
    let wrong_variable = ("CHIPQ_CLIENT_SECRET", "chipq_secret_of_another");
    let mut file_first = token(&by_file, &empty);
    file_first.env(wrong_variable.0, wrong_variable.1);
    for mut command in
        [token(&client, &of_client), token(&by_file, &empty), by_variable, of_account, file_first]
    {
        let (code, said, error) = finished(&mut command);
        assert!(code == 0 && error.is_empty(), "{command:?}: {error}");
        let url = format!("{}/v1/inspections", platform.url);
        let request = station.anonymous(Method::GET, &url).bearer_auth(said.trim());
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK, "{command:?}");
    }

    for mut command in [
        token(&["--client", "aoi-9", "--url", &platform.url], &of_client),
        token(&["--account", "mes", "--url", &platform.url], &of_client),
    ] {
        let (code, said, error) = finished(&mut command);
        assert!(code == 65 && said.is_empty() && error.contains(" is wrong"), "{code} {error}");
        assert!(!error.contains(&secret), "the secret is in a message");
    }
    platform.stop();
}

/// A server that answers one request so, and says what it was asked.
fn answering(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        let mut piece = [0; 4096];
        while !asked.ends_with(b"&password=tell-nobody") {
            let length = connection.read(&mut piece).unwrap();
            assert!(length > 0, "the request ended early");
            asked.extend_from_slice(&piece[..length]);
        }
        connection.write_all(answer.as_bytes()).unwrap();
        String::from_utf8(asked).unwrap()
    });
    (url, served)
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let folder = folder();
    let password = folder.path().join("password");
    std::fs::write(&password, "tell-nobody").unwrap();
    let refused = |arguments: &[&str]| {
        let (code, said, error) = finished(&mut token(arguments, &password));
        assert!(said.is_empty() && !error.contains("tell-nobody"), "{error}");
        (code, error)
    };
    let (code, error) = refused(&[]);
    assert!(code == 64 && error.contains("--client") && error.contains("--account"), "{error}");
    for url in ["chipq.example", "ftp://chipq.example", "http://me:tell-nobody@chipq.example"] {
        let (code, error) = finished_with_url(url, &password);
        assert!(code == 64 && error.contains("--url") && error.contains("CHIPQ_URL"), "{error}");
    }
    let missing = folder.path().join("missing");
    let (code, error) = refused(&["--client", "aoi-1", "--secret-file", missing.to_str().unwrap()]);
    assert!(code == 66 && error.contains("missing"), "{error}");
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nobody = format!("http://127.0.0.1:{free}");
    let (code, error) = refused(&["--account", "ada", "--url", &nobody]);
    assert!(code == 69 && error.contains("does not answer") && error.contains("--url"), "{error}");
}

/// The value may be shown: it was an argument.
fn finished_with_url(url: &str, piped: &Path) -> (i32, String) {
    let (code, _, error) = finished(&mut token(&["--account", "ada", "--url", url], piped));
    (code, error)
}

#[test]
fn a_password_follows_no_redirect_and_another_server_is_recognised() {
    let folder = folder();
    let password = folder.path().join("password");
    std::fs::write(&password, "tell-nobody\n").unwrap();
    for answer in [
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/v1/token\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found",
    ] {
        let (url, served) = answering(answer);
        let asks = ["--account", "ada", "--url", &url];
        let (code, said, error) = finished(&mut token(&asks, &password));
        assert!(code == 69 && said.is_empty(), "{answer}: {said}");
        assert!(error.contains("no platform that grants tokens"), "{error}");
        assert!(served.join().unwrap().contains("grant_type=password&username=ada&"));
    }
}
