//! The OpenAPI document and its copy in `schemas/`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

use serde_json::Value;

/// `UPDATE_SCHEMAS=1 cargo test -p chipq --test openapi` writes the copy.
#[test]
fn the_copy_in_schemas_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi.json");
    let document = chipq::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let copy = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        copy == document,
        "schemas/openapi.json is stale; run: UPDATE_SCHEMAS=1 cargo test -p chipq --test openapi"
    );
}

/// The page of the documentation shows the calls of a first board at its top, by the names of their operations.
#[test]
fn the_first_board_of_the_page_is_made_of_calls_that_there_are() {
    let script = include_str!("../../command-api/src/docs_page/docs.js");
    let (steps, _) =
        script.split_once("const FIRST_BOARD = [").unwrap().1.split_once("];").unwrap();
    let steps = steps.lines().filter_map(|line| line.split('"').nth(3));
    let steps: Vec<_> = steps.collect();
    assert_eq!(steps.len(), 6, "{steps:?}");
    let document = serde_json::to_value(chipq::openapi()).unwrap();
    let items = document["paths"].as_object().unwrap().values();
    let operations = items.flat_map(|item| item.as_object().unwrap().values());
    let names: Vec<_> =
        operations.filter_map(|operation| operation["operationId"].as_str()).collect();
    assert!(steps.iter().all(|step| names.contains(step)), "{steps:?} and {names:?}");
}

#[test]
fn the_document_holds_commands_and_reads_and_every_reference_leads_somewhere() {
    let document = serde_json::to_value(chipq::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for (path, method) in [
        ("/v1/inspections", "post"),
        ("/v1/inspections", "get"),
        ("/v1/reports/{report_id}", "get"),
        ("/readyz", "get"),
    ] {
        assert!(paths[path][method].is_object(), "{method} {path}");
    }
    let mut pending = vec![&document];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref").and_then(Value::as_str) {
                    let pointer = reference.strip_prefix('#').expect("within the document");
                    assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
                }
                pending.extend(fields.values());
            }
            Value::Array(items) => pending.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
