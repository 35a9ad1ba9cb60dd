//! `GET /graphiql`: a page of our own to write and run queries with, complete in itself: it loads
//! nothing from any other origin.
//!
//! The page is public, as its source is; what it asks needs a token.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use platform::http::PageLink;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What of the queries is there to be looked at.
pub const PAGES: [PageLink; 1] =
    [PageLink { href: "/graphiql", title: "GraphQL, to write queries and to run them" }];

pub(crate) fn routes() -> Router {
    let page = serve_asset("text/html; charset=utf-8", include_str!("explorer/index.html"));
    let script =
        serve_asset("text/javascript; charset=utf-8", include_str!("explorer/explorer.js"));
    let style = serve_asset("text/css; charset=utf-8", include_str!("explorer/explorer.css"));
    Router::new()
        .route("/graphiql", get(page))
        .route("/graphiql/explorer.js", get(script))
        .route("/graphiql/explorer.css", get(style))
}

fn serve_asset(
    media_type: &'static str,
    text: &'static str,
) -> impl Fn() -> std::future::Ready<Response> + Clone + Send + Sync + 'static {
    move || {
        let about = [
            (header::CONTENT_TYPE, media_type),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        std::future::ready((about, text).into_response())
    }
}
