//! `GET /v1/artifacts/{id}`: a picture's file, to whoever may see what it belongs to.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, SecondsFormat, Utc};
use domain::ArtifactId;
use futures::stream::{self, BoxStream, StreamExt as _};
use platform::artifact_store::ArtifactStoreError;
use platform::auth::Scope;
use platform::http::describe::FileBytes;
use platform::http::{Problem, ProblemType};
use tracing::Span;
use tracing::field::display;

use super::byte_range::WantedBytes;
use super::descriptions::FileProblems;
use super::query::parse_id;
use super::respond::{matches_etag, with_etag};
use crate::QueryApi;
use crate::error::QueryError;
use crate::read_model::artifacts;
use crate::session::Session;

/// A file never changes, so whoever has it need not ask again; it is not for shared caches.
const CACHE: &str = "private, max-age=31536000, immutable";

/// The picture of a board, or a golden sample. The ETag is the file's SHA-256. One range of its bytes may be asked for,
/// with `If-Range`. Whoever receives all that was asked for has the bytes of that digest: else the answer breaks off.
#[utoipa::path(get, path = "/v1/artifacts/{artifact_id}", operation_id = "getPicture",
    tag = "reads",
    params(("artifact_id" = String, Path, description = "The picture's id")), responses(
    (status = 200, description = "The file",
     content((FileBytes = "image/jpeg"), (FileBytes = "image/png")),
     headers(("etag" = String), ("accept-ranges" = String))),
    (status = 206, description = "The bytes that Range asks for",
     content((FileBytes = "image/jpeg"), (FileBytes = "image/png")),
     headers(("etag" = String), ("content-range" = String))),
    (status = 304, description = "As If-None-Match names it"), FileProblems), security(("oauth2" = ["inspections:read"]), ("bearer" = [])))]
#[tracing::instrument(skip_all, fields(artifact_id))]
pub(super) async fn get_picture(
    State(api): State<QueryApi>,
    session: Session,
    Path(text): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    // Without either scope nothing is said about what exists.
    if !session.has_scope(Scope::PartsRead) {
        session.require_scope(Scope::InspectionsRead)?;
    }
    let nothing = || QueryError::NotFound(format!("picture {text}"));
    let id = parse_id(&format!("picture {text}"), &text)?;
    Span::current().record("artifact_id", display(id));
    let found = artifacts::stored_picture(&api.context().pool, id, session.reach()).await?;
    let found = found.ok_or_else(nothing)?;
    session.require_scope(if found.is_golden {
        Scope::PartsRead
    } else {
        Scope::InspectionsRead
    })?;
    let sha256 = found.sha256.ok_or_else(nothing)?;
    let etag = format!("\"{sha256}\"");
    let about = [
        (header::CONTENT_TYPE, found.media_type),
        (header::CACHE_CONTROL, CACHE.to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    if let Some(at) = found.retired_at {
        return Err(retired_problem(at, &sha256));
    }
    if matches_etag(&headers, &etag) {
        return Ok(with_etag(&headers, &etag, about.into_response()));
    }
    let sha256 = sha256.parse().map_err(QueryError::internal)?;
    let picture = api.artifact_store().open_picture(ArtifactId(id), sha256).await?;
    let length = picture.length();
    let (status, range) = match WantedBytes::from_headers(&headers, &etag, length) {
        WantedBytes::Whole => (StatusCode::OK, 0..length),
        WantedBytes::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        WantedBytes::Unsatisfiable => {
            let detail = format!("the file has {length} bytes; ask for some of them");
            let refused = Problem::new(ProblemType::RangeNotSatisfiable, detail);
            return Err(refused.with_header(header::CONTENT_RANGE, &format!("bytes */{length}")));
        }
    };
    let given = [
        (header::CONTENT_LENGTH, (range.end - range.start).to_string()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
    ];
    let part = (status == StatusCode::PARTIAL_CONTENT).then(|| {
        let last = range.end.saturating_sub(1);
        [(header::CONTENT_RANGE, format!("bytes {}-{last}/{length}", range.start))]
    });
    let body = begin_body(picture.into_pieces(range).boxed()).await?;
    let mut response = (status, about, given, body).into_response();
    if let Some([(name, value)]) = part {
        let value = HeaderValue::from_str(&value).map_err(QueryError::internal)?;
        response.headers_mut().insert(name, value);
    }
    Ok(with_etag(&headers, &etag, response))
}

/// The file, once its first piece has come: what is wrong by then is refused, instead of an answer that breaks off.
async fn begin_body(
    mut pieces: BoxStream<'static, Result<Bytes, ArtifactStoreError>>,
) -> Result<Body, Problem> {
    let first = pieces.next().await.transpose()?;
    Ok(Body::from_stream(stream::iter(first.map(Ok)).chain(pieces)))
}

/// Gone for good, and when: the digest is what is left of it.
fn retired_problem(at: DateTime<Utc>, sha256: &str) -> Problem {
    let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let detail = format!(
        "its retention period is over: it was retired at {at} and its file deleted; its SHA-256 was {sha256}"
    );
    Problem::new(ProblemType::PictureRetired, detail).with_extension("retired_at", at)
}
