//! `GET /`: what this server is, and where to go on from here.
//!
//! No token is asked for, and nothing is linked that this process does not serve.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::get;
use serde::Serialize;

use super::page::{self, Page, escape};

const NAME: &str = "Chip Quality Platform";

/// Something to look at on this server.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PageLink {
    /// Its path.
    pub href: &'static str,
    /// What is there.
    pub title: &'static str,
}

/// What a server says of itself.
#[derive(Debug, Clone)]
pub struct ServerEntry {
    /// Which part of the platform it is, in words.
    pub role: &'static str,
    /// The version of the program.
    pub version: &'static str,
    /// What its services have to show, the most useful first.
    pub links: Vec<PageLink>,
}

/// What every server has to show.
const COMMON: [PageLink; 4] = [
    PageLink { href: "/problems", title: "What each problem means, and what to do about it" },
    PageLink { href: "/readyz", title: "Whether it is ready, and what is missing" },
    PageLink { href: "/healthz", title: "Whether it lives" },
    PageLink { href: "/metrics", title: "Metrics for Prometheus" },
];

#[derive(Serialize)]
struct EntryBody {
    name: &'static str,
    role: &'static str,
    version: &'static str,
    links: Vec<PageLink>,
}

/// The page, to be merged with what it links to.
pub(crate) fn entry_page(entry: ServerEntry) -> Router {
    let links = entry.links.into_iter().chain(COMMON).collect();
    let ServerEntry { role, version, .. } = entry;
    let body = Arc::new(EntryBody { name: NAME, role, version, links });
    let show = move |headers: HeaderMap| {
        let answer = page::answer(&headers, &*body, || render(&body));
        std::future::ready(answer)
    };
    Router::new().route("/", get(show))
}

fn render(entry: &EntryBody) -> Page<'static> {
    let (role, version) = (escape(entry.role), escape(entry.version));
    let mut body = format!("<p>{role}, version {version}</p>\n<table>\n");
    for PageLink { href, title } in &entry.links {
        let (href, title) = (escape(href), escape(title));
        // Writing to a string does not fail.
        let _ = writeln!(body, "<tr><td><a href=\"{href}\">{href}</a><td>{title}");
    }
    body.push_str("</table>\n");
    Page { title: NAME, body }
}
