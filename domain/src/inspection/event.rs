//! What can have happened to an inspection, and under which names it is stored.
//!
//! `schemas/events/` holds one golden JSON per name and version. A changed shape is a new version and
//! an upcaster; what is stored stays readable for ever.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::aggregate::stored_events;
use crate::recipe::with_the_whole_picture;
use crate::scale::without_scale;
use crate::{
    ArtifactId, Coverage, Defect, FiredRule, InspectionId, Judgement, Lot, MediaType,
    NotComparable, PartNumber, Picture, PixelScale, Recipe, RetentionClass, Sha256, Station,
    UnexplainedDifference, ViewName,
};

/// The golden sample a picture was compared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoldenReference {
    /// The golden sample's picture.
    pub artifact_id: ArtifactId,
    /// The golden sample's revision within its part, from 1.
    pub revision: u32,
    /// Digest of its bytes.
    pub sha256: Sha256,
}

/// The network that found, or found nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Name in the model repository.
    pub name: String,
    /// Version in the model repository.
    pub version: String,
    /// Digest of the ONNX file.
    pub sha256: Sha256,
}

/// How the picture lay over the golden sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// Pixels by which the picture lies to the right of the golden sample.
    pub dx: f32,
    /// Pixels by which the picture lies below the golden sample.
    pub dy: f32,
    /// Agreement after registration, 0 to 1.
    pub score: f32,
    /// By how many pixels at most it bends against the golden sample; `None` where nobody measured it.
    pub bend: Option<f32>,
}

impl Registration {
    /// JSON has no other numbers: an event with one would be stored and never read again.
    pub(super) fn is_finite(&self) -> bool {
        let numbers = [self.dx, self.dy, self.score];
        numbers.into_iter().chain(self.bend).all(f32::is_finite)
    }
}

/// Where the time went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// Waiting for a batch.
    pub queue_ms: u32,
    /// In the network.
    pub compute_ms: u32,
    /// From taking up the picture to the result.
    pub total_ms: u32,
}

/// The events of an inspection's stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum InspectionEvent {
    /// A station opened an inspection.
    #[serde(rename = "InspectionCreated")]
    InspectionCreated {
        /// Its id.
        inspection_id: InspectionId,
        /// The board's lot.
        lot: Lot,
        /// The board's part.
        part: PartNumber,
        /// The station.
        station: Station,
        /// The recipe in force.
        recipe: Recipe,
        /// The part's latest golden sample: pictures are compared with those that were in force then.
        /// `None` when it had none, and of inspections of version 1: with those in force when they are
        /// compared.
        golden_sample_revision: Option<u32>,
    },
    /// A picture was announced.
    #[serde(rename = "ArtifactReserved")]
    ArtifactReserved {
        /// The picture.
        artifact_id: ArtifactId,
        /// Its announced format.
        media_type: MediaType,
        /// The view of the board that it was announced as, by its name in the recipe.
        view: Option<ViewName>,
        /// Its scale; `None` when nobody stated it.
        pixels_per_millimetre: Option<PixelScale>,
        /// Until when it may be uploaded.
        expires_at: DateTime<Utc>,
    },
    /// An announced picture that did not come yet may come later.
    #[serde(rename = "ArtifactReservationRenewed")]
    ArtifactReservationRenewed {
        /// The picture.
        artifact_id: ArtifactId,
        /// Until when it may be uploaded now.
        expires_at: DateTime<Utc>,
    },
    /// The announcement of a picture was taken back: nobody waits for it any more.
    #[serde(rename = "ArtifactReservationCancelled")]
    ArtifactReservationCancelled {
        /// The picture.
        artifact_id: ArtifactId,
    },
    /// A picture is at rest.
    #[serde(rename = "ArtifactUploaded")]
    ArtifactUploaded {
        /// The picture.
        artifact_id: ArtifactId,
        /// What is known of it.
        #[serde(flatten)]
        picture: Picture,
    },
    /// The set of pictures is closed; these are required for the judgement.
    #[serde(rename = "InferenceRequested")]
    InferenceRequested {
        /// Every announced picture.
        artifacts: Vec<ArtifactId>,
    },
    /// A picture was compared with the golden sample.
    #[serde(rename = "InferenceCompleted")]
    InferenceCompleted {
        /// Derived from picture, golden sample and model: the same work has the same id.
        result_id: Uuid,
        /// The picture.
        artifact_id: ArtifactId,
        /// The picture that was compared.
        picture: Picture,
        /// What it was compared with.
        golden: GoldenReference,
        /// By which network.
        model: ModelIdentity,
        /// The recipe in force.
        recipe_revision: u32,
        /// How it lay over the golden sample.
        registration: Registration,
        /// What was found, most confident first.
        defects: Vec<Defect>,
        /// What differs and is not explained by what was found, strongest first.
        differences: Vec<UnexplainedDifference>,
        /// How much of the picture was compared; not known of results of version 1.
        coverage: Option<Coverage>,
        /// Where the time went.
        timing: Timing,
    },
    /// A picture could not be compared.
    #[serde(rename = "InferenceFailed")]
    InferenceFailed {
        /// Derived from picture, golden sample and model.
        result_id: Uuid,
        /// The picture.
        artifact_id: ArtifactId,
        /// The picture that was to be compared.
        picture: Picture,
        /// What it was to be compared with, when there is one.
        golden: Option<GoldenReference>,
        /// Why not, as a rule's name.
        reason: NotComparable,
        /// Why not, in words.
        detail: String,
        /// The recipe in force.
        recipe_revision: u32,
    },
    /// The machine judged the board.
    #[serde(rename = "InspectionJudged")]
    InspectionJudged {
        /// The judgement.
        judgement: Judgement,
        /// The rules that fired.
        rules: Vec<FiredRule>,
        /// The recipe it was judged by.
        recipe_revision: u32,
    },
    /// The inspection was withdrawn.
    #[serde(rename = "InspectionVoided")]
    InspectionVoided {
        /// Why, in the words of whoever withdrew it.
        reason: String,
    },
    /// The files of its pictures are given up: their retention period is over. What is known of them stays.
    #[serde(rename = "PicturesRetired")]
    PicturesRetired {
        /// The pictures that had come, as they were announced.
        artifacts: Vec<ArtifactId>,
        /// What says how long they were kept.
        class: RetentionClass,
        /// The revision of the retention policy that said so.
        policy_revision: u32,
    },
}

stored_events!(InspectionEvent {
    INSPECTION_CREATED: InspectionCreated = "InspectionCreated" upcast [with_thresholds_only],
    ARTIFACT_RESERVED: ArtifactReserved = "ArtifactReserved" upcast [without_a_view, without_scale],
    ARTIFACT_RESERVATION_RENEWED: ArtifactReservationRenewed = "ArtifactReservationRenewed",
    ARTIFACT_RESERVATION_CANCELLED: ArtifactReservationCancelled = "ArtifactReservationCancelled",
    ARTIFACT_UPLOADED: ArtifactUploaded = "ArtifactUploaded",
    INFERENCE_REQUESTED: InferenceRequested = "InferenceRequested",
    INFERENCE_COMPLETED: InferenceCompleted = "InferenceCompleted" upcast [without_coverage, without_bend, without_method],
    INFERENCE_FAILED: InferenceFailed = "InferenceFailed" upcast [without_reasons_of_scale],
    INSPECTION_JUDGED: InspectionJudged = "InspectionJudged" upcast [with_fewer_rules, without_unknown_views, without_reasons_of_scale],
    INSPECTION_VOIDED: InspectionVoided = "InspectionVoided",
    PICTURES_RETIRED: PicturesRetired = "PicturesRetired",
});

/// From version 1, whose recipe had thresholds only and whose golden sample was the one in force when a
/// picture was compared, to version 2.
fn with_thresholds_only(mut payload: Value) -> Value {
    with_the_whole_picture(&mut payload["recipe"]);
    payload["golden_sample_revision"] = Value::Null;
    payload
}

/// From version 1, when views had no names, to version 2.
fn without_a_view(mut payload: Value) -> Value {
    payload["view"] = Value::Null;
    payload
}

/// From version 1, which neither measured how much was compared nor kept what was not explained, to
/// version 2. That nothing is known must not read as "all of it": such a picture counts as not covered.
fn without_coverage(mut payload: Value) -> Value {
    payload["differences"] = json!([]);
    payload["coverage"] = Value::Null;
    payload
}

/// From version 2, which measured no bend and inspected all of every picture, to version 3.
fn without_bend(mut payload: Value) -> Value {
    payload["registration"]["bend"] = Value::Null;
    if let Some(coverage) = payload["coverage"].as_object_mut() {
        coverage.insert("excluded_pixels".to_owned(), json!(0));
        coverage.insert("excluded".to_owned(), json!([]));
    }
    payload
}

/// From version 3, which did not say how a picture was compared, to version 4.
fn without_method(mut payload: Value) -> Value {
    if let Some(coverage) = payload["coverage"].as_object_mut() {
        coverage.insert("method".to_owned(), Value::Null);
    }
    payload
}

/// From version 1, which knew neither `unexplained-difference` nor `not-covered` nor `duplicate-view`, to
/// version 2. The shape is the same; the version tells software that does not know these rules that it is
/// too old, where it would otherwise call the event damaged.
const fn with_fewer_rules(payload: Value) -> Value {
    payload
}

/// From version 2, which knew no `unknown-view`, to version 3: as above, only the version says something.
const fn without_unknown_views(payload: Value) -> Value {
    payload
}

/// From the versions that knew neither `scale-mismatch` nor `scale-unknown`: version 1 of what could not be
/// compared, version 3 of a judgement. As above, only the version says something.
const fn without_reasons_of_scale(payload: Value) -> Value {
    payload
}
