//! What the tests of this crate share: given / when / then over any aggregate, and one board.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::inspection::{
    GoldenReference, InferenceResult, InspectionEvent, ModelIdentity, Registration, Timing,
};
use crate::{
    Aggregate, ArtifactId, ComparisonMethod, Confidence, Coverage, Defect, DefectClass,
    DifferenceKind, InspectionId, Lot, MediaType, NotComparable, PartNumber, Picture, PixelBox,
    PixelScale, Recipe, Sha256, Station, UnexplainedDifference, ViewName,
};

/// The state that these events lead to.
pub(crate) fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    Given(A::replay(&events.into_iter().collect::<Vec<_>>()))
}

pub(crate) struct Given<A: Aggregate>(A);

impl<A: Aggregate> Given<A> {
    pub(crate) fn when(self, command: A::Command) -> When<A> {
        When(self.0.decide(command))
    }
}

pub(crate) struct When<A: Aggregate>(Result<Vec<A::Event>, A::Rejection>);

impl<A: Aggregate<Rejection: PartialEq>> When<A> {
    #[track_caller]
    pub(crate) fn then(self, expected: impl IntoIterator<Item = A::Event>) {
        assert_eq!(self.0, Ok(expected.into_iter().collect()));
    }

    #[track_caller]
    pub(crate) fn then_nothing(self) {
        self.then([]);
    }

    #[track_caller]
    pub(crate) fn then_rejected(self, expected: A::Rejection) {
        assert_eq!(self.0, Err(expected));
    }
}

/// `seconds` after some fixed moment.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
}

pub(crate) fn artifact(n: u128) -> ArtifactId {
    ArtifactId(Uuid::from_u128(0xa0 + n))
}

pub(crate) fn inspection_id() -> InspectionId {
    InspectionId(Uuid::from_u128(0x1))
}

pub(crate) fn lot() -> Lot {
    "LOT-7".parse().unwrap()
}

pub(crate) fn part() -> PartNumber {
    "PCB-100".parse().unwrap()
}

pub(crate) fn station() -> Station {
    "AOI-3".parse().unwrap()
}

/// A JPEG whose bytes are told apart by `content`.
pub(crate) fn picture(content: &str) -> Picture {
    Picture {
        sha256: Sha256::digest_of(content.as_bytes()),
        bytes: 48_213,
        media_type: MediaType::Jpeg,
        width: 640,
        height: 640,
    }
}

pub(crate) fn golden() -> GoldenReference {
    GoldenReference { artifact_id: artifact(99), revision: 1, sha256: Sha256::digest_of(b"golden") }
}

pub(crate) fn model() -> ModelIdentity {
    ModelIdentity { name: "copper".into(), version: "1".into(), sha256: Sha256::digest_of(b"onnx") }
}

/// Version `n` of the model; version 1 is [`model`].
pub(crate) fn model_version(n: u8) -> ModelIdentity {
    let sha256 = if n == 1 { model().sha256 } else { Sha256::digest_of(&[n]) };
    ModelIdentity { version: n.to_string(), sha256, ..model() }
}

pub(crate) fn registration() -> Registration {
    Registration { dx: 1.25, dy: -0.5, score: 0.75, bend: Some(0.5) }
}

pub(crate) fn timing() -> Timing {
    Timing { queue_ms: 3, compute_ms: 19, total_ms: 41 }
}

pub(crate) fn defect(class: DefectClass, confidence: f32) -> Defect {
    let bounds = PixelBox { x: 10, y: 20, width: 30, height: 40 };
    Defect { class, confidence: Confidence::new(confidence).unwrap(), bounds }
}

pub(crate) fn difference(kind: DifferenceKind, strength: f32) -> UnexplainedDifference {
    let bounds = PixelBox { x: 50, y: 60, width: 7, height: 8 };
    UnexplainedDifference { kind, bounds, strength }
}

/// Of a picture as [`picture`] gives it, all of which was compared.
pub(crate) fn whole_picture() -> Coverage {
    Coverage::complete(640 * 640).with_method(ComparisonMethod::Copper)
}

/// Of the same with a strip of 20 pixels at the right that was not compared.
pub(crate) fn all_but_a_strip() -> Coverage {
    let strip = PixelBox { x: 620, y: 0, width: 20, height: 640 };
    Coverage::new(640 * 640, 620 * 640, vec![strip]).unwrap()
}

pub(crate) fn result_id(n: u128) -> Uuid {
    Uuid::from_u128(0xe0 + n)
}

pub(crate) fn compared(n: u128, content: &str, defects: Vec<Defect>) -> InferenceResult {
    InferenceResult::Completed {
        result_id: result_id(n),
        artifact_id: artifact(n),
        artifact_sha256: Sha256::digest_of(content.as_bytes()),
        golden: golden(),
        model: model(),
        registration: registration(),
        defects,
        differences: Vec::new(),
        coverage: whole_picture(),
        timing: timing(),
    }
}

pub(crate) fn not_comparable(n: u128, content: &str, reason: NotComparable) -> InferenceResult {
    let golden = (reason != NotComparable::NoGoldenSample).then(golden);
    InferenceResult::Failed {
        result_id: result_id(n),
        artifact_id: artifact(n),
        artifact_sha256: Sha256::digest_of(content.as_bytes()),
        golden,
        reason,
        detail: "in words".into(),
    }
}

pub(crate) fn created() -> InspectionEvent {
    InspectionEvent::InspectionCreated {
        inspection_id: inspection_id(),
        lot: lot(),
        part: part(),
        station: station(),
        recipe: Recipe::factory(1),
        golden_sample_revision: None,
    }
}

/// Artifact `n` is announced as a JPEG that may come until `at(600)`.
pub(crate) fn reserved(n: u128) -> InspectionEvent {
    InspectionEvent::ArtifactReserved {
        artifact_id: artifact(n),
        media_type: MediaType::Jpeg,
        view: None,
        pixels_per_millimetre: None,
        expires_at: at(600),
    }
}

pub(crate) fn view(name: &str) -> ViewName {
    ViewName::new(name).unwrap()
}

/// Artifact `n` is announced as this view.
pub(crate) fn reserved_as(n: u128, name: Option<&str>) -> InspectionEvent {
    let mut event = reserved(n);
    if let InspectionEvent::ArtifactReserved { view, .. } = &mut event {
        *view = name.map(self::view);
    }
    event
}

/// Artifact `n` is announced with this scale.
pub(crate) fn reserved_at_scale(n: u128, scale: PixelScale) -> InspectionEvent {
    let mut event = reserved(n);
    if let InspectionEvent::ArtifactReserved { pixels_per_millimetre, .. } = &mut event {
        *pixels_per_millimetre = Some(scale);
    }
    event
}

pub(crate) fn uploaded(n: u128, content: &str) -> InspectionEvent {
    InspectionEvent::ArtifactUploaded { artifact_id: artifact(n), picture: picture(content) }
}

pub(crate) fn requested(artifacts: impl IntoIterator<Item = u128>) -> InspectionEvent {
    let artifacts = artifacts.into_iter().map(artifact).collect();
    InspectionEvent::InferenceRequested { artifacts }
}

pub(crate) fn completed(n: u128, content: &str, defects: Vec<Defect>) -> InspectionEvent {
    InspectionEvent::InferenceCompleted {
        result_id: result_id(n),
        artifact_id: artifact(n),
        picture: picture(content),
        golden: golden(),
        model: model(),
        recipe_revision: 1,
        registration: registration(),
        defects,
        differences: Vec::new(),
        coverage: Some(whole_picture()),
        timing: timing(),
    }
}

pub(crate) fn failed(n: u128, content: &str, reason: NotComparable) -> InspectionEvent {
    InspectionEvent::InferenceFailed {
        result_id: result_id(n),
        artifact_id: artifact(n),
        picture: picture(content),
        golden: (reason != NotComparable::NoGoldenSample).then(golden),
        reason,
        detail: "in words".into(),
        recipe_revision: 1,
    }
}
