//! The bodies of requests and answers, as they stand on the wire.
//!
//! Requests are strict: an unknown field is refused. Every wrong name is reported, not just one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{
    ArtifactId, Inspection, InspectionId, Invalid, Lot, Part, PartNumber, Picture, Station,
};
use platform::http::{FieldError, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The longest reason for voiding an inspection, in characters.
pub(crate) const REASON_MAX_CHARS: usize = 500;

/// A part to register.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegisterPart {
    /// The part number: 1 to 64 printable characters, no white space at either end.
    #[schema(min_length = 1, max_length = 64, example = "PCB-4711")]
    part: String,
}

impl RegisterPart {
    pub(crate) fn parse(&self) -> Result<PartNumber, Problem> {
        PartNumber::new(&self.part).map_err(|invalid| Problem::validation(vec![field(invalid)]))
    }
}

/// An inspection to open.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInspection {
    /// The board's lot: 1 to 64 printable characters, no white space at either end.
    #[schema(min_length = 1, max_length = 64, example = "LOT-2026-07")]
    lot: String,
    /// The board's part. A part that nobody registered is accepted and judged *review*.
    #[schema(min_length = 1, max_length = 64, example = "PCB-4711")]
    part: String,
    /// The station that inspects.
    #[schema(min_length = 1, max_length = 64, example = "AOI-1")]
    station: String,
}

impl CreateInspection {
    pub(crate) fn parse(&self) -> Result<(Lot, PartNumber, Station), Problem> {
        match (Lot::new(&self.lot), PartNumber::new(&self.part), Station::new(&self.station)) {
            (Ok(lot), Ok(part), Ok(station)) => Ok((lot, part, station)),
            (lot, part, station) => {
                let wrong = [lot.err(), part.err(), station.err()];
                Err(Problem::validation(wrong.into_iter().flatten().map(field).collect()))
            }
        }
    }
}

/// Why an inspection is withdrawn.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VoidInspection {
    /// 1 to 500 printable characters; kept with the inspection for ever.
    #[schema(min_length = 1, max_length = 500, example = "wrong board on the fixture")]
    reason: String,
}

impl VoidInspection {
    pub(crate) fn parse(&self) -> Result<String, Problem> {
        let reason = self.reason.trim();
        let wrong = if reason.is_empty() {
            "must not be empty"
        } else if reason.chars().count() > REASON_MAX_CHARS {
            "must be at most 500 characters long"
        } else if reason.chars().any(is_unprintable) {
            "must consist of printable characters"
        } else {
            return Ok(reason.to_owned());
        };
        Err(Problem::invalid_field("reason", wrong))
    }
}

/// Controls, line separators, direction overrides and invisible characters.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}')
}

fn field(invalid: Invalid) -> FieldError {
    FieldError { field: invalid.field.to_owned(), message: invalid.must.to_owned() }
}

/// A registered part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartBody {
    /// The part number.
    #[schema(value_type = String, example = "PCB-4711")]
    part: PartNumber,
    /// The recipe in force.
    #[schema(value_type = RecipeBody)]
    recipe: domain::Recipe,
    /// The golden sample in force, if any, by its number within the part.
    golden_sample_revision: Option<u32>,
    /// The version that `ETag` names.
    #[schema(example = 1)]
    version: u64,
}

impl PartBody {
    pub(crate) fn of(part: PartNumber, state: &Part, version: u64) -> Self {
        let golden_sample_revision = state.golden_sample().map(|golden| golden.revision);
        Self { part, recipe: state.recipe(), golden_sample_revision, version }
    }
}

/// The thresholds that a part is judged by.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes domain::Recipe, which knows no OpenAPI")]
pub(crate) struct RecipeBody {
    /// 0 for the factory recipe of an unregistered part.
    #[schema(example = 1)]
    revision: u32,
    /// Confidence from which a finding is a defect.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    fail_at: f32,
    /// Confidence from which a finding is doubtful.
    #[schema(minimum = 0, maximum = 1, example = 0.25)]
    review_at: f32,
}

/// The states of an inspection.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes domain::InspectionState")]
pub(crate) enum InspectionState {
    Open,
    Inferring,
    Judged,
    Voided,
}

/// An inspection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InspectionBody {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    inspection_id: InspectionId,
    /// The board's lot.
    #[schema(value_type = String, example = "LOT-2026-07")]
    lot: Lot,
    /// The board's part.
    #[schema(value_type = String, example = "PCB-4711")]
    part: PartNumber,
    /// The station.
    #[schema(value_type = String, example = "AOI-1")]
    station: Station,
    /// Its state.
    #[schema(value_type = InspectionState, example = "open")]
    state: domain::InspectionState,
    /// The version that `ETag` names.
    #[schema(example = 1)]
    version: u64,
}

impl InspectionBody {
    /// `None` for an inspection that nobody created.
    pub(crate) fn of(state: &Inspection, version: u64) -> Option<Self> {
        let facts = state.facts()?;
        Some(Self {
            inspection_id: facts.inspection_id,
            lot: facts.lot.clone(),
            part: facts.part.clone(),
            station: facts.station.clone(),
            state: state.state()?,
            version,
        })
    }
}

/// Where to send a picture.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct UploadTicket {
    /// The inspection that the picture belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(crate) inspection_id: Option<InspectionId>,
    /// The part whose golden sample it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) part: Option<PartNumber>,
    /// The picture's id.
    #[schema(value_type = uuid::Uuid)]
    pub(crate) artifact_id: ArtifactId,
    /// Send the bytes here; it carries its own permission, so keep it to yourself.
    #[schema(format = "uri")]
    pub(crate) upload_url: String,
    /// How.
    #[schema(example = "PUT")]
    pub(crate) method: &'static str,
    /// With which headers.
    #[schema(value_type = UploadHeaders)]
    pub(crate) headers: BTreeMap<&'static str, String>,
    /// Until when.
    pub(crate) expires_at: DateTime<Utc>,
}

/// The formats of pictures (IANA media types).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes domain::MediaType, which knows no OpenAPI")]
pub(crate) enum PictureType {
    #[schema(rename = "image/jpeg")]
    Jpeg,
    #[schema(rename = "image/png")]
    Png,
}

/// The headers of an upload.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the headers that the store asks for")]
pub(crate) struct UploadHeaders {
    /// May be left out, but not be another.
    #[schema(rename = "Content-Type", example = "image/jpeg")]
    content_type: PictureType,
}

/// A picture at rest.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct PictureBody {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub(crate) artifact_id: ArtifactId,
    /// Digest, length, format and size.
    #[serde(flatten)]
    #[schema(value_type = PictureFacts)]
    pub(crate) picture: Picture,
}

/// What is known of a picture at rest.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes domain::Picture, which knows no OpenAPI")]
pub(crate) struct PictureFacts {
    /// SHA-256 of the bytes, in lower-case hexadecimal.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    sha256: String,
    /// Length in bytes.
    #[schema(example = 48_213)]
    bytes: u64,
    /// Format, as sniffed from the bytes.
    media_type: PictureType,
    /// Width in pixels.
    #[schema(example = 640)]
    width: u32,
    /// Height in pixels.
    #[schema(example = 640)]
    height: u32,
}

/// A problem (RFC 9457).
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes platform::http::Problem, which knows no OpenAPI")]
pub(crate) struct ProblemDetails {
    /// `urn:chipq:problem:<name>`; stable.
    #[schema(example = "urn:chipq:problem:validation")]
    r#type: String,
    /// The name in words.
    #[schema(example = "Validation")]
    title: String,
    /// The status again.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong, and what to do.
    #[schema(example = "lot: must not be empty")]
    detail: String,
    /// The path of the request.
    instance: Option<String>,
    /// Quote it when you report the problem.
    trace_id: Option<String>,
    /// Every field that is wrong.
    errors: Option<Vec<FieldProblem>>,
}

/// A field that is wrong.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes platform::http::FieldError, which knows no OpenAPI")]
pub(crate) struct FieldProblem {
    /// Its path in the body.
    #[schema(example = "lot")]
    field: String,
    /// What is wrong with it.
    #[schema(example = "must not be empty")]
    message: String,
}
