//! Strict JSON bodies.

use super::*;

async fn send(media_type: &str, body: impl Into<Body>) -> Answer {
    let (_folder, issuer) = issuer();
    let request = Request::post("/echo").header(header::CONTENT_TYPE, media_type);
    ask(&router(&issuer), request.body(body.into()).unwrap()).await
}

async fn json(body: &str) -> Answer {
    send("application/json", body.to_owned()).await
}

#[tokio::test]
async fn a_good_body_is_taken_whatever_the_charset_or_case_of_its_type() {
    for media_type in
        ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
    {
        let answer = send(media_type, r#"{"lot": "L-1"}"#).await;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (StatusCode::OK, r#"{"lot":"L-1","views":[]}"#)
        );
    }
}

#[tokio::test]
async fn malformed_json_is_refused_with_line_and_column() {
    let answer = json("{\n  \"lot\": \"L-1\",\n  oops\n}").await;
    let problem = answer.problem(400, "malformed-json");
    assert_eq!((&problem["line"], &problem["column"]), (&json!(3), &json!(3)));
    for body in ["", "{", "{\"lot\": \"L-1\"} trailing", "nul"] {
        json(body).await.problem(400, "malformed-json");
    }
    let deep = "[".repeat(50_000);
    json(&format!("{{\"lot\": {deep}")).await.problem(400, "malformed-json");
}

#[tokio::test]
async fn a_wrong_field_is_refused_with_its_path() {
    for (body, field, message) in [
        (r#"{"lot": "L-1", "colour": 1}"#, "colour", "unknown field `colour`"),
        (r#"{"lot": 7}"#, "lot", "invalid type"),
        (r#"{"lot": ""}"#, "lot", "must not be empty"),
        (r#"{}"#, "lot", "missing field"),
        (r#"{"lot": "L", "lot": "M"}"#, "lot", "duplicate field"),
        (
            r#"{"lot": "L", "views": [{"count": 1}, {"count": -1}]}"#,
            "views[1].count",
            "invalid value",
        ),
        (r#"{"lot": "L", "views": [{}]}"#, "views[0].count", "missing field"),
        (r#"{"lot": "L", "views": {}}"#, "views", "invalid type"),
    ] {
        let problem = json(body).await.problem(422, "validation");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        let found = problem["errors"][0]["message"].as_str().unwrap();
        assert!(found.contains(message) && !found.contains(" at line "), "{problem}");
    }
}

#[tokio::test]
async fn an_object_is_an_object_however_deep_it_lies() {
    for (body, field, found) in [
        (r#"[]"#, "", "an array"),
        (r#" ["L-1", []]"#, "", "an array"),
        (r#"null"#, "", "null"),
        (r#""L-1""#, "", "a string"),
        (r#"7"#, "", "a number"),
        (r#"{"lot": "L", "views": [[1]]}"#, "views[0]", "an array"),
        (r#"{"lot": "L", "views": [{"count": 1}, 1]}"#, "views[1]", "a number"),
        (r#"{"lot": "L", "views": ["1"]}"#, "views[0]", "a string"),
        (r#"{"lot": "L", "views": [true]}"#, "views[0]", "a truth value"),
        (r#"{"lot": "L", "views": [null]}"#, "views[0]", "null"),
    ] {
        let problem = json(body).await.problem(422, "validation");
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
        let message = problem["errors"][0]["message"].as_str().unwrap();
        assert_eq!(message, format!("must be an object, not {found}"));
    }
}

#[test]
fn a_field_stands_once_however_deep_it_lies_and_whatever_takes_it() {
    for (body, field) in [
        (r#"{"a": 1, "a": 1}"#, "a"),
        (r#"{"a": [{"b": {"c": 1, "c": 2}}]}"#, "a[0].b.c"),
        (r#"{"a": 1, "\u0061": 2}"#, "a"),
    ] {
        let refused = parse_json::<Value>(body.as_bytes()).unwrap_err();
        assert_eq!(refused.errors()[0].field, field, "{refused}");
        assert!(refused.errors()[0].message.starts_with("duplicate field"), "{refused}");
    }
}

#[test]
fn what_is_meant_is_read_as_it_stands() {
    let body = r#"{"a": [1, -2, 1.5, 18446744073709551615, "x", true, null, {"b": {}}], "c": "ä"}"#;
    let read = parse_json::<Value>(body.as_bytes()).unwrap();
    assert_eq!(read, serde_json::from_str::<Value>(body).unwrap());
}

#[tokio::test]
async fn a_body_of_another_type_is_refused() {
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"] {
        send(media_type, "{}").await.problem(415, "unsupported-media-type");
    }
    let (_folder, issuer) = issuer();
    let untyped = Request::post("/echo").body(Body::from("{}")).unwrap();
    ask(&router(&issuer), untyped).await.problem(415, "unsupported-media-type");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_announced_or_not() {
    let large = format!("{{\"lot\": \"{}\"}}", "x".repeat(JSON_BODY_MAX_BYTES));
    let problem = json(&large).await.problem(413, "payload-too-large");
    assert_eq!(problem["limit_bytes"], JSON_BODY_MAX_BYTES);
    let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 4096]));
    let endless = Body::from_stream(pieces);
    send("application/json", endless).await.problem(413, "payload-too-large");
}

#[tokio::test]
async fn any_other_body_is_bounded_by_the_router() {
    let (_folder, issuer) = issuer();
    let request = |length: usize| Request::put("/bytes").body(Body::from(vec![0; length])).unwrap();
    assert_eq!(ask(&router(&issuer), request(100_000)).await.status, StatusCode::OK);
    let announced = Request::put("/bytes").header(header::CONTENT_LENGTH, 100_001);
    let announced = announced.body(Body::from(vec![0; 100_001])).unwrap();
    ask(&router(&issuer), announced).await.problem(413, "payload-too-large");
    ask(&router(&issuer), request(100_001)).await.problem(413, "payload-too-large");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_refused() {
    let pieces =
        [Ok(b"{".to_vec()), Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))];
    let broken = Body::from_stream(futures::stream::iter(pieces));
    send("application/json", broken).await.problem(400, "interrupted");
}

#[tokio::test]
async fn a_byte_order_mark_before_json_is_passed_over() {
    let answer = json("\u{feff}{\"lot\": \"L-1\"}").await;
    assert_eq!(answer.text, r#"{"lot":"L-1","views":[]}"#);
    json("\u{feff}\u{feff}{\"lot\": \"L-1\"}").await.problem(400, "malformed-json");
}

#[tokio::test]
async fn nul_is_refused_wherever_it_hides() {
    for (body, field) in [
        (r#"{"a": ["x", {"b": "\u0000"}]}"#, "a[1].b"),
        (r#"{"a": {"\u0000": 1}}"#, "a"),
        (r#"{"a": "\\\u0000"}"#, "a"),
    ] {
        let refused = parse_json::<Value>(body.as_bytes()).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.name()), (422, "validation"), "{body}");
        assert_eq!(refused.errors()[0].field, field, "{body}");
    }
    json(r#"{"lot": "L\u0000"}"#).await.problem(422, "validation");
    json("{\"lot\": \"L\0\"}").await.problem(400, "malformed-json");
    // A backslash and some digits are only text.
    let answer = json(r#"{"lot": "L\\u0000"}"#).await;
    assert_eq!(answer.text, r#"{"lot":"L\\u0000","views":[]}"#);
    let (_folder, issuer) = issuer();
    for path in ["/number/%00", "/page?limit=1%00", "/nowhere%00"] {
        get_path(&router(&issuer), path).await.problem(400, "nul-character");
    }
}
