//! One section for each picture: the picture, what is known of it, how it was compared and the limit of that.

use chrono::{DateTime, Utc};
use domain::report::{Outcome, Report, ReportArtifact};
use domain::{Coverage, DetectionLimit};
use serde::Serialize;

use super::super::evidence::BoardView;
use super::super::glyphs::Typesetter;
use super::super::words;
use super::{FactView, exact_fact, plain_fact};

#[derive(Serialize)]
pub(super) struct PictureSection<'a> {
    title: String,
    board: &'a BoardView,
    facts: Vec<FactView>,
    /// What a reader should know of it beside the judgement.
    note: Option<String>,
    /// Why it could not be compared.
    problem: Option<ProblemView>,
}

#[derive(Serialize)]
struct ProblemView {
    name: &'static str,
    words: &'static str,
    detail: String,
}

pub(super) fn picture_sections<'a>(
    report: &Report,
    text: &Typesetter<'_>,
    boards: &'a [BoardView],
) -> Vec<PictureSection<'a>> {
    let count = report.artifacts.len();
    let shown = report.artifacts.iter().zip(boards).zip(1..);
    let view = shown.map(|((artifact, board), number): (_, usize)| PictureSection {
        title: match &artifact.view {
            Some(view) => format!("Picture {number} of {count}: {view}"),
            None => format!("Picture {number} of {count}"),
        },
        board,
        facts: picture_facts(artifact, board.retired_at),
        note: identical_note(artifact),
        problem: problem_view(artifact, text),
    });
    view.collect()
}

fn picture_facts(artifact: &ReportArtifact, retired_at: Option<DateTime<Utc>>) -> Vec<FactView> {
    let mut facts = vec![exact_fact("Artifact", artifact.artifact_id.to_string())];
    if let Some(picture) = &artifact.picture {
        let (width, height) = (picture.width, picture.height);
        let bytes = words::format_bytes(picture.bytes);
        let file = format!("{width} × {height} px, {}, {bytes}", picture.media_type);
        facts.push(plain_fact("File", file));
        facts.extend(retired_at.map(|at| plain_fact("Retired", words::describe_retirement(at))));
        if let Some(scale) = artifact.pixels_per_millimetre {
            let size = words::format_size(width, height, scale);
            facts.push(plain_fact("Scale", format!("{scale}, as announced: {size}")));
        }
    }
    if let Some(golden) = &artifact.golden {
        let golden = format!("revision {}, artifact {}", golden.revision, golden.artifact_id);
        facts.push(plain_fact("Golden sample", golden));
    }
    if let Outcome::Compared { registration, coverage, detection_limit, timing, .. } =
        &artifact.outcome
    {
        let compared = words::describe_coverage(coverage.as_ref(), artifact.picture.as_ref());
        facts.push(plain_fact("Compared", compared));
        let excluded = coverage.as_ref().and_then(words::describe_excluded);
        facts.extend(excluded.map(|excluded| plain_fact("Not inspected", excluded)));
        if let Some(method) = coverage.as_ref().and_then(Coverage::method) {
            facts.push(plain_fact("Method", method.describe().to_owned()));
        }
        if let Some(DetectionLimit { finds, may_miss }) = detection_limit {
            facts.push(plain_fact("Finds", finds.clone()));
            facts.push(plain_fact("May not find", may_miss.clone()));
        }
        let (dx, dy) =
            (words::format_offset(registration.dx), words::format_offset(registration.dy));
        let score = registration.score;
        let bend = registration.bend.map(|bend| format!("; bent by {bend:.2} px"));
        let bend = bend.unwrap_or_default();
        let lay =
            format!("offset from the golden sample: dx {dx}, dy {dy}{bend}; agreement {score:.3}");
        facts.push(plain_fact("Registration", lay));
        let (queue, compute, total) = (timing.queue_ms, timing.compute_ms, timing.total_ms);
        let time = format!("{total} ms in all: {queue} ms queued, {compute} ms in the network");
        facts.push(plain_fact("Time taken", time));
    }
    facts
}

/// That a picture is its golden sample, in a sentence.
fn identical_note(artifact: &ReportArtifact) -> Option<String> {
    let is_identical = artifact.identical_to_golden_sample == Some(true);
    let golden = artifact.golden.as_ref().filter(|_| is_identical);
    golden.map(|golden| words::describe_identical(golden.revision))
}

fn problem_view(artifact: &ReportArtifact, text: &Typesetter<'_>) -> Option<ProblemView> {
    match &artifact.outcome {
        Outcome::Compared { .. } => None,
        Outcome::NotComparable { reason, detail } => Some(ProblemView {
            name: reason.as_str(),
            words: words::describe_not_comparable(*reason),
            detail: text.set(detail),
        }),
        Outcome::Missing => Some(ProblemView {
            name: "missing-view",
            words: "The picture was announced and never arrived",
            detail: String::new(),
        }),
    }
}
