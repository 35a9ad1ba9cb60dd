//! The report of a judged inspection: a pure function of its events, so that the same events give the
//! same report for ever. Its JSON shape is `schemas/report.v5.schema.json`.

mod fold;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use cqrs_es::DomainEvent as _;
use serde::{Deserialize, Serialize};

use crate::inspection::{GoldenReference, ModelIdentity, Registration, Timing};
use crate::{
    ArtifactId, Confidence, Coverage, DefectClass, DetectionLimit, DifferenceKind, FiredRule,
    Grade, InspectionEvent, InspectionId, Judgement, Lot, MillimetreBox, NotComparable, PartNumber,
    Picture, PixelBox, PixelScale, Recipe, ReportId, Station, ViewName,
};
use fold::{Created, ReportFold};

/// The version of the report's JSON shape.
pub const SCHEMA_VERSION: u32 = 5;

/// One event of the inspection's stream with the facts of its recording.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The event's place in its stream, from 1.
    pub sequence: u64,
    /// The event's place in the log.
    pub position: i64,
    /// When the command was accepted.
    pub occurred_at: DateTime<Utc>,
    /// Who asked for it, or the part of the platform that decided it.
    pub actor: String,
    /// What that person was called then.
    pub actor_name: Option<String>,
    /// What happened.
    pub event: InspectionEvent,
}

/// The report of a judged inspection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The report's id, derived from the inspection's.
    pub report_id: ReportId,
    /// The inspection.
    pub inspection_id: InspectionId,
    /// The board's lot.
    pub lot: Lot,
    /// The board's part.
    pub part: PartNumber,
    /// The station.
    pub station: Station,
    /// The machine's judgement.
    pub judgement: Judgement,
    /// The rules that fired.
    pub rules: Vec<FiredRule>,
    /// The recipe it was judged by.
    pub recipe: Recipe,
    /// The part's latest golden sample when the inspection was created: its pictures are compared with those
    /// that were in force then. Absent when the part had none, and of the oldest inspections.
    pub golden_sample_revision: Option<u32>,
    /// When the inspection was created.
    pub created_at: DateTime<Utc>,
    /// When it was judged.
    pub judged_at: DateTime<Utc>,
    /// Every required picture and what became of it, in the order in which they were announced.
    pub artifacts: Vec<ReportArtifact>,
    /// Findings from the recipe's `review_at`, numbered from 1: pictures as they were announced, most
    /// confident first.
    pub defects: Vec<ReportDefect>,
    /// What differs and is not explained by the findings, numbered from 1: pictures as they were
    /// announced, strongest first.
    pub differences: Vec<ReportDifference>,
    /// The inspection's events in order.
    pub timeline: Vec<TimelineEntry>,
}

/// One required picture and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportArtifact {
    /// The picture's id.
    pub artifact_id: ArtifactId,
    /// The view of the board that it was announced as.
    pub view: Option<ViewName>,
    /// The scale that it was announced with; absent when nobody stated it.
    pub pixels_per_millimetre: Option<PixelScale>,
    /// The picture; absent when it was never uploaded.
    pub picture: Option<Picture>,
    /// The golden sample it was compared with.
    pub golden: Option<GoldenReference>,
    /// Whether the two are the same file, byte for byte. A camera gives no two such pictures, so the wrong file
    /// may have been sent; the judgement is the same. Absent when it was compared with none.
    pub identical_to_golden_sample: Option<bool>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a required picture.
#[expect(clippy::large_enum_variant, reason = "most pictures are compared, and a board has few")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Outcome {
    /// Compared with its golden sample.
    Compared {
        /// By which network.
        model: ModelIdentity,
        /// How it lay over the golden sample.
        registration: Registration,
        /// How much of the picture was compared; not known of the oldest results.
        coverage: Option<Coverage>,
        /// What such a comparison finds and may not find; not known of results from before the method was
        /// recorded.
        detection_limit: Option<DetectionLimit>,
        /// Where the time went.
        timing: Timing,
    },
    /// Not comparable.
    NotComparable {
        /// Why, as a rule's name.
        reason: NotComparable,
        /// Why, in words.
        detail: String,
    },
    /// Announced, never uploaded.
    Missing,
}

/// One finding in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportDefect {
    /// Its number on the board, from 1.
    pub number: u32,
    /// The picture it was found on.
    pub artifact_id: ArtifactId,
    /// What it is.
    pub class: DefectClass,
    /// How sure the network is.
    pub confidence: Confidence,
    /// What that means under the recipe.
    pub grade: Grade,
    /// Where it is, in pixels of the picture.
    #[serde(rename = "box")]
    pub bounds: PixelBox,
    /// Where it is in millimetres; absent when the picture's scale is not known.
    pub box_mm: Option<MillimetreBox>,
}

/// One unexplained difference in the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReportDifference {
    /// Its number on the board among the unexplained differences, from 1.
    pub number: u32,
    /// The picture it is on.
    pub artifact_id: ArtifactId,
    /// In what way it differs.
    pub kind: DifferenceKind,
    /// How strong it is, in parts of the weakest difference that counts.
    pub strength: f32,
    /// Where it is, in pixels of the picture.
    #[serde(rename = "box")]
    pub bounds: PixelBox,
    /// Where it is in millimetres; absent when the picture's scale is not known.
    pub box_mm: Option<MillimetreBox>,
}

/// One line of the report's timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// The event's place in its stream, from 1.
    pub sequence: u64,
    /// The event's place in the log.
    pub position: i64,
    /// When the command was accepted.
    pub occurred_at: DateTime<Utc>,
    /// The event's stored name.
    pub event: String,
    /// Who asked for it, or the part of the platform that decided it.
    pub actor: String,
    /// What that person was called then; absent of machines, and of events from before it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor_name: Option<String>,
}

impl Report {
    /// The report of a stream of events, in order; `None` while the inspection is not judged.
    #[must_use]
    pub fn from_entries(entries: &[Entry]) -> Option<Self> {
        let mut draft = ReportFold::default();
        entries.iter().for_each(|entry| draft.add_entry(entry));
        let differences = numbered_differences(&draft);
        let Created {
            inspection_id,
            lot,
            part,
            station,
            recipe,
            golden_sample_revision,
            created_at,
        } = draft.created.take()?;
        let (judgement, rules, judged_at) = draft.judged.take()?;
        let defects = numbered_defects(&draft, &recipe);
        Some(Self {
            schema_version: SCHEMA_VERSION,
            report_id: ReportId::for_inspection(inspection_id),
            inspection_id,
            lot,
            part,
            station,
            judgement,
            rules,
            recipe,
            golden_sample_revision,
            created_at,
            judged_at,
            artifacts: draft.artifacts.into_values().collect(),
            defects,
            differences,
            timeline: entries.iter().map(TimelineEntry::from_entry).collect(),
        })
    }
}

impl ReportArtifact {
    /// `None` when its scale is not known.
    fn measure(&self, bounds: PixelBox) -> Option<MillimetreBox> {
        self.pixels_per_millimetre.map(|scale| scale.measure(bounds))
    }
}

impl TimelineEntry {
    fn from_entry(entry: &Entry) -> Self {
        Self {
            sequence: entry.sequence,
            position: entry.position,
            occurred_at: entry.occurred_at,
            event: entry.event.event_type(),
            actor: entry.actor.clone(),
            actor_name: entry.actor_name.clone(),
        }
    }
}

fn numbered_defects(draft: &ReportFold, recipe: &Recipe) -> Vec<ReportDefect> {
    draft
        .findings()
        .map(|(artifact, defect)| (artifact, defect, recipe.grade(defect.confidence)))
        .filter(|(_, _, grade)| *grade > Grade::Negligible)
        .zip(1..)
        .map(|((artifact, defect, grade), number)| ReportDefect {
            number,
            artifact_id: artifact.artifact_id,
            class: defect.class,
            confidence: defect.confidence,
            grade,
            bounds: defect.bounds,
            box_mm: artifact.measure(defect.bounds),
        })
        .collect()
}

fn numbered_differences(draft: &ReportFold) -> Vec<ReportDifference> {
    draft
        .differences()
        .zip(1..)
        .map(|((artifact, difference), number)| ReportDifference {
            number,
            artifact_id: artifact.artifact_id,
            kind: difference.kind,
            strength: difference.strength,
            bounds: difference.bounds,
            box_mm: artifact.measure(difference.bounds),
        })
        .collect()
}
