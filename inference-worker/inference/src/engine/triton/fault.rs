//! What may go wrong with a call, by what can be done about it. The table from gRPC's codes is here
//! and nowhere else.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::engine::EngineError;

/// Part of what Triton's python backend says when a model's process has died; it says so until the
/// model is unloaded and loaded again.
const DEAD: [&str; 2] = ["is not healthy", "is unhealthy"];
/// What Triton says of a version that it knows and that is not ready: it is loading or draining, was
/// retired, or did not load. Its repository index tells which.
const NOT_READY: &str = "is not at ready state";
/// What Triton says when `--model-control-mode` leaves no room for load and unload.
const NOT_EXPLICIT: &str = "explicit model load / unload is not allowed";
/// What this machine's client says when the server's time is over.
const TIMED_OUT: &str = "Timeout expired";

/// Why a call gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server is away, draining or overloaded: it may answer soon.
    Away(String),
    /// It did not answer in time, and may still be at it.
    Late(String),
    /// It does not serve the model or the version, now.
    Missing(String),
    /// The model's process has died.
    Dead(String),
    /// It may not be asked this: its mode, or its access rules, forbid it.
    Forbidden(String),
    /// It was asked and said no.
    Refused(String),
}

impl Fault {
    pub(super) fn from_status(status: &Status) -> Self {
        let text = format!("{:?}: {}", status.code(), status.message());
        // What this machine's client made up has a cause; what a server sent has none.
        if let Some(cause) = status.source() {
            return if status.message().contains(TIMED_OUT) {
                Self::Late(text)
            } else {
                Self::Away(format!("{}: {}", status.message(), root_cause(cause)))
            };
        }
        let says = |part: &str| status.message().contains(part);
        match status.code() {
            _ if says(NOT_EXPLICIT) => Self::Forbidden(text),
            Code::Unavailable if says(NOT_READY) => Self::Missing(text),
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted => Self::Away(text),
            Code::Cancelled | Code::DeadlineExceeded => Self::Late(text),
            Code::NotFound => Self::Missing(text),
            _ if DEAD.iter().any(|part| says(part)) => Self::Dead(text),
            Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented => {
                Self::Forbidden(text)
            }
            // Half an answer: the connection ended between the message and its trailers.
            Code::Internal | Code::Unknown if is_cut(status.message()) => Self::Away(text),
            _ => Self::Refused(text),
        }
    }

    pub(super) fn detail(&self) -> &str {
        match self {
            Self::Away(detail)
            | Self::Late(detail)
            | Self::Missing(detail)
            | Self::Dead(detail)
            | Self::Forbidden(detail)
            | Self::Refused(detail) => detail,
        }
    }

    /// Whether there was no answer at all, so that the server had better be left alone.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Late(_))
    }

    /// For calls that are not about crops: everything but a clear no is worth another try.
    pub(super) fn into_error(self) -> EngineError {
        match self {
            Self::Away(detail) | Self::Late(detail) => EngineError::Unavailable { detail },
            Self::Dead(detail) => EngineError::Unavailable {
                detail: format!("{detail}; unload and load the model to restart it"),
            },
            Self::Missing(detail) | Self::Forbidden(detail) | Self::Refused(detail) => {
                EngineError::Model { detail }
            }
        }
    }
}

/// Whether tonic complains about an answer that ended too early.
fn is_cut(message: &str) -> bool {
    ["protocol error", "Missing response message", "h2 protocol"]
        .iter()
        .any(|part| message.contains(part))
}

fn root_cause(mut cause: &(dyn std::error::Error + 'static)) -> String {
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
