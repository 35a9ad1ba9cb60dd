//! What headers say of a request's content is kept to or refused, never ignored: its encoding, its digest, and
//! that it is all there.
//!
//! Bodies are taken as they are: none is decompressed, so none grows here. A digest (RFC 9530) is compared
//! when the whole body was read, and whoever read it gets an error instead of its end when they differ.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, HeaderName};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::body::{Frame, SizeHint};
use sha2::{Digest as _, Sha256, Sha512};

use super::{Problem, ProblemType};

/// Of the content as it is sent; without an encoding both say the same (RFC 9530).
const DIGESTS: [HeaderName; 2] =
    [HeaderName::from_static("content-digest"), HeaderName::from_static("repr-digest")];
/// What came before: the first names algorithms of its own (RFC 3230), the second is MD5 (RFC 1864).
const FORMER_DIGESTS: [HeaderName; 2] =
    [HeaderName::from_static("digest"), HeaderName::from_static("content-md5")];
const WANT_CONTENT_DIGEST: HeaderName = HeaderName::from_static("want-content-digest");
/// The algorithms that are compared, as a client is told.
const WANTED: &str = "sha-256=10, sha-512=5";

/// Middleware: see above.
pub(super) async fn check_content_headers(request: Request, next: Next) -> Response {
    let digests = match read_headers(request.headers()) {
        Ok(digests) if digests.is_empty() => return next.run(request).await,
        Ok(digests) => digests,
        Err(problem) => return problem.into_response(),
    };
    let differs = Arc::new(AtomicBool::new(false));
    let compared = |body| {
        let differs = Arc::clone(&differs);
        Body::new(DigestedBody { body, digests: Some(digests), differs })
    };
    let response = next.run(request.map(compared)).await;
    if differs.load(Ordering::Acquire) {
        let detail = "the body is not what its digest says; send it again";
        return Problem::new(ProblemType::WrongContentDigest, detail).into_response();
    }
    response
}

/// The digests that the body must have.
fn read_headers(headers: &HeaderMap) -> Result<Vec<ExpectedDigest>, Problem> {
    if let Some(encoding) = headers.get_all(CONTENT_ENCODING).iter().find(|one| !is_identity(one)) {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let detail = format!("the body is sent as {encoding}; send it without Content-Encoding");
        return Err(
            Problem::unsupported_media_type(detail).with_header(ACCEPT_ENCODING, "identity")
        );
    }
    if headers.contains_key(CONTENT_RANGE) {
        let detail = "a part of a body cannot be sent alone; send it whole, without Content-Range";
        return Err(Problem::new(ProblemType::PartialContent, detail));
    }
    if let Some(former) = FORMER_DIGESTS.iter().find(|name| headers.contains_key(*name)) {
        return Err(refuse_digest(&format!("{former} is not compared")));
    }
    let mut digests = Vec::new();
    for name in &DIGESTS {
        for value in headers.get_all(name) {
            digests.append(&mut parse_digests(name, value)?);
        }
    }
    Ok(digests)
}

fn is_identity(encoding: &HeaderValue) -> bool {
    let mut names = encoding.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    names.all(|name| name.is_empty() || name.eq_ignore_ascii_case(b"identity"))
}

/// The digests of a dictionary such as `sha-256=:<Base64>:`; beside one that is compared others may stand.
fn parse_digests(name: &HeaderName, value: &HeaderValue) -> Result<Vec<ExpectedDigest>, Problem> {
    let malformed = || refuse_digest(&format!("{name} is not a list of digests"));
    let mut digests = Vec::new();
    for member in value.to_str().map_err(|_| malformed())?.split(',') {
        let (algorithm, digest) = member.trim().split_once('=').ok_or_else(malformed)?;
        let digest = digest.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
        let digest = digest.and_then(|text| STANDARD.decode(text).ok()).ok_or_else(malformed)?;
        digests.extend(ExpectedDigest::new(algorithm, digest));
    }
    if digests.is_empty() {
        return Err(refuse_digest(&format!("no digest of {name} is by an algorithm known here")));
    }
    Ok(digests)
}

fn refuse_digest(why: &str) -> Problem {
    let detail = format!("{why}; send Content-Digest: sha-256=:<Base64>: (RFC 9530), or none");
    Problem::new(ProblemType::UnsupportedDigest, detail).with_header(WANT_CONTENT_DIGEST, WANTED)
}

/// A digest that the body must have, and that of what came so far.
enum ExpectedDigest {
    Sha256 { expected: Vec<u8>, hash: Sha256 },
    Sha512 { expected: Vec<u8>, hash: Box<Sha512> },
}

impl ExpectedDigest {
    /// `None` for an algorithm that is not known here.
    fn new(algorithm: &str, expected: Vec<u8>) -> Option<Self> {
        match algorithm {
            "sha-256" => Some(Self::Sha256 { expected, hash: Sha256::new() }),
            "sha-512" => Some(Self::Sha512 { expected, hash: Box::default() }),
            _ => None,
        }
    }

    fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha256 { hash, .. } => hash.update(piece),
            Self::Sha512 { hash, .. } => hash.update(piece),
        }
    }

    fn holds(self) -> bool {
        match self {
            Self::Sha256 { expected, hash } => hash.finalize().as_slice() == expected,
            Self::Sha512 { expected, hash } => hash.finalize().as_slice() == expected,
        }
    }
}

/// A body that ends with an error when a digest of it differs.
struct DigestedBody {
    body: Body,
    /// Absent after its end.
    digests: Option<Vec<ExpectedDigest>>,
    differs: Arc<AtomicBool>,
}

impl hyper::body::Body for DigestedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let (Some(Ok(frame)), Some(digests)) = (&frame, &mut self.digests)
            && let Some(piece) = frame.data_ref()
        {
            digests.iter_mut().for_each(|digest| digest.update(piece));
        }
        let ended = if frame.is_none() { self.digests.take() } else { None };
        if !ended.into_iter().flatten().all(ExpectedDigest::holds) {
            self.differs.store(true, Ordering::Release);
            return Poll::Ready(Some(Err(axum::Error::new("the digest of the body differs"))));
        }
        Poll::Ready(frame)
    }

    /// Only after its digests were compared: who sees the end before does not ask for it.
    fn is_end_stream(&self) -> bool {
        self.digests.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
