//! Everything else that a wrapped router refuses or adds.

use super::*;

async fn with_token(path: &str, method: &str, token: &str, issuer: &TokenIssuer) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header::AUTHORIZATION, token).body(Body::empty()).unwrap();
    ask(&router(issuer), request).await
}

#[tokio::test]
async fn a_good_token_names_the_actor() {
    let (_folder, issuer) = issuer();
    let token = issuer.issue(&Actor::with_roles("mia", &["engineer"]), Utc::now()).unwrap().token;
    for scheme in ["Bearer", "bearer"] {
        let answer = with_token("/who", "GET", &format!("{scheme} {token}"), &issuer).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "mia"));
    }
    assert_eq!(
        with_token("/void", "POST", &format!("Bearer {token}"), &issuer).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn no_token_is_401_with_a_challenge_and_a_bad_one_says_invalid_token() {
    let (_folder, issuer) = issuer();
    let answer = get_path(&router(&issuer), "/who").await;
    answer.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"chipq\"");
    for token in ["Bearer nonsense", "Basic ZGVtbzpkZW1v", "Bearer", "Bearer "] {
        let answer = with_token("/who", "GET", token, &issuer).await;
        answer.problem(401, "unauthorized");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{token}");
        assert!(!answer.text.contains("nonsense"));
    }
    let past = Utc::now() - chrono::TimeDelta::hours(1);
    let expired = issuer.issue(&Actor::with_roles("mia", &["engineer"]), past).unwrap().token;
    let answer = with_token("/who", "GET", &format!("Bearer {expired}"), &issuer).await;
    assert!(answer.problem(401, "unauthorized")["detail"].as_str().unwrap().contains("expired"));
}

#[tokio::test]
async fn a_missing_scope_is_403_and_named() {
    let (_folder, issuer) = issuer();
    let token = issuer.issue(&Actor::with_roles("aoi-1", &["station"]), Utc::now()).unwrap().token;
    let answer = with_token("/void", "POST", &format!("Bearer {token}"), &issuer).await;
    assert_eq!(answer.problem(403, "missing-scope")["scope"], "inspections:void");
    assert!(answer.header("www-authenticate").contains("insufficient_scope"));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let (_folder, issuer) = issuer();
    let router = router(&issuer);
    get_path(&router, "/nowhere").await.problem(404, "not-found");
    let answer = get_path(&router, "/echo").await;
    answer.problem(405, "method-not-allowed");
    assert_eq!(answer.header("allow"), "POST");
    // What is said of it, here and in the log, is not as long as the sender likes.
    let long = "M".repeat(300_000);
    let request = Request::builder().method(long.as_str()).uri("/echo").body(Body::empty());
    let answer = ask(&router, request.unwrap()).await;
    answer.problem(405, "method-not-allowed");
    assert!(answer.text.len() < 500, "{} bytes", answer.text.len());
}

#[tokio::test]
async fn what_is_refused_is_not_quoted_at_length() {
    let (_folder, issuer) = issuer();
    let router = router(&issuer);
    let long = "x".repeat(30_000);
    for path in [format!("/{long}"), format!("/page?limit={long}"), format!("/number/{long}")] {
        let answer = get_path(&router, &path).await;
        assert!(answer.status.is_client_error());
        assert!(answer.text.len() < 3_000, "{} bytes of /{:.8}", answer.text.len(), path);
    }
    let many = vec![FieldError { field: long.clone(), message: long }; 10_000];
    let said = Problem::validation(many).to_json();
    assert_eq!(said["errors"].as_array().unwrap().len(), 100);
    assert!(said["detail"].as_str().unwrap().contains("10000 fields"), "{}", said["detail"]);
    assert!(said["errors"][99].to_string().len() < 3_000);
}

#[tokio::test]
async fn refusals_of_axums_own_extractors_are_problems() {
    let (_folder, issuer) = issuer();
    let router = router(&issuer);
    let problem = get_path(&router, "/page?limit=many").await.problem(400, "bad-request");
    assert!(problem["detail"].as_str().unwrap().contains("limit"), "{problem}");
    get_path(&router, "/number/seven").await.problem(400, "bad-request");
}

#[tokio::test]
async fn a_panic_is_an_opaque_500() {
    let (_folder, issuer) = issuer();
    let answer = get_path(&router(&issuer), "/panic").await;
    answer.problem(500, "internal");
    assert!(!answer.text.contains("secret cause"));
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_504() {
    let (_folder, issuer) = issuer();
    get_path(&router(&issuer), "/slow").await.problem(504, "timeout");
    let upload = Request::put("/slow").body(Body::empty()).unwrap();
    ask(&router(&issuer), upload).await.problem(504, "timeout");
}

#[tokio::test]
async fn a_valid_traceparent_is_continued_and_a_bad_one_replaced() {
    let (_folder, issuer) = issuer();
    let router = router(&issuer);
    let trace_id = "4bf92f3577b34da6a3ce929d0e0e4736";
    let send = async |traceparent: &str| {
        let request = Request::get("/trace").header("traceparent", traceparent);
        ask(&router, request.body(Body::empty()).unwrap()).await
    };
    let answer = send(&format!("00-{trace_id}-00f067aa0ba902b7-00")).await;
    assert!(answer.text.starts_with(&format!("00-{trace_id}-")) && answer.text.ends_with("-00"));
    assert!(!answer.text.contains("00f067aa0ba902b7"), "the span must be our own");
    assert_eq!(answer.header("traceparent"), answer.text);
    assert_eq!(answer.header("x-request-id"), trace_id);
    for bad in [
        "nonsense",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        let answer = send(bad).await;
        assert!(!answer.text.to_lowercase().contains(trace_id), "{bad}");
        assert_eq!(answer.text.len(), 55);
    }
}

#[tokio::test]
async fn a_request_id_comes_back_unless_it_is_harmful() {
    let (_folder, issuer) = issuer();
    let router = router(&issuer);
    for (id, kept) in [("order-17/a", true), ("two words", false), (&"x".repeat(200), false)] {
        let request =
            Request::get("/trace").header("x-request-id", id).body(Body::empty()).unwrap();
        let answer = ask(&router, request).await;
        assert_eq!(answer.header("x-request-id") == id, kept, "{id}");
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let (_folder, issuer) = issuer();
    for path in ["/trace", "/nowhere", "/panic"] {
        let answer = get_path(&router(&issuer), path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[test]
fn a_problem_carries_its_headers_fields_and_extensions() {
    let problem = Problem::validation(vec![
        FieldError { field: "lot".to_owned(), message: "must not be empty".to_owned() },
        FieldError { field: "part".to_owned(), message: "must not be empty".to_owned() },
    ]);
    assert_eq!(problem.to_json()["errors"][1]["field"], "part");
    assert_eq!(problem.detail(), "2 fields are wrong; see errors");
    let problem = Problem::new(ProblemType::AlreadyJudged, "it is judged")
        .completed_at("/v1/x", "t1")
        .completed_at("/y", "t2");
    assert_eq!(problem.to_json()["title"], "Already judged");
    assert_eq!(problem.to_json()["trace_id"], "t1");
    use axum::response::IntoResponse as _;
    let limited = Problem::too_many_requests(7).into_response();
    assert_eq!(limited.headers()["retry-after"], "7");
    let stale = Problem::precondition_failed("\"3\"").into_response();
    assert_eq!(
        (stale.status(), &stale.headers()["etag"]),
        (StatusCode::PRECONDITION_FAILED, &"\"3\"".parse().unwrap())
    );
}
