//! The rows of the overview's tables: how each begins, and what can be set in it.

use chrono::{DateTime, Utc};
use domain::inspection::{GoldenReference, ModelIdentity, Registration, Timing};
use domain::{
    ArtifactId, ArtifactState, Coverage, Defect, FiredRule, Grade, InspectionEvent,
    InspectionState, Judgement, Lot, MediaType, NotComparable, PartNumber, Picture, PixelScale,
    Recipe, Sha256, Station, UnexplainedDifference, ViewName,
};
use platform::event_log::Position;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::read_model::{InspectionRecord, TableRow};

#[derive(Serialize, Deserialize)]
pub(super) struct InspectionRow {
    pub(super) inspection_id: Uuid,
    lot: Lot,
    part: PartNumber,
    station: Station,
    pub(super) state: InspectionState,
    judgement: Option<Judgement>,
    rules: Option<Vec<FiredRule>>,
    recipe: Recipe,
    golden_sample_revision: Option<u32>,
    defect_count: u32,
    doubtful_count: u32,
    difference_count: u32,
    created_at: DateTime<Utc>,
    judged_at: Option<DateTime<Utc>>,
    voided_at: Option<DateTime<Utc>>,
    void_reason: Option<String>,
    pub(super) version: u64,
    created_position: Position,
    pub(super) position: Position,
}

impl InspectionRow {
    /// The row that `InspectionCreated` begins; `None` for another event.
    pub(super) fn created(record: &InspectionRecord<'_>) -> Option<Self> {
        let InspectionEvent::InspectionCreated {
            lot,
            part,
            station,
            recipe,
            golden_sample_revision,
            ..
        } = &record.event
        else {
            return None;
        };
        Some(Self {
            inspection_id: record.aggregate_id,
            lot: lot.clone(),
            part: part.clone(),
            station: station.clone(),
            state: InspectionState::Open,
            judgement: None,
            rules: None,
            recipe: recipe.clone(),
            golden_sample_revision: *golden_sample_revision,
            defect_count: 0,
            doubtful_count: 0,
            difference_count: 0,
            created_at: record.recorded.occurred_at(),
            judged_at: None,
            voided_at: None,
            void_reason: None,
            version: record.recorded.sequence,
            created_position: record.recorded.position,
            position: record.recorded.position,
        })
    }

    pub(super) fn set_judged(
        &mut self,
        judgement: Judgement,
        rules: &[FiredRule],
        at: DateTime<Utc>,
    ) {
        self.state = InspectionState::Judged;
        self.judgement = Some(judgement);
        self.rules = Some(rules.to_vec());
        self.judged_at = Some(at);
    }

    pub(super) fn set_voided(&mut self, reason: &str, at: DateTime<Utc>) {
        self.state = InspectionState::Voided;
        self.void_reason = Some(reason.to_owned());
        self.voided_at = Some(at);
    }

    pub(super) fn count_findings(
        &mut self,
        defects: &[Defect],
        differences: &[UnexplainedDifference],
    ) {
        let unexplained = u32::try_from(differences.len()).unwrap_or(u32::MAX);
        self.difference_count = self.difference_count.saturating_add(unexplained);
        for defect in defects {
            match self.recipe.grade(defect.confidence) {
                Grade::Defect => self.defect_count += 1,
                Grade::Doubtful => self.doubtful_count += 1,
                Grade::Negligible => {}
            }
        }
    }
}

impl TableRow for InspectionRow {
    const TABLE: &'static str = "inspections";
    const LOOKUP: &'static str = "inspection_id";
    const KEY: &'static str = "inspection_id, created_at";
    const CHANGING: &'static [&'static str] = &[
        "state",
        "judgement",
        "rules",
        "defect_count",
        "doubtful_count",
        "difference_count",
        "judged_at",
        "voided_at",
        "void_reason",
        "version",
        "position",
    ];
}

#[derive(Serialize, Deserialize)]
pub(super) struct ArtifactRow {
    pub(super) artifact_id: ArtifactId,
    pub(super) inspection_id: Uuid,
    view: Option<ViewName>,
    pixels_per_millimetre: Option<PixelScale>,
    pub(super) state: ArtifactState,
    media_type: MediaType,
    sha256: Option<Sha256>,
    bytes: Option<u64>,
    width: Option<u32>,
    height: Option<u32>,
    announced_sequence: u64,
    reserved_at: DateTime<Utc>,
    uploaded_at: Option<DateTime<Utc>>,
    inferred_at: Option<DateTime<Utc>>,
    golden_artifact_id: Option<ArtifactId>,
    golden_sha256: Option<Sha256>,
    golden_revision: Option<u32>,
    model_name: Option<String>,
    model_version: Option<String>,
    model_sha256: Option<Sha256>,
    registration: Option<Registration>,
    coverage: Option<Coverage>,
    differences: Option<Vec<UnexplainedDifference>>,
    queue_ms: Option<u32>,
    compute_ms: Option<u32>,
    total_ms: Option<u32>,
    reason: Option<NotComparable>,
    detail: Option<String>,
    /// When its file was given up.
    pub(super) retired_at: Option<DateTime<Utc>>,
}

impl ArtifactRow {
    /// The row that `ArtifactReserved` begins; `None` for another event.
    pub(super) fn reserved(record: &InspectionRecord<'_>) -> Option<Self> {
        let InspectionEvent::ArtifactReserved {
            artifact_id,
            media_type,
            view,
            pixels_per_millimetre,
            ..
        } = &record.event
        else {
            return None;
        };
        Some(Self {
            artifact_id: *artifact_id,
            inspection_id: record.aggregate_id,
            view: view.clone(),
            pixels_per_millimetre: *pixels_per_millimetre,
            state: ArtifactState::Reserved,
            media_type: *media_type,
            sha256: None,
            bytes: None,
            width: None,
            height: None,
            announced_sequence: record.recorded.sequence,
            reserved_at: record.recorded.occurred_at(),
            uploaded_at: None,
            inferred_at: None,
            golden_artifact_id: None,
            golden_sha256: None,
            golden_revision: None,
            model_name: None,
            model_version: None,
            model_sha256: None,
            registration: None,
            coverage: None,
            differences: None,
            queue_ms: None,
            compute_ms: None,
            total_ms: None,
            reason: None,
            detail: None,
            retired_at: None,
        })
    }

    /// What has come is not cancelled.
    pub(super) fn set_cancelled(&mut self) {
        if self.state == ArtifactState::Reserved {
            self.state = ArtifactState::Cancelled;
        }
    }

    pub(super) fn set_uploaded(&mut self, picture: &Picture, at: DateTime<Utc>) {
        self.state = ArtifactState::Uploaded;
        self.uploaded_at = Some(at);
        self.set_picture(picture);
    }

    pub(super) fn set_not_comparable(
        &mut self,
        reason: NotComparable,
        detail: &str,
        at: DateTime<Utc>,
    ) {
        self.state = ArtifactState::NotComparable;
        self.inferred_at = Some(at);
        self.reason = Some(reason);
        self.detail = Some(detail.to_owned());
    }

    pub(super) fn set_picture(&mut self, picture: &Picture) {
        self.sha256 = Some(picture.sha256);
        self.bytes = Some(picture.bytes);
        self.media_type = picture.media_type;
        self.width = Some(picture.width);
        self.height = Some(picture.height);
    }

    pub(super) fn set_golden(&mut self, golden: &GoldenReference) {
        self.golden_artifact_id = Some(golden.artifact_id);
        self.golden_sha256 = Some(golden.sha256);
        self.golden_revision = Some(golden.revision);
    }

    pub(super) fn set_comparison(
        &mut self,
        registration: Registration,
        coverage: Option<&Coverage>,
        differences: &[UnexplainedDifference],
        at: DateTime<Utc>,
    ) {
        self.state = ArtifactState::Compared;
        self.inferred_at = Some(at);
        self.registration = Some(registration);
        self.coverage = coverage.cloned();
        self.differences = Some(differences.to_vec());
    }

    pub(super) fn set_model(&mut self, model: &ModelIdentity, timing: Timing) {
        self.model_name = Some(model.name.clone());
        self.model_version = Some(model.version.clone());
        self.model_sha256 = Some(model.sha256);
        self.queue_ms = Some(timing.queue_ms);
        self.compute_ms = Some(timing.compute_ms);
        self.total_ms = Some(timing.total_ms);
    }
}

impl TableRow for ArtifactRow {
    const TABLE: &'static str = "artifacts";
    const LOOKUP: &'static str = "artifact_id";
    const KEY: &'static str = "artifact_id, reserved_at";
    const CHANGING: &'static [&'static str] = &[
        "state",
        "media_type",
        "sha256",
        "bytes",
        "width",
        "height",
        "uploaded_at",
        "inferred_at",
        "golden_artifact_id",
        "golden_sha256",
        "golden_revision",
        "model_name",
        "model_version",
        "model_sha256",
        "registration",
        "coverage",
        "differences",
        "queue_ms",
        "compute_ms",
        "total_ms",
        "reason",
        "detail",
        "retired_at",
    ];
}

#[derive(Serialize, Deserialize)]
pub(super) struct TimelineRow {
    inspection_id: Uuid,
    sequence: u64,
    position: Position,
    event_type: String,
    occurred_at: DateTime<Utc>,
    recorded_at: DateTime<Utc>,
    actor: String,
}

impl TimelineRow {
    pub(super) fn new(record: &InspectionRecord<'_>) -> Self {
        Self {
            inspection_id: record.aggregate_id,
            sequence: record.recorded.sequence,
            position: record.recorded.position,
            event_type: record.recorded.event_type.clone(),
            occurred_at: record.recorded.occurred_at(),
            recorded_at: record.recorded.recorded_at,
            actor: record.actor_subject(),
        }
    }
}

impl TableRow for TimelineRow {
    const TABLE: &'static str = "timeline";
    const LOOKUP: &'static str = "inspection_id";
    const KEY: &'static str = "inspection_id, sequence, recorded_at";
    const CHANGING: &'static [&'static str] = &[];
}
