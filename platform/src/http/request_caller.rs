//! Who makes a request, for whoever records it.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;

/// Who makes a request, once somebody has found out; what extracts a caller says it here.
#[derive(Debug, Clone, Default)]
pub struct RequestCaller(Arc<OnceLock<IdentifiedCaller>>);

#[derive(Debug)]
struct IdentifiedCaller {
    subject: String,
    token_id: Option<String>,
}

impl RequestCaller {
    /// The request with these extensions; where nobody records it, what is said here goes nowhere.
    #[must_use]
    pub fn of_request(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Who makes it, if somebody has said so.
    pub(super) fn subject(&self) -> Option<&str> {
        self.0.get().map(|caller| caller.subject.as_str())
    }

    /// The id of the token that proves it, where one does.
    pub(super) fn token_id(&self) -> Option<&str> {
        self.0.get()?.token_id.as_deref()
    }

    /// It is made by `subject`, as the token of this id proves where one does. The first who says so is believed.
    pub fn identify(&self, subject: &str, token_id: Option<&str>) {
        self.0.get_or_init(|| IdentifiedCaller {
            subject: subject.to_owned(),
            token_id: token_id.map(str::to_owned),
        });
    }
}

impl<S: Sync> FromRequestParts<S> for RequestCaller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of_request(&parts.extensions))
    }
}
