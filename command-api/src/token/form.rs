//! The form of a request for, or about, a token: each parameter once (RFC 6749, section 3.2).

use std::collections::BTreeMap;

use axum::extract::{Form, FromRequest as _, Request};
use axum::http::{HeaderValue, header};

use super::refusal::TokenError;

/// A request's form, and what its header says of who sends it.
pub(super) struct TokenForm {
    pub(super) authorization: Option<HeaderValue>,
    parameters: BTreeMap<String, String>,
}

impl TokenForm {
    /// Reads it.
    ///
    /// # Errors
    /// When the body is no form, is too long, or has a parameter twice.
    pub(super) async fn read(request: Request) -> Result<Self, TokenError> {
        let authorization = request.headers().get(header::AUTHORIZATION).cloned();
        let form = Form::<Vec<(String, String)>>::from_request(request, &()).await;
        let Form(pairs) =
            form.map_err(|error| TokenError::new("invalid_request", error.body_text()))?;
        // One without a value counts as left out.
        let pairs: Vec<_> = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let count = pairs.len();
        let parameters: BTreeMap<String, String> = pairs.into_iter().collect();
        if parameters.len() < count {
            return Err(TokenError::new("invalid_request", "a parameter stands there twice"));
        }
        Ok(Self { authorization, parameters })
    }

    /// A parameter, which is not there any more then.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.parameters.remove(name)
    }

    /// A parameter that has to be there.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn require(&mut self, name: &str) -> Result<String, TokenError> {
        let absent = || TokenError::new("invalid_request", format!("send {name}"));
        self.take(name).ok_or_else(absent)
    }
}
