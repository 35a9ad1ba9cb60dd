//! Pages of other servers: who may read an answer, what preflights say, who may open a WebSocket.

use super::*;

const LINE: &str = "https://line.example";

/// A server that pages of [`LINE`] may use, with one path that refuses for each reason.
fn cross_origin_router(origins: &[&str]) -> Router {
    let (_folder, issuer) = issuer();
    let cors = CorsConfig { cors_origins: origins.iter().map(|o| o.parse().unwrap()).collect() };
    let config =
        HttpConfig { cors, request_timeout: Duration::from_millis(100), ..HttpConfig::default() };
    let routes = Router::new()
        .route("/who", get(async |Authenticated(actor): Authenticated| actor.subject))
        .route("/limited", get(async || Problem::too_many_requests(3)))
        .route("/slow", get(slow))
        .route("/panic", get(panics))
        .route("/picture", put(async |body: axum::body::Bytes| body.len().to_string()))
        .route("/socket", get(async || "opened"))
        .with_state(App { verifier: Arc::new(issuer.verifier()) });
    wrap(routes, &config)
}

async fn send(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    ask(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_configured_page_reads_every_answer_also_why_it_is_refused() {
    let router = cross_origin_router(&["http://10.0.0.7:3000", LINE]);
    for (method, path, status) in [
        ("GET", "/who", 401),
        ("GET", "/limited", 429),
        ("GET", "/slow", 504),
        ("GET", "/panic", 500),
        ("GET", "/nowhere", 404),
        ("POST", "/who", 405),
        ("PUT", "/picture", 200),
    ] {
        let answer = send(&router, method, path, &[("origin", LINE)]).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), LINE, "{path}");
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
        let shown = answer.header("access-control-expose-headers");
        for name in ["etag", "location", "retry-after", "ratelimit", "x-log-position", "link"] {
            assert!(shown.split(',').any(|one| one == name), "{name} is not in {shown}");
        }
    }
}

#[tokio::test]
async fn a_preflight_is_answered_without_a_token() {
    let router = cross_origin_router(&[LINE]);
    let asked = "authorization,content-digest,content-type,idempotency-key,if-match,prefer";
    for (path, method) in [("/who", "POST"), ("/picture", "PUT"), ("/nowhere", "GET")] {
        let headers = [
            ("origin", LINE),
            ("access-control-request-method", method),
            ("access-control-request-headers", asked),
        ];
        let answer = send(&router, "OPTIONS", path, &headers).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), LINE);
        let list = |name| answer.header(name).split(',').collect::<Vec<_>>();
        assert!(list("access-control-allow-methods").contains(&method), "{path}");
        let allowed = list("access-control-allow-headers");
        assert!(asked.split(',').all(|name| allowed.contains(&name)), "{allowed:?}");
        assert_eq!(answer.header("access-control-max-age"), "3600");
    }
}

#[tokio::test]
async fn another_page_is_told_nothing_and_without_configuration_nobody_is() {
    let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    for origins in [&[LINE][..], &[]] {
        let router = cross_origin_router(origins);
        for (method, path) in [("GET", "/limited"), ("OPTIONS", "/who")] {
            let answer = send(&router, method, path, &preflight).await;
            assert_eq!(answer.header("access-control-allow-origin"), "", "{method} {origins:?}");
        }
    }
    let router = cross_origin_router(&[]);
    let refused = send(&router, "OPTIONS", "/who", &[("origin", LINE)]).await;
    refused.problem(405, "method-not-allowed");
    assert_eq!(refused.header("access-control-allow-methods"), "");
    // What is kept for one page is not shown to another.
    let shared = send(&cross_origin_router(&[LINE]), "GET", "/limited", &[("origin", LINE)]).await;
    let vary = shared.headers.get_all("vary").iter().map(|v| v.to_str().unwrap());
    assert!(vary.flat_map(|v| v.split(", ")).any(|name| name == "origin"));
}

#[tokio::test]
async fn a_websocket_is_opened_for_pages_of_this_server_and_configured_ones_alone() {
    let router = cross_origin_router(&[LINE]);
    for (origin, status) in [
        ("", 200),
        ("http://chipq.test:8080", 200),
        ("http://CHIPQ.test:8080", 200),
        (LINE, 200),
        ("http://chipq.test", 403),
        ("https://evil.example", 403),
        ("https://line.example.evil.example", 403),
        ("null", 403),
    ] {
        let mut headers = vec![("host", "chipq.test:8080"), ("upgrade", "websocket")];
        headers.extend((!origin.is_empty()).then_some(("origin", origin)));
        let answer = send(&router, "GET", "/socket", &headers).await;
        assert_eq!(answer.status, status, "{origin}");
        if status == 403 {
            answer.problem(403, "foreign-origin");
        }
        // What is no WebSocket is asked about by preflights.
        headers[1] = ("accept", "*/*");
        assert_eq!(send(&router, "GET", "/socket", &headers).await.status, 200, "{origin}");
    }
    let behind_tls =
        [("host", "chipq.test"), ("upgrade", "WebSocket"), ("origin", "https://chipq.test")];
    assert_eq!(send(&router, "GET", "/socket", &behind_tls).await.status, 200);
}
