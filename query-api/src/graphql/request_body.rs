//! A GraphQL request as a client writes it, in the body of a POST or in a WebSocket's message.

use async_graphql::{Request, Variables};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The parameters of GraphQL over HTTP, and no others: a misspelt one would be left out silently.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct GraphqlRequest {
    query: String,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    /// Whatever a client notes here for others; nothing here asks for it.
    #[serde(rename = "extensions")]
    _extensions: Option<Map<String, Value>>,
}

impl From<GraphqlRequest> for Request {
    fn from(body: GraphqlRequest) -> Self {
        let variables = Value::Object(body.variables.unwrap_or_default());
        let request = Self::new(body.query).variables(Variables::from_json(variables));
        match body.operation_name {
            Some(name) => request.operation_name(name),
            None => request,
        }
    }
}
