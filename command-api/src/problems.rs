//! The one place where what stands in a command's way becomes a problem for its client.

use axum::http::{StatusCode, header};
use domain::{Invalid, Rejection};
use platform::access::{AccessError, SignInError};
use platform::artifact_store::UploadError;
use platform::event_log::{EventLogError, StreamId};
use platform::execute::ExecuteError;
use platform::http::{FieldError, Problem, ProblemType};
use platform::idempotency::ClaimError;

use crate::base_url::encode_segment;
use crate::in_flight::BodyError;

/// Seconds after which a log that is away, or a busy resource, is worth another try.
const RETRY_AFTER_S: u64 = 1;
/// The longest that a client is told to wait for the first request with its key: a command takes
/// milliseconds, and only one whose process died takes the rest of its lease, which is seconds.
const KEY_RETRY_AFTER_MAX_S: u64 = 2;

/// 404 or 409, or 403 where it is about who asks, with the rejection's name.
pub(crate) fn from_rejection(rejection: &impl Rejection) -> Problem {
    let problem = Problem::new(ProblemType::from_rejection(rejection), rejection.to_string());
    let problem = problem.rejecting_command();
    match problem.status() {
        StatusCode::FORBIDDEN => problem,
        _ if rejection.is_not_found() => problem.with_status(StatusCode::NOT_FOUND),
        _ => problem.with_status(StatusCode::CONFLICT),
    }
}

/// What came of a change to accounts and clients that was not made.
pub(crate) fn from_access_error(error: AccessError) -> Problem {
    match error {
        AccessError::Refused(refused) => from_rejection(&refused),
        AccessError::Password(flaw) => Problem::invalid_field("password", flaw.to_string()),
        AccessError::Credential(SignInError::Busy(_)) => Problem::too_many_requests(RETRY_AFTER_S),
        AccessError::Credential(SignInError::Unknown(error)) => {
            Problem::unavailable(error.to_string(), RETRY_AFTER_S)
        }
        AccessError::Contended => Problem::unavailable(error.to_string(), RETRY_AFTER_S),
        AccessError::Credential(SignInError::Storage(error)) | AccessError::Log(error) => {
            from_log_error(error)
        }
        AccessError::Random(_)
        | AccessError::Credential(SignInError::Refused | SignInError::Assertion(_)) => {
            Problem::internal(error)
        }
    }
}

/// What came of a command that was not executed.
pub(crate) fn from_execute_error<R: Rejection>(error: ExecuteError<R>) -> Problem {
    match error {
        ExecuteError::Rejected(refused) => from_rejection(&refused),
        ExecuteError::VersionMismatch { current } if current.number == 0 => Problem::new(
            ProblemType::PreconditionFailed,
            "nothing with that version exists; send the command without If-Match",
        )
        .rejecting_command(),
        ExecuteError::VersionMismatch { current } => {
            Problem::precondition_failed(&current.entity_tag()).rejecting_command()
        }
        ExecuteError::OutOfReach => Problem::new(ProblemType::OutOfReach, error.to_string()),
        ExecuteError::Contended => Problem::unavailable(error.to_string(), RETRY_AFTER_S),
        ExecuteError::ClaimLost => in_progress(error.to_string(), RETRY_AFTER_S),
        ExecuteError::Unreadable(error) => Problem::internal(error),
        ExecuteError::Log(error) => from_log_error(error),
    }
}

/// What came of a key that could not be had.
pub(crate) fn from_claim_error(error: ClaimError) -> Problem {
    let detail = error.to_string();
    match error {
        ClaimError::OtherRequest => Problem::new(ProblemType::IdempotencyKeyReused, detail),
        ClaimError::InProgress { retry_after } => {
            in_progress(detail, retry_after.as_secs().clamp(1, KEY_RETRY_AFTER_MAX_S))
        }
        ClaimError::KeyExpired { stream } => {
            let problem = Problem::new(ProblemType::KeyExpired, detail);
            match resource_link(&stream) {
                Some(link) => problem
                    .with_header(header::LINK, &format!("<{link}>; rel=\"related\""))
                    .with_extension("result", link),
                None => problem,
            }
        }
        ClaimError::Log(error) => from_log_error(error),
    }
}

/// What came of a picture that was not stored.
pub(crate) fn from_upload_error(error: UploadError) -> Problem {
    match error {
        // The same fact has the same name, whether the log or the store tells it.
        UploadError::AlreadyStored => already_uploaded(
            "another picture came first and is at rest for this artifact: send the same bytes again, or \
             cancel the reservation and announce a new one",
        ),
        UploadError::Interrupted(cause) => match cause.downcast_ref::<BodyError>() {
            Some(error) => error.into(),
            None => UploadError::Interrupted(cause).into(),
        },
        error => error.into(),
    }
}

/// 409: other bytes are at rest.
pub(crate) fn already_uploaded(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemType::ArtifactAlreadyUploaded, detail)
}

/// 503 when it may pass by itself, else 500; the cause is logged only.
pub(crate) fn from_log_error(error: EventLogError) -> Problem {
    match error {
        EventLogError::Unavailable(cause) => {
            tracing::error!(%cause, "the event log is unavailable");
            Problem::unavailable("the event log does not answer; try again", RETRY_AFTER_S)
        }
        EventLogError::Failed(cause) => Problem::internal(cause),
        // No command asks for what comes after a place.
        EventLogError::Reissued { .. } | EventLogError::EndsBefore { .. } => {
            Problem::internal(error)
        }
    }
}

fn in_progress(detail: String, retry_after_s: u64) -> Problem {
    Problem::new(ProblemType::IdempotencyKeyInProgress, detail).with_retry_after(retry_after_s)
}

/// Where the resource of a stream can be read.
fn resource_link(stream: &StreamId) -> Option<String> {
    let id = encode_segment(&stream.aggregate_id);
    match stream.aggregate_type.as_str() {
        "inspection" => Some(format!("/v1/inspections/{id}")),
        "part" => Some(format!("/v1/parts/{id}")),
        _ => None,
    }
}

/// What is wrong with one field of a body.
pub(crate) fn field_error(invalid: Invalid) -> FieldError {
    FieldError { field: invalid.field.to_owned(), message: invalid.must.to_owned() }
}
