//! Which pages of other servers may use this one from a browser (the Fetch standard, section 3.2).
//!
//! Invariant: an origin that is not configured learns nothing: its browser keeps answers from it, and a WebSocket,
//! which browsers open without asking, is refused here. Absent on purpose: any origin (`*`). Nobody is let in by a
//! cookie here, but whatever page somebody has open could sign in as the demo user of this machine.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tower_http::cors::{AllowOrigin, CorsLayer};

use super::{Problem, ProblemType};

/// How long a browser may remember what a page of another server may send.
const REMEMBERED: Duration = Duration::from_secs(3_600);

/// What a page may send beside what every page may.
const SENT: [HeaderName; 14] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::RANGE,
    header::CACHE_CONTROL,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];

/// What a page may read of an answer beside what every page may.
const SHOWN: [HeaderName; 16] = [
    header::ACCEPT_RANGES,
    header::ALLOW,
    header::CONTENT_DISPOSITION,
    header::CONTENT_RANGE,
    header::ETAG,
    header::LINK,
    header::LOCATION,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("idempotency-replayed"),
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("x-log-position"),
    HeaderName::from_static("x-request-id"),
];

/// Who may use this server from a page in a browser, beside its own pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct CorsConfig {
    /// Origins of the pages that may call this server from a browser, with commas between them, such as
    /// `https://line.example`; none by default, so that only its own pages can.
    #[arg(
        long = "cors-origin",
        env = "CHIPQ_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub cors_origins: Vec<Origin>,
}

/// `scheme://host[:port]`, as a browser sends it: in lower case, without the port that the scheme has anyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let like = "write it like https://line.example or http://10.0.0.7:3000";
        if text.contains('*') || text.eq_ignore_ascii_case("null") {
            return Err(format!(
                "any page could sign in here then, also as the demo user; name each origin: {like}"
            ));
        }
        let uri = text.parse::<Uri>().map_err(|error| format!("{error}; {like}"))?;
        let (Some(scheme @ ("http" | "https")), Some(host)) = (uri.scheme_str(), uri.authority())
        else {
            return Err(format!("an origin is a scheme, http or https, and a host; {like}"));
        };
        if host.as_str().contains('@') || text.len() > scheme.len() + 3 + host.as_str().len() {
            return Err(format!("an origin has no user, no path and no slash at its end; {like}"));
        }
        let usual = usual_port(scheme);
        let port = host.port_u16().filter(|port| *port != usual);
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Ok(Self(format!("{scheme}://{}{port}", host.host().to_ascii_lowercase())))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CorsConfig {
    /// What answers preflights and tells browsers who may read an answer; `None` when nobody else may.
    pub(super) fn layer(&self) -> Option<CorsLayer> {
        let origins = self.cors_origins.iter();
        let origins: Vec<_> =
            origins.filter_map(|origin| HeaderValue::from_str(&origin.0).ok()).collect();
        let layer = || {
            CorsLayer::new()
                .allow_origin(AllowOrigin::list(origins.clone()))
                .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
                .allow_headers(SENT)
                .expose_headers(SHOWN)
                .max_age(REMEMBERED)
        };
        (!origins.is_empty()).then(layer)
    }
}

/// Of whose pages WebSockets are taken.
#[derive(Clone)]
pub(super) struct SocketOrigins(Arc<KnownOrigins>);

struct KnownOrigins {
    configured: Vec<Origin>,
    public_host: Option<String>,
}

impl SocketOrigins {
    /// Those that are configured, and this server's own, also as `public_host`.
    pub(super) fn new(config: &CorsConfig, public_host: Option<&str>) -> Self {
        let configured = config.cors_origins.clone();
        Self(Arc::new(KnownOrigins { configured, public_host: public_host.map(str::to_owned) }))
    }
}

/// Middleware: refuses to open a WebSocket for a page of another server, of which browsers do not ask before
/// (RFC 6455, section 10.2). Programs that are no browser send no `Origin`.
pub(super) async fn check_socket_origin(
    State(SocketOrigins(known)): State<SocketOrigins>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    let is_socket = headers
        .get(header::UPGRADE)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let origin = headers.get(header::ORIGIN).filter(|_| is_socket);
    match origin.map(|origin| origin.to_str().unwrap_or_default().to_owned()) {
        Some(origin) if !known.include(&origin, headers) => {
            let detail = "a page of another server may not open a WebSocket here unless CHIPQ_CORS_ORIGINS \
                 names its origin";
            Problem::new(ProblemType::ForeignOrigin, detail).into_response()
        }
        _ => next.run(request).await,
    }
}

impl KnownOrigins {
    /// Whether a page of `origin` is of this server, as the request or the configuration calls it, or configured.
    fn include(&self, origin: &str, headers: &HeaderMap) -> bool {
        if self.configured.iter().any(|known| known.0 == origin) {
            return true;
        }
        let Some((scheme, of_page)) = origin.split_once("://") else { return false };
        let Ok(of_page) = of_page.parse::<Authority>() else { return false };
        let port = |authority: &Authority| authority.port_u16().unwrap_or(usual_port(scheme));
        let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()?.parse().ok());
        let is_asked = asked.is_some_and(|asked: Authority| {
            asked.host().eq_ignore_ascii_case(of_page.host()) && port(&asked) == port(&of_page)
        });
        let public = self.public_host.as_deref();
        is_asked || public.is_some_and(|public| public.eq_ignore_ascii_case(of_page.host()))
    }
}

fn usual_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_kept_as_browsers_send_it() {
        for (text, origin) in [
            ("https://Line.Example", "https://line.example"),
            (" http://10.0.0.7:3000", "http://10.0.0.7:3000"),
            ("https://line.example:443", "https://line.example"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), origin);
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_what_to_write() {
        for (text, why) in [
            ("*", "name each origin"),
            ("https://*.example", "name each origin"),
            ("null", "name each origin"),
            ("line.example", "a scheme, http or https, and a host"),
            ("ftp://line.example", "a scheme, http or https, and a host"),
            ("https://line.example/", "no slash at its end"),
            ("https://line.example/app", "no path"),
            ("https://a@line.example", "no user"),
            ("", "write it like"),
        ] {
            let refused = text.parse::<Origin>().unwrap_err();
            assert!(refused.contains(why), "{text:?}: {refused}");
            assert!(refused.contains("https://line.example or http://10.0.0.7:3000"), "{refused}");
        }
    }
}
