//! What a client says of a picture that it announces, or whose announcement it renews: the parameters of the query.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::Uri;
use axum::http::request::Parts;
use domain::{Invalid, Sha256};
use platform::artifact_store::ExpectedUpload;
use platform::http::{NoBody, Problem, ProblemType};
use utoipa::IntoParams;

use crate::CommandApi;
use crate::base_url::BaseUrl;

/// The parameters of an announcement that say what the file will be: its format, its length and its digest.
const TYPE: &str = "type";
const BYTES: &str = "bytes";
const SHA256: &str = "sha256";
/// The parameter of an announcement that states the picture's scale.
pub(crate) const SCALE: &str = "pixels_per_millimetre";

/// What may be announced of a file, which is refused then when it is another one.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes parameters that AnnouncementQuery reads")]
pub(crate) struct AnnouncedFile {
    /// Its length in bytes.
    #[param(minimum = 1, example = 48_213)]
    bytes: Option<u64>,
    /// Its SHA-256 in hexadecimal.
    #[param(pattern = "^[0-9a-fA-F]{64}$")]
    sha256: Option<String>,
}

/// A picture that is announced: what its file will be, and where its upload URL will begin.
pub(crate) struct AnnouncedPicture {
    pub(crate) expected: ExpectedUpload,
    pub(crate) base: BaseUrl,
}

/// What is announced of a file when its picture may come later.
pub(super) struct RenewedFile {
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<Sha256>,
}

impl RenewedFile {
    fn from_query(query: &AnnouncementQuery, api: &CommandApi) -> Result<Self, Problem> {
        let limit = api.upload_limits().max_bytes;
        let bytes = match query.text(BYTES).map(str::parse::<u64>) {
            None => None,
            Some(Ok(bytes)) if bytes > limit => return Err(Problem::payload_too_large(limit)),
            Some(Ok(bytes)) if bytes > 0 => Some(bytes),
            Some(_) => return Err(Problem::invalid_field(BYTES, "must be a length in bytes")),
        };
        Ok(Self { bytes, sha256: query.parse_optional(SHA256)? })
    }
}

/// What a renewal says, and where its URL will lead.
pub(crate) struct RenewedPicture {
    pub(super) file: RenewedFile,
    pub(super) base: BaseUrl,
}

impl FromRequestParts<CommandApi> for RenewedPicture {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &CommandApi) -> Result<Self, Problem> {
        let base = BaseUrl::from_request_parts(parts, api).await?;
        let query = AnnouncementQuery::read(&parts.uri, &[BYTES, SHA256])?;
        Ok(Self { file: RenewedFile::from_query(&query, api)?, base })
    }
}

/// What an announcement says besides the picture's format.
pub(crate) trait AnnouncementTerms: Sized + Send {
    /// The parameters of the query that say it.
    const PARAMETERS: &'static [&'static str];

    /// # Errors
    /// When a parameter is wrong or missing.
    fn parse(query: &AnnouncementQuery) -> Result<Self, Problem>;
}

/// An announcement, from the query; it has no body.
pub(crate) struct Announcement<T> {
    pub(crate) picture: AnnouncedPicture,
    pub(crate) terms: T,
}

impl<T: AnnouncementTerms> FromRequest<CommandApi> for Announcement<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &CommandApi) -> Result<Self, Problem> {
        let known = [&[TYPE, BYTES, SHA256], T::PARAMETERS].concat();
        let query = AnnouncementQuery::read(request.uri(), &known)?;
        let media_type = query.text(TYPE).unwrap_or_default().parse().map_err(wrong_parameter)?;
        let RenewedFile { bytes, sha256 } = RenewedFile::from_query(&query, api)?;
        let expected = ExpectedUpload { media_type, sha256, bytes };
        let terms = T::parse(&query)?;
        let (mut parts, body) = request.into_parts();
        let base = BaseUrl::from_request_parts(&mut parts, api).await?;
        NoBody::from_request(Request::from_parts(parts, body), api).await?;
        Ok(Self { picture: AnnouncedPicture { expected, base }, terms })
    }
}

/// The parameters of an announcement, each once.
pub(crate) struct AnnouncementQuery(BTreeMap<String, String>);

impl AnnouncementQuery {
    fn read(uri: &Uri, known: &[&str]) -> Result<Self, Problem> {
        let Query(query) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::new(ProblemType::MalformedQuery, error.body_text()))?;
        let mut values = BTreeMap::new();
        for (name, value) in query {
            if !known.contains(&name.as_str()) {
                return Err(Problem::invalid_field(name, "is not a parameter here"));
            }
            if values.insert(name.clone(), value).is_some() {
                return Err(Problem::invalid_field(name, "must be given once"));
            }
        }
        Ok(Self(values))
    }

    /// The parameter as it was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The parameter as a `T`, if it was given.
    ///
    /// # Errors
    /// When it is none.
    pub(crate) fn parse_optional<T: FromStr<Err = Invalid>>(
        &self,
        name: &str,
    ) -> Result<Option<T>, Problem> {
        self.text(name).map(str::parse).transpose().map_err(wrong_parameter)
    }
}

/// 422, naming the parameter.
pub(crate) fn wrong_parameter(wrong: Invalid) -> Problem {
    Problem::invalid_field(wrong.field, wrong.must)
}
