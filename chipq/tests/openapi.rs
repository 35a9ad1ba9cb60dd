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
