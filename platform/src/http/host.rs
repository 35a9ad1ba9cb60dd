//! Which names a request may call this server by.
//!
//! Invariant: a request has exactly one host (RFC 9112, section 3.2), wherever it names it. Behind a listener on loopback it is a
//! name of this machine: a page in a browser here that has pointed a name of its own at 127.0.0.1 (DNS
//! rebinding) is refused, whatever credentials it has guessed.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Version, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::{Problem, ProblemType};

/// The names that are answered to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AnsweredHosts {
    /// All: whoever reaches the listener over the network may call it as he likes.
    All,
    /// Those of this machine, and the name that a proxy on it is known by.
    Local { public: Option<String> },
}

impl AnsweredHosts {
    /// Of a listener on `address`, reached from outside as `public`.
    pub(crate) fn behind(address: SocketAddr, public: Option<&str>) -> Self {
        if address.ip().is_loopback() {
            Self::Local { public: public.map(str::to_ascii_lowercase) }
        } else {
            Self::All
        }
    }

    fn include(&self, host: &str) -> bool {
        let Self::Local { public } = self else { return true };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let address = address.unwrap_or(&host).parse::<IpAddr>();
        host == "localhost"
            || host.ends_with(".localhost")
            || address.is_ok_and(|address| address.is_loopback())
            || public.as_ref().is_some_and(|public| *public == host)
    }
}

/// Middleware: refuses a request without a host, with two, or with two that differ (400), and for another's (421).
pub(crate) async fn check_host(
    State(hosts): State<AnsweredHosts>,
    request: Request,
    next: Next,
) -> Response {
    match find_host(&request) {
        Ok(None) => next.run(request).await,
        Ok(Some(host)) if hosts.include(host.host()) => next.run(request).await,
        Ok(Some(_)) => {
            let detail = "this server listens on this machine only and does not answer to that \
                 Host; call it localhost, or set CHIPQ_PUBLIC_URL to the name it is reached by";
            Problem::new(ProblemType::ForeignHost, detail).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// What the request calls this server; `None` in HTTP/1.0, which knows no Host.
fn find_host(request: &Request) -> Result<Option<Authority>, Problem> {
    let malformed = || Problem::new(ProblemType::HostMalformed, "send one Host header");
    let named = read_host(request.headers()).map_err(|()| malformed())?;
    // A whole URL in the request line takes precedence, and needs the same Host beside it: who looks at the other
    // one, as a proxy or what makes URLs here may, would answer for another.
    let asked = request.uri().authority();
    if let (Some(asked), Some(named)) = (asked, &named)
        && !is_same_host(asked, named)
    {
        let detail = "the URL of the request names another host than Host: send one and the same";
        return Err(Problem::new(ProblemType::HostMalformed, detail));
    }
    let authority = asked.cloned().or_else(|| named.clone());
    match (named, authority) {
        (None, _) if request.version() >= Version::HTTP_11 => Err(malformed()),
        (_, Some(authority)) if authority.as_str().contains('@') => Err(malformed()),
        (_, authority) => Ok(authority),
    }
}

/// This server speaks plain HTTP, whose port need not be said (RFC 9110, section 4.2.3).
fn is_same_host(one: &Authority, other: &Authority) -> bool {
    let port = |authority: &Authority| authority.port_u16().unwrap_or(80);
    one.host().eq_ignore_ascii_case(other.host()) && port(one) == port(other)
}

fn read_host(headers: &HeaderMap) -> Result<Option<Authority>, ()> {
    let mut values = headers.get_all(header::HOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let host = value.to_str().ok().and_then(|text| text.parse().ok());
    if values.next().is_some() { Err(()) } else { host.map(Some).ok_or(()) }
}
