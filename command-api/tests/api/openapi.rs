//! The document, and the page that shows it.

use serde_json::Value;

use crate::support::{Reply, TestApi};

#[test]
fn the_document_is_openapi_3_1_and_whole() {
    let document = serde_json::to_value(command_api::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut commands = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{place}");
            assert!(operation["operationId"].is_string(), "{place}");
            assert!(operation["security"].is_array(), "{place}");
            let names: Vec<_> = parameters(operation).collect();
            for segment in path.split('/').filter(|segment| segment.starts_with('{')) {
                let name = segment.trim_matches(['{', '}']);
                assert!(names.contains(&name), "{place} does not describe {name}");
            }
            if names.contains(&"Idempotency-Key") {
                commands += 1;
                for status in ["400", "401", "403", "409", "412", "422", "429", "503", "504"] {
                    assert!(operation["responses"][status].is_object(), "{place} {status}");
                }
            }
        }
    }
    assert_eq!(commands, 26);
}

#[tokio::test]
async fn the_page_works_without_the_network() {
    let api = TestApi::start().await;
    let document = api.get("/openapi.json").send().await;
    assert_eq!(document.json, serde_json::to_value(command_api::openapi()).unwrap());
    let page = api.get("/docs/").send().await;
    let html = text(&page);
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    let loaded: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| html.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(loaded.len() >= 4, "{html}");
    for file in loaded {
        assert!(!file.contains("//"), "{file} comes from elsewhere");
        let path = format!("/docs/{}", file.trim_start_matches("./"));
        let reply = api.get(&path).send().await;
        assert_eq!(reply.status, 200, "{path}");
        if path.ends_with("/docs.js") {
            let script = text(&reply);
            assert!(script.contains("/openapi.json"), "{script}");
            assert!(script.contains("validatorUrl: null"), "{script}");
        }
    }
    let other = api.get("/docs/swagger-initializer.js").send().await;
    assert_eq!(other.problem(), (404, "not-found".to_owned()));
}

/// Nobody asked for it to be compressed.
fn text(reply: &Reply) -> &str {
    assert_eq!(reply.header("content-encoding"), None);
    std::str::from_utf8(&reply.bytes).unwrap()
}

fn parameters(operation: &Value) -> impl Iterator<Item = &str> {
    let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
    parameters.iter().filter_map(|parameter| parameter["name"].as_str())
}

fn collect_references<'a>(value: &'a Value, into: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            into.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| collect_references(member, into));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, into)),
        _ => {}
    }
}
