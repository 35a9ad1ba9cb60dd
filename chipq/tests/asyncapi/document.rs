//! `schemas/asyncapi.yaml`, as validators of what is sent.

use jsonschema::Validator;
use serde_json::{Value, json};

pub(crate) struct Document(pub(crate) Value);

impl Document {
    pub(crate) fn read() -> Self {
        let text = include_str!("../../../schemas/asyncapi.yaml");
        Self(serde_yaml::from_str(text).expect("YAML"))
    }

    pub(crate) fn messages(&self) -> &serde_json::Map<String, Value> {
        self.0["components"]["messages"].as_object().unwrap()
    }

    /// The validators of a message's headers, with what the trait says of them, and of its payload.
    pub(crate) fn validators(&self, message: &str) -> (Validator, Validator) {
        let message = &self.messages()[message];
        let event = &self.0["components"]["messageTraits"]["event"];
        assert_eq!(message["traits"], json!([{"$ref": "#/components/messageTraits/event"}]));
        let mut headers = event["headers"].clone();
        let own = message["headers"]["properties"].as_object().unwrap().clone();
        headers["properties"].as_object_mut().unwrap().extend(own);
        (self.validator(&headers), self.validator(&message["payload"]))
    }

    fn validator(&self, schema: &Value) -> Validator {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": {"schemas": self.0["components"]["schemas"]},
        });
        jsonschema::options().should_validate_formats(true).build(&whole).unwrap()
    }
}
