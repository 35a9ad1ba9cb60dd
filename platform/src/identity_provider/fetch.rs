//! Asking another server for a small JSON document.
//!
//! Invariants: over TLS, or on this machine; no redirect is followed; an answer takes so long and has so many bytes at
//! most, whatever it announces. One connection for each question: there is one in minutes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use chrono::{DateTime, Utc};
use futures::StreamExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

/// The longest URL, in bytes.
const URL_MAX_BYTES: usize = 2048;
/// Where an issuer says what it is.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";
/// By how many seconds the other server's clock may differ before it is said.
const CLOCKS_DIFFER_S: i64 = 30;

/// How long an answer may take and be.
#[derive(Debug, Clone, Copy)]
pub(super) struct FetchLimits {
    /// From the beginning of the connection to the last byte.
    pub(super) deadline: Duration,
    /// Bytes of the body.
    pub(super) bytes: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { deadline: Duration::from_secs(5), bytes: 1 << 20 }
    }
}

/// Why a URL is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidWebAddress {
    /// Not a URL, or one with parts that it must not have.
    #[error(
        "{0:?} is not a URL such as https://id.example/realms/factory, without user, query or fragment"
    )]
    Malformed(String),
    /// Anybody on the way could put keys of their own into the answer.
    #[error(
        "{0:?} must begin with https://; http:// is for this machine alone (127.0.0.1, localhost)"
    )]
    Insecure(String),
    /// Nobody could be recognised.
    #[error(
        "this machine knows no certificate authorities, so that nobody can be recognised by TLS: {0}"
    )]
    NoAuthorities(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// It is not reached, or breaks off.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// It is slow.
    #[error("it has not answered within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// It answers with something else than 200.
    #[error("it answers with {0}; redirects are not followed")]
    Status(StatusCode),
    /// It answers with more than is taken.
    #[error("it answers with more than {0} bytes")]
    TooLarge(usize),
}

impl FetchError {
    /// What it is called in metrics.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "unreachable",
            Self::Late(_) => "late",
            Self::Status(_) => "status",
            Self::TooLarge(_) => "too-large",
        }
    }

    fn unreachable(error: impl fmt::Display) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// A URL that may be asked for.
#[derive(Debug, Clone)]
pub(super) struct WebAddress {
    uri: Uri,
    host: String,
    port: u16,
    is_secure: bool,
}

impl FromStr for WebAddress {
    type Err = InvalidWebAddress;

    fn from_str(text: &str) -> Result<Self, InvalidWebAddress> {
        let malformed = || InvalidWebAddress::Malformed(text.chars().take(200).collect());
        let uri: Uri = text.parse().map_err(|_| malformed())?;
        let is_plain = text.len() <= URL_MAX_BYTES && !text.contains(['#', '@']);
        let (Some(scheme), Some(host), true) = (uri.scheme_str(), uri.host(), is_plain) else {
            return Err(malformed());
        };
        let is_secure = scheme == "https";
        let host = host.trim_matches(['[', ']']).to_owned();
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let is_private = is_secure || (scheme == "http" && is_here);
        if !is_private {
            return Err(InvalidWebAddress::Insecure(text.to_owned()));
        }
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        Ok(Self { uri, host, port, is_secure })
    }
}

impl WebAddress {
    pub(super) const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Where the issuer of this URL says what it is.
    pub(super) fn well_known(&self) -> Self {
        let path = format!("{}{WELL_KNOWN}", self.uri.path().trim_end_matches('/'));
        let mut parts = self.uri.clone().into_parts();
        // A path with more behind it is one.
        parts.path_and_query = path.parse().ok();
        let uri = Uri::from_parts(parts).unwrap_or_else(|_| self.uri.clone());
        Self { uri, ..self.clone() }
    }
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uri)
    }
}

/// Asks servers.
#[derive(Clone)]
pub(super) struct Fetcher {
    limits: FetchLimits,
    /// Absent where nobody is asked by TLS.
    tls: Option<TlsConnector>,
}

impl Fetcher {
    /// What asks the issuer of `url`, and where that is.
    pub(super) fn open(
        url: &str,
        limits: FetchLimits,
    ) -> Result<(WebAddress, Self), InvalidWebAddress> {
        let address: WebAddress = url.parse()?;
        if address.uri.query().is_some() {
            return Err(InvalidWebAddress::Malformed(url.to_owned()));
        }
        let tls = if address.is_secure { Some(connector()?) } else { None };
        Ok((address, Self { limits, tls }))
    }

    /// The body of what `address` answers.
    pub(super) async fn fetch_json(&self, address: &WebAddress) -> Result<Vec<u8>, FetchError> {
        let deadline = self.limits.deadline;
        let answered = tokio::time::timeout(deadline, self.connect_and_read(address)).await;
        answered.unwrap_or(Err(FetchError::Late(deadline)))
    }

    async fn connect_and_read(&self, address: &WebAddress) -> Result<Vec<u8>, FetchError> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
        let stream = stream.map_err(FetchError::unreachable)?;
        if !address.is_secure {
            return self.exchange(stream, address).await;
        }
        let name = ServerName::try_from(address.host.clone()).map_err(FetchError::unreachable)?;
        let connector = self.tls.as_ref().ok_or_else(|| FetchError::unreachable("no TLS"))?;
        let stream = connector.connect(name, stream).await.map_err(FetchError::unreachable)?;
        self.exchange(stream, address).await
    }

    async fn exchange(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        address: &WebAddress,
    ) -> Result<Vec<u8>, FetchError> {
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(FetchError::unreachable)?;
        let (path, authority) = (address.uri.path_and_query(), address.uri.authority());
        let request = Request::get(path.map_or("/", |path| path.as_str()))
            .header(header::HOST, authority.map_or("", |authority| authority.as_str()))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, concat!("chipq/", env!("CARGO_PKG_VERSION")))
            .body(Body::empty())
            .map_err(FetchError::unreachable)?;
        let read = async {
            let answer = sender.send_request(request).await.map_err(FetchError::unreachable)?;
            if answer.status() != StatusCode::OK {
                return Err(FetchError::Status(answer.status()));
            }
            warn_of_clocks(answer.headers().get(header::DATE).and_then(|date| date.to_str().ok()));
            self.read_body(Body::new(answer.into_body())).await
        };
        // The connection ends with the answer, whichever way that ends.
        tokio::select! {
            answer = read => answer,
            Err(error) = connection => Err(FetchError::unreachable(error)),
        }
    }

    async fn read_body(&self, body: Body) -> Result<Vec<u8>, FetchError> {
        let mut bytes = Vec::new();
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(FetchError::unreachable)?;
            if bytes.len() + chunk.len() > self.limits.bytes {
                return Err(FetchError::TooLarge(self.limits.bytes));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fetcher").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// TLS by the certificate authorities of this machine.
fn connector() -> Result<TlsConnector, InvalidWebAddress> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let said: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(InvalidWebAddress::NoAuthorities(said.join(", ")));
    }
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| InvalidWebAddress::NoAuthorities(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Tokens are judged by our clock, and were issued by the other server's.
fn warn_of_clocks(date: Option<&str>) {
    let Some(theirs) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) else {
        return;
    };
    let ahead_s = (theirs.with_timezone(&Utc) - Utc::now()).num_seconds();
    if ahead_s.abs() > CLOCKS_DIFFER_S {
        tracing::warn!(ahead_s, "the identity provider's clock differs: its tokens may be refused");
    }
}
