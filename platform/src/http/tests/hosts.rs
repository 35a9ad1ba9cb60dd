//! By which names a server may be called.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Version};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tower::ServiceExt as _;

use crate::http::{AnsweredHosts, HttpConfig, check_host, wrap};

async fn status(listener: &str, request: Request<Body>) -> u16 {
    let address: SocketAddr = listener.parse().unwrap();
    let hosts = AnsweredHosts::behind(address, Some("Chipq.example"));
    let router = Router::new().route("/", get(async || "here"));
    let router = router.layer(from_fn_with_state(hosts, check_host));
    wrap(router, &HttpConfig::default()).oneshot(request).await.unwrap().status().as_u16()
}

fn named(host: &str) -> Request<Body> {
    Request::get("/").header("host", host).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_listener_on_loopback_answers_to_the_names_of_this_machine_alone() {
    let own = ["localhost", "LocalHost:8080", "localhost.", "a.localhost", "127.0.0.1:8080"];
    for host in own.into_iter().chain(["127.9.9.9", "[::1]:8080", "chipq.EXAMPLE", "[::1]"]) {
        assert_eq!(status("127.0.0.1:8080", named(host)).await, 200, "{host}");
    }
    let foreign = ["evil.example", "evil.example:8080", "10.0.0.7", "127.0.0.1.evil.example"];
    for host in foreign.into_iter().chain(["localhost.evil.example", "0.0.0.0", "[::]"]) {
        assert_eq!(status("127.0.0.1:8080", named(host)).await, 421, "{host}");
        assert_eq!(status("[::1]:8080", named(host)).await, 421, "{host}");
        assert_eq!(status("0.0.0.0:8080", named(host)).await, 200, "{host}");
    }
    assert_eq!(status("127.0.0.1:8080", whole("evil.example", "evil.example")).await, 421);
}

/// A request for a whole URL, as a proxy is asked.
fn whole(url: &str, host: &str) -> Request<Body> {
    Request::get(format!("http://{url}/")).header("host", host).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_whole_url_and_its_host_name_one_and_the_same() {
    for (url, host) in [
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("LocalHost", "localhost"),
        ("localhost:80", "localhost"),
        ("localhost", "localhost:80"),
    ] {
        assert_eq!(status("127.0.0.1:8080", whole(url, host)).await, 200, "{url} {host}");
    }
    for (url, host) in [
        ("127.0.0.1:8080", "evil.example"),
        ("evil.example", "localhost"),
        ("localhost:8080", "localhost:8081"),
        ("localhost:8080", "localhost"),
        ("localhost", "127.0.0.1"),
    ] {
        for listener in ["127.0.0.1:8080", "0.0.0.0:8080"] {
            assert_eq!(status(listener, whole(url, host)).await, 400, "{url} {host}");
        }
    }
}

#[tokio::test]
async fn a_request_has_one_host() {
    let request = || Request::get("/");
    let twice = request().header("host", "localhost").header("host", "localhost");
    let wrong = [request(), twice, request().header("host", ""), request().header("host", "a b")];
    for request in wrong.into_iter().chain([request().header("host", "demo@localhost")]) {
        let request = request.body(Body::empty()).unwrap();
        assert_eq!(status("0.0.0.0:8080", request).await, 400);
    }
    let old = request().version(Version::HTTP_10).body(Body::empty()).unwrap();
    assert_eq!(status("127.0.0.1:8080", old).await, 200);
}
