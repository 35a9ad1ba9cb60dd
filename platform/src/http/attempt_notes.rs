//! Where whoever refuses a request, or grants a token, says so for the log.
//!
//! Invariant: no request is refused for want of a right without a note: what nobody has said is said of every answer
//! that is 401 or 403, and of every rejection by the rules. A name that was typed in is noted only where it is somebody's: it may be a password in the
//! wrong field.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, StatusCode};

use super::{ClientAddress, Problem, RequestCaller, abbreviate};
use crate::access_attempts::{
    AccessAttempt, AttemptRecorder, GrantedToken, RefusedAccess, RejectedCommand,
};

/// What is to be recorded of one request. As an extractor it never fails; where nobody records, what is said here
/// goes nowhere.
#[derive(Debug, Clone, Default)]
pub struct AttemptNotes(Arc<RequestNotes>);

#[derive(Debug, Default)]
struct RequestNotes {
    recorder: AttemptRecorder,
    asked: String,
    address: Option<IpAddr>,
    caller: RequestCaller,
    /// Whom it is about, who has proved nothing.
    concerned: OnceLock<String>,
    is_noted: AtomicBool,
}

impl AttemptNotes {
    /// Of the request with these extensions, which asks `asked` and is made by `caller`.
    pub(super) fn begin(extensions: &Extensions, asked: String, caller: RequestCaller) -> Self {
        Self(Arc::new(RequestNotes {
            recorder: extensions.get().cloned().unwrap_or_default(),
            asked,
            address: ClientAddress::of_request(extensions).address,
            caller,
            concerned: OnceLock::new(),
            is_noted: AtomicBool::new(false),
        }))
    }

    /// The request with these extensions.
    #[must_use]
    pub(crate) fn of_request(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// It is about this account or client, which there is, whoever asks.
    pub fn concern(&self, subject: &str) {
        self.0.concerned.get_or_init(|| subject.to_owned());
    }

    /// Somebody is refused, for a reason that stays the same word.
    pub fn refuse(&self, reason: &str) {
        self.0.is_noted.store(true, Ordering::Relaxed);
        let concerned = self.0.concerned.get().cloned();
        self.0.recorder.note(AccessAttempt::Refused(RefusedAccess {
            subject: concerned.or_else(|| self.0.caller.subject().map(str::to_owned)),
            address: self.0.address,
            asked: self.0.asked.clone(),
            reason: reason.to_owned(),
        }));
    }

    /// Somebody is given a token, by this kind of proof, that allows `scopes`.
    pub fn grant(&self, (subject, grant_type): (&str, &str), token_id: &str, scopes: Vec<String>) {
        self.0.recorder.note(AccessAttempt::Granted(GrantedToken {
            subject: subject.to_owned(),
            grant_type: grant_type.to_owned(),
            token_id: token_id.to_owned(),
            address: self.0.address,
            scopes,
        }));
    }

    /// A command for `resource` is rejected by the rules, under the rejection's name.
    pub fn reject(&self, resource: &str, rejection: &str) {
        let (caller, concerned) = (&self.0.caller, self.0.concerned.get());
        self.0.recorder.note(AccessAttempt::Rejected(RejectedCommand {
            subject: caller.subject().or(concerned.map(String::as_str)).map(str::to_owned),
            token_id: caller.token_id().map(str::to_owned),
            address: self.0.address,
            asked: self.0.asked.clone(),
            resource: abbreviate(resource).into_owned(),
            reason: rejection.to_owned(),
        }));
    }

    /// The request for `path` was answered so, by this problem if by one.
    pub(super) fn finish(&self, status: StatusCode, path: &str, problem: Option<&Problem>) {
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            if !self.0.is_noted.load(Ordering::Relaxed) {
                match problem {
                    Some(problem) => self.refuse(problem.name()),
                    None => self.refuse(status.as_str()),
                }
            }
        } else if let Some(rejection) = problem.filter(|problem| problem.is_rejection())
            && !self.0.asked.starts_with("GET ")
        {
            self.reject(path, rejection.name());
        }
    }
}

impl<S: Sync> FromRequestParts<S> for AttemptNotes {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of_request(&parts.extensions))
    }
}
