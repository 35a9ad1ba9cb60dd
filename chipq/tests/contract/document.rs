//! An OpenAPI 3.1 document that answers are held against.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// The document, and what of it was tried.
pub(crate) struct Document {
    document: Value,
    tried: BTreeSet<String>,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) media_type: Option<String>,
    /// Null when it is no JSON.
    pub(crate) body: Value,
}

impl Document {
    pub(crate) fn new(document: Value) -> Self {
        assert_eq!(document["openapi"], "3.1.0");
        Self { document, tried: BTreeSet::new() }
    }

    /// Fails unless the document says that `method` on `path` may be answered so.
    pub(crate) fn check(&mut self, (method, path): (&str, &str), answer: &Answer) {
        let Answer { status, media_type, body } = answer;
        let place = format!("{method} {path} {status}");
        let operation = self.find_operation(method, path).unwrap_or_else(|| panic!("no {place}"));
        let name = operation["operationId"].as_str().unwrap().to_owned();
        let response = &operation["responses"][status.to_string()];
        assert!(response.is_object(), "{place} is not in the document: {body}");
        let response = self.resolve(response);
        match (response.get("content"), media_type.as_deref()) {
            (None, None) => {}
            (None, Some(sent)) => assert!(body.is_null(), "{place} sends {sent}: {body}"),
            (Some(described), sent) => {
                let essence = sent.unwrap_or_default().split(';').next().unwrap_or_default();
                let format = described.get(essence).unwrap_or_else(|| {
                    panic!("{place} sends {essence:?}, and not one of {described}")
                });
                // Bytes have no shape.
                let is_json = essence.ends_with("json");
                if let Some(schema) = format.get("schema").filter(|_| is_json) {
                    self.check_shape(&place, schema, body);
                }
            }
        }
        self.tried.insert(name);
    }

    /// Operations that were never answered.
    pub(crate) fn untried(&self) -> Vec<&str> {
        let items = self.document["paths"].as_object().unwrap().values();
        let operations = items.flat_map(|item| item.as_object().unwrap().values());
        let names = operations.filter_map(|operation| operation["operationId"].as_str());
        names.filter(|name| !self.tried.contains(*name)).collect()
    }

    fn find_operation(&self, method: &str, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (wanted, given) = (template.split('/'), path.split('/'));
            wanted.clone().count() == given.clone().count()
                && wanted.zip(given).all(|(wanted, given)| {
                    wanted == given || (wanted.starts_with('{') && !given.is_empty())
                })
        };
        let paths = self.document["paths"].as_object().unwrap();
        let item = paths.iter().find(|(template, _)| fits(template))?.1;
        item.get(method.to_ascii_lowercase())
    }

    fn resolve<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.document.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    fn check_shape(&self, place: &str, schema: &Value, body: &Value) {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": self.document["components"],
        });
        let validator = jsonschema::options().should_validate_formats(true).build(&whole).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(body)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{place} is of another shape: {errors:#?}\n{body:#}");
    }
}
