//! Pages for people that are JSON for programs: whoever asks for HTML before JSON gets the page.
//!
//! Invariant: a page is complete in itself. It runs no script, loads nothing, and what is put on it is escaped.

use std::sync::LazyLock;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{Html, IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::accept::choose_offer;

const JSON: &str = "application/json";
const HTML: &str = "text/html";
const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;color:#1d2733;max-width:56rem;margin:2rem auto;\
    padding:0 1rem}h1{font-size:1.5rem}table{border-collapse:collapse}th,td{text-align:left;vertical-align:top;\
    padding:.25rem 1rem .25rem 0;border-top:1px solid #d5dce4}code{font-size:.95em}a{color:#0b5cad}";

/// Nothing but that style.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// What a page says below its title, in HTML.
pub(super) struct Page<'t> {
    pub(super) title: &'t str,
    pub(super) body: String,
}

/// The page for whoever prefers HTML, else `value` as JSON: a program that accepts anything is one.
pub(super) fn answer<'t>(
    headers: &HeaderMap,
    value: &impl Serialize,
    page: impl FnOnce() -> Page<'t>,
) -> Response {
    let mut response = match choose_offer(headers, &[JSON, HTML]) {
        Some(HTML) => page().into_response(),
        _ => Json(value).into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

impl Page<'_> {
    fn into_response(self) -> Response {
        let (title, body) = (escape(self.title), self.body);
        let text = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\n\
             <body><h1>{title}</h1>\n{body}</body></html>\n"
        );
        ([(header::CONTENT_SECURITY_POLICY, POLICY.clone())], Html(text)).into_response()
    }
}

/// `text` as it stands in HTML, between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The same, with what stands between backticks as code.
pub(super) fn escape_with_code(text: &str) -> String {
    let pieces = text.split('`').map(escape).enumerate();
    pieces
        .map(|(number, piece)| match number % 2 {
            0 => piece,
            _ => format!("<code>{piece}</code>"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_on_a_page_is_text() {
        let text = escape_with_code("a < b & \"c\": `<d>`, then `e`");
        assert_eq!(
            text,
            "a &lt; b &amp; &quot;c&quot;: <code>&lt;d&gt;</code>, then <code>e</code>"
        );
    }
}
