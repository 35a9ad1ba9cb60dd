//! What a problem links to: the page about it, and the same as JSON.

use super::*;

async fn ask_for(path: &str, accept: &str) -> Answer {
    let (_folder, issuer) = issuer();
    let request = Request::get(path).header("accept", accept);
    ask(&router(&issuer), request.body(Body::empty()).unwrap()).await
}

/// Where the answer's `Link` of the relation `help` leads.
fn help(answer: &Answer) -> &str {
    let link = answer.header("link").strip_suffix(">; rel=\"help\"").unwrap();
    link.strip_prefix('<').unwrap()
}

#[tokio::test]
async fn a_problem_links_to_its_page_and_whoever_asks_for_json_gets_the_same() {
    let refused = ask_for("/number/seven", "*/*").await;
    refused.problem(400, "bad-request");
    let page = ask_for(help(&refused), "text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    for part in ["<h1>Bad request</h1>", "urn:chipq:problem:bad-request", "<code>detail</code>"] {
        assert!(page.text.contains(part), "{part} is not in {}", page.text);
    }
    for accept in ["application/json", "*/*", "application/json, text/html;q=0.9"] {
        let json = ask_for(help(&refused), accept).await;
        let json: Value = serde_json::from_str(&json.text).unwrap();
        let expected = json!({ "name": "bad-request", "type": "urn:chipq:problem:bad-request",
            "title": "Bad request", "statuses": [400], "advice": "as `detail` says" });
        assert_eq!(json, expected, "{accept}");
    }
}

#[tokio::test]
async fn every_problem_is_listed_and_has_its_page() {
    let list = ask_for("/problems", "text/html").await;
    let json = ask_for("/problems", "application/json").await;
    let json: Value = serde_json::from_str(&json.text).unwrap();
    let items = json["items"].as_array().unwrap();
    assert!(items.len() > 60);
    for item in items {
        let name = item["name"].as_str().unwrap();
        assert!(list.text.contains(&format!("<a href=\"/problems/{name}\">")), "{name}");
        assert_eq!(ask_for(&format!("/problems/{name}"), "text/html").await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_not_found() {
    let nothing = ask_for("/problems/%3Cb%3E", "text/html").await;
    let problem = nothing.problem(404, "not-found");
    assert_eq!(problem["detail"], "there is no problem of the name <b>; see /problems");
    assert_eq!(nothing.header("content-type"), "application/problem+json");
}

#[test]
fn a_problem_that_links_to_something_else_links_to_its_page_too() {
    use axum::response::IntoResponse as _;
    let problem = Problem::new(ProblemType::KeyExpired, "it is long ago")
        .with_header(header::LINK, "</v1/parts/P>; rel=\"related\"");
    let response = problem.into_response();
    let links: Vec<_> = response.headers().get_all(header::LINK).iter().collect();
    assert_eq!(links, ["</v1/parts/P>; rel=\"related\"", "</problems/key-expired>; rel=\"help\""]);
}
