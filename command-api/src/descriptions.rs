//! What the OpenAPI document says of every command: its headers, and which problems may answer what.

use std::collections::BTreeMap;

use platform::http::describe::refer_to_problems;
use utoipa::openapi::{RefOr, Response};
use utoipa::{IntoParams, IntoResponses};

/// The headers of every command.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes headers that crate::command reads")]
pub(crate) struct MutationHeaders {
    /// 1 to 255 visible ASCII characters, bare or quoted; new for every command, the same for its
    /// repetitions.
    // No example: the page of the documentation would send it, and then replay the first answer.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 257)]
    idempotency_key: String,
    /// `*`, or the `ETag` that you have seen: 412 when the resource has changed since.
    #[param(rename = "If-Match")]
    if_match: Option<String>,
    /// W3C trace context; the trace is kept with the events.
    #[param(rename = "traceparent")]
    traceparent: Option<String>,
}

/// The preference that a command takes.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes what platform::http::PreferredWait reads")]
pub(crate) struct PreferHeader {
    /// `wait=SECONDS` (RFC 7240): answer when there is a judgement, or after so long, 20 s at most. An answer
    /// with `Preference-Applied` has waited.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// What can stand in the way of a command.
pub(crate) struct MutationProblems;

impl IntoResponses for MutationProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&[
            "400", "401", "403", "404", "409", "412", "413", "415", "422", "429", "500", "503",
            "504",
        ])
    }
}

/// What can stand in the way of an upload.
pub(crate) struct UploadProblems;

impl IntoResponses for UploadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&[
            "400", "403", "404", "408", "409", "413", "415", "422", "429", "500", "503", "504",
            "507",
        ])
    }
}

/// What can stand in the way of a notification.
pub(crate) struct NotificationProblems;

impl IntoResponses for NotificationProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["400", "401", "413", "500", "503", "504"])
    }
}

/// What can stand in the way of a token, besides RFC 6749's errors.
pub(crate) struct TokenProblems;

impl IntoResponses for TokenProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["429", "500", "503", "504"])
    }
}

/// What stands in the way of metadata, where tokens name no address as their issuer.
pub(crate) struct MetadataProblems;

impl IntoResponses for MetadataProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["404", "500", "504"])
    }
}

/// What can stand in the way of reading accounts and clients.
pub(crate) struct AccessReadProblems;

impl IntoResponses for AccessReadProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["400", "401", "403", "404", "422", "429", "500", "503", "504"])
    }
}

/// What can stand in the way of a claim.
pub(crate) struct ClaimProblems;

impl IntoResponses for ClaimProblems {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        refer_to_problems(&["400", "403", "409", "413", "415", "422", "429", "500", "503", "504"])
    }
}
