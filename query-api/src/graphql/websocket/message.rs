//! The messages of graphql-transport-ws.

use async_graphql::{Response, ServerError};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a client sends.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum FromClient {
    ConnectionInit {
        #[serde(default)]
        payload: Option<Value>,
    },
    Ping {
        #[serde(default)]
        payload: Option<Value>,
    },
    Pong {
        #[serde(default, rename = "payload")]
        _payload: IgnoredAny,
    },
    /// The request is read from its payload apart: what serde sets aside to see the type first, it reads
    /// less strictly.
    Subscribe {
        id: String,
        payload: Value,
    },
    Complete {
        id: String,
    },
}

/// What a client is sent.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ToClient<'a> {
    ConnectionAck {},
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a Value>,
    },
    Next {
        id: &'a str,
        payload: &'a Response,
    },
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
}

/// The token in the payload of `connection_init`: `Authorization` (any case) or `token`.
pub(super) fn token_of(payload: &Value) -> Option<&str> {
    payload.as_object()?.iter().find_map(|(name, value)| {
        let is_token = ["authorization", "token"].iter().any(|n| name.eq_ignore_ascii_case(n));
        value.as_str().filter(|_| is_token)
    })
}
