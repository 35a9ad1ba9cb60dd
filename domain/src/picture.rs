//! Pictures: their formats, what is known of one at rest, and the slots that they are uploaded to.
//!
//! Invariant: whether a slot is free is said in one place for each aggregate. Its `decide` asks there,
//! and so does whoever would like to know it before a byte is received.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::vocabulary::vocabulary;
use crate::{Aggregate, ArtifactId, Sha256};

vocabulary! {
    /// The picture formats a station may upload: IANA media types as they stand in `Content-Type`.
    pub enum MediaType ("type") {
        /// `image/jpeg`
        Jpeg = "image/jpeg",
        /// `image/png`
        Png = "image/png",
    }
}

/// What is known of a picture at rest, without decoding it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Digest of the file's bytes.
    pub sha256: Sha256,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Format, as sniffed from the bytes.
    pub media_type: MediaType,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The slot that was announced for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadSlot<'a> {
    /// Announced, and may be filled with a picture of this format.
    Free {
        /// The announced format.
        announced: MediaType,
    },
    /// Filled: a repeated upload of the same bytes changes nothing, other bytes are refused.
    Taken(&'a Picture),
}

/// How long a picture that is announced may take to come.
pub const RESERVATION_MAX: TimeDelta = TimeDelta::minutes(15);

/// Whether a picture that was announced until `expires_at` may still come. What would come later than anything
/// that is announced now was dated by a clock that ran ahead: it has ended, instead of being waited for until
/// the clocks catch up.
pub(crate) fn is_awaited(expires_at: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now < expires_at && expires_at - now <= RESERVATION_MAX
}

/// When a reservation is renewed, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Renewal {
    /// The present, by which older reservations have ended or not.
    pub now: DateTime<Utc>,
    /// When the new upload URL ends.
    pub expires_at: DateTime<Utc>,
}

impl Renewal {
    /// Whether it changes anything for a picture that was announced until then.
    pub(crate) fn is_needed(&self, announced_until: DateTime<Utc>) -> bool {
        announced_until < self.expires_at || !is_awaited(announced_until, self.now)
    }
}

/// An aggregate that pictures belong to.
pub trait PictureOwner: Aggregate {
    /// The slot of a picture.
    ///
    /// # Errors
    /// When the picture was never announced, or can no longer be uploaded.
    fn upload_slot(&self, artifact_id: ArtifactId) -> Result<UploadSlot<'_>, Self::Rejection>;

    /// The command that says that the picture is at rest.
    fn upload_command(artifact_id: ArtifactId, picture: Picture) -> Self::Command;

    /// The command that lets a picture come later that was announced and did not come.
    fn renewal_command(artifact_id: ArtifactId, renewal: Renewal) -> Self::Command;

    /// The command that takes the announcement of a picture back.
    fn cancellation_command(artifact_id: ArtifactId) -> Self::Command;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_jpeg_or_png_by_its_exact_media_type() {
        for media_type in [MediaType::Jpeg, MediaType::Png] {
            assert_eq!(media_type.to_string().parse::<MediaType>().unwrap(), media_type);
            let stored = serde_json::to_value(media_type).unwrap();
            assert_eq!(stored, media_type.as_str());
        }
        for wrong in ["", "image/jpg", "image/JPEG", "image/png; q=1", "image/gif", "text/html"] {
            let refused = wrong.parse::<MediaType>().unwrap_err().to_string();
            assert_eq!(refused, "type must be image/jpeg or image/png", "{wrong}");
        }
    }
}
