//! Pictures on their way into the store, whatever they belong to.

mod receive;
pub(crate) mod reservation;

use std::fmt;

use domain::{ArtifactId, InspectionId, PartNumber, Picture};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::CommandApi;

/// The receiving end of uploads.
pub(crate) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default().routes(routes!(receive::upload_picture))
}

/// Who announced the picture, as a note in its upload URL.
const BY: &str = "by";
/// What the picture belongs to, as a note in its upload URL.
const OWNER: &str = "owner";

/// What a picture belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PictureOwnerId {
    Inspection(InspectionId),
    Part(PartNumber),
}

impl PictureOwnerId {
    /// The id of its stream.
    pub(crate) fn aggregate_id(&self) -> String {
        match self {
            Self::Inspection(id) => id.to_string(),
            Self::Part(part) => part.to_string(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("inspection", id) => id.parse().ok().map(Self::Inspection),
            ("part", part) => part.parse().ok().map(Self::Part),
            _ => None,
        }
    }
}

impl fmt::Display for PictureOwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inspection(id) => write!(f, "inspection/{id}"),
            Self::Part(part) => write!(f, "part/{part}"),
        }
    }
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

/// The id of the command that records these bytes of an artifact: the same however they are found.
pub(crate) fn stored_command_id(artifact_id: ArtifactId, picture: &Picture) -> Uuid {
    Uuid::new_v5(&artifact_id.0, picture.sha256.as_bytes())
}
