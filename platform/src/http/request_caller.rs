//! Who makes a request, for whoever records it.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;

/// Who makes a request, once somebody has found out; what extracts a caller says it here.
#[derive(Debug, Clone, Default)]
pub struct RequestCaller(Arc<OnceLock<String>>);

impl RequestCaller {
    /// The request with these extensions; where nobody records it, what is said here goes nowhere.
    #[must_use]
    pub fn of_request(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Who makes it, if somebody has said so.
    pub(super) fn subject(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }

    /// It is made by `subject`. The first who says so is believed.
    pub fn identify(&self, subject: &str) {
        self.0.get_or_init(|| subject.to_owned());
    }
}

impl<S: Sync> FromRequestParts<S> for RequestCaller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of_request(&parts.extensions))
    }
}
