//! The report as the template shows it: every text final, every number formatted, nothing left to
//! decide but where it stands.

use std::collections::BTreeMap;

use domain::report::{Outcome, Report, ReportArtifact, ReportDefect};
use domain::{ArtifactId, DefectClass, Grade, Sha256};
use serde::Serialize;

use super::evidence::{Board, Card};
use super::glyphs::Typesetter;
use super::{ATTACHMENT, MAX_CARDS, MAX_EVENTS, MAX_PICTURES, words};

/// A label and what it is of; `mono` where every character counts.
#[derive(Serialize)]
struct Fact {
    label: &'static str,
    value: String,
    mono: bool,
}

#[derive(Serialize)]
struct Verdict {
    key: &'static str,
    sentence: &'static str,
    rules: Vec<Rule>,
}

#[derive(Serialize)]
struct Rule {
    name: &'static str,
    words: String,
}

/// The findings of one class.
#[derive(Serialize)]
struct ClassCount {
    class: &'static str,
    defects: usize,
    doubtful: usize,
    /// The first few numbers.
    numbers: String,
}

#[derive(Serialize)]
struct PictureView<'a> {
    title: String,
    board: &'a Board,
    facts: Vec<Fact>,
    /// Why it could not be compared.
    problem: Option<Problem>,
}

#[derive(Serialize)]
struct Problem {
    name: &'static str,
    words: &'static str,
    detail: String,
}

#[derive(Serialize)]
struct Finding<'a> {
    number: u32,
    class: &'static str,
    grade: &'static str,
    picture: String,
    bounds: String,
    rule: String,
    golden: String,
    card: &'a Card,
}

#[derive(Serialize)]
struct Event {
    sequence: u64,
    position: i64,
    at: String,
    event: String,
    actor: String,
}

#[derive(Serialize)]
struct Digest {
    what: String,
    id: String,
    sha256: String,
}

/// The template's data.
#[derive(Serialize)]
pub(super) struct View<'a> {
    attachment: &'static str,
    report_id: String,
    json_sha256: String,
    subject: String,
    verdict: Verdict,
    facts: Vec<Fact>,
    judged_by: Vec<Fact>,
    classes: Vec<ClassCount>,
    pictures: Vec<PictureView<'a>>,
    more_pictures: usize,
    findings: Vec<Finding<'a>>,
    more_findings: usize,
    events: Vec<Event>,
    more_events: usize,
    digests: Vec<Digest>,
    /// Whether a character had to be written as its code point.
    escaped: bool,
}

impl<'a> View<'a> {
    pub(super) fn new(
        report: &Report,
        digest: Sha256,
        text: &Typesetter<'_>,
        (boards, cards): (&'a [Board], &'a [Card]),
    ) -> Self {
        let mut view = Self {
            attachment: ATTACHMENT,
            report_id: report.report_id.to_string(),
            json_sha256: digest.to_string(),
            subject: text.set(report.part.as_str()),
            verdict: verdict(report),
            facts: facts(report, text),
            judged_by: judged_by(report, text),
            classes: DefectClass::ALL.into_iter().map(|class| count(report, class)).collect(),
            pictures: pictures(report, text, boards),
            more_pictures: report.artifacts.len().saturating_sub(MAX_PICTURES),
            findings: findings(report, cards),
            more_findings: report.defects.len().saturating_sub(MAX_CARDS),
            events: events(report, text),
            more_events: report.timeline.len().saturating_sub(MAX_EVENTS),
            digests: digests(report, text),
            escaped: false,
        };
        view.escaped = text.has_escaped();
        view
    }
}

fn plain(label: &'static str, value: String) -> Fact {
    Fact { label, value, mono: false }
}

fn exact(label: &'static str, value: String) -> Fact {
    Fact { label, value, mono: true }
}

fn verdict(report: &Report) -> Verdict {
    let rules = report.rules.iter().map(|rule| {
        let (name, words) = words::rule(rule, &report.recipe);
        Rule { name, words }
    });
    Verdict {
        key: report.judgement.as_str(),
        sentence: words::judgement(report.judgement),
        rules: rules.collect(),
    }
}

fn facts(report: &Report, text: &Typesetter<'_>) -> Vec<Fact> {
    vec![
        exact("Part", text.set(report.part.as_str())),
        exact("Lot", text.set(report.lot.as_str())),
        exact("Station", text.set(report.station.as_str())),
        exact("Inspection", report.inspection_id.to_string()),
        exact("Created", words::instant(report.created_at)),
        exact("Judged", words::instant(report.judged_at)),
    ]
}

fn judged_by(report: &Report, text: &Typesetter<'_>) -> Vec<Fact> {
    let recipe = &report.recipe;
    let (fail, review) = (words::threshold(recipe.fail_at), words::threshold(recipe.review_at));
    let revision = match recipe.revision {
        0 => "0 (the factory recipe: the part was not registered)".to_owned(),
        revision => revision.to_string(),
    };
    let mut facts = vec![
        plain("Recipe revision", revision),
        plain("fail_at", format!("{fail} – a finding of this confidence or above fails the board")),
        plain(
            "review_at",
            format!("{review} – from here to below fail_at a finding is doubtful: for review"),
        ),
    ];
    let mut models: Vec<String> = Vec::new();
    let mut goldens: Vec<String> = Vec::new();
    for artifact in &report.artifacts {
        if let Outcome::Compared { model, .. } = &artifact.outcome {
            let (name, version) = (text.set(&model.name), text.set(&model.version));
            push_once(&mut models, format!("{name}, version {version}"));
        }
        if let Some(golden) = &artifact.golden {
            push_once(&mut goldens, format!("revision {}", golden.revision));
        }
    }
    let or_none = |values: Vec<String>| match values.is_empty() {
        true => "none".to_owned(),
        false => values.join("; "),
    };
    facts.push(plain("Model", or_none(models)));
    facts.push(plain("Golden sample", or_none(goldens)));
    facts
}

fn push_once<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}

/// Numbers listed per class; the boxes and cards have the rest.
const NUMBERS_LISTED: usize = 12;

fn count(report: &Report, class: DefectClass) -> ClassCount {
    let found: Vec<&ReportDefect> = report.defects.iter().filter(|d| d.class == class).collect();
    let graded = |grade| found.iter().filter(|defect| defect.grade == grade).count();
    let mut numbers: Vec<String> =
        found.iter().take(NUMBERS_LISTED).map(|defect| defect.number.to_string()).collect();
    if found.len() > NUMBERS_LISTED {
        numbers.push("…".to_owned());
    }
    ClassCount {
        class: class.as_str(),
        defects: graded(Grade::Defect),
        doubtful: graded(Grade::Doubtful),
        numbers: numbers.join(", "),
    }
}

fn pictures<'a>(
    report: &Report,
    text: &Typesetter<'_>,
    boards: &'a [Board],
) -> Vec<PictureView<'a>> {
    let count = report.artifacts.len();
    let shown = report.artifacts.iter().zip(boards).zip(1..);
    let view = shown.map(|((artifact, board), number): (_, usize)| PictureView {
        title: format!("Picture {number} of {count}"),
        board,
        facts: picture_facts(artifact),
        problem: problem(artifact, text),
    });
    view.collect()
}

fn picture_facts(artifact: &ReportArtifact) -> Vec<Fact> {
    let mut facts = vec![exact("Artifact", artifact.artifact_id.to_string())];
    if let Some(picture) = &artifact.picture {
        let (width, height) = (picture.width, picture.height);
        let bytes = words::bytes(picture.bytes);
        let file = format!("{width} × {height} px, {}, {bytes}", picture.media_type);
        facts.push(plain("File", file));
    }
    if let Some(golden) = &artifact.golden {
        let golden = format!("revision {}, artifact {}", golden.revision, golden.artifact_id);
        facts.push(plain("Golden sample", golden));
    }
    if let Outcome::Compared { registration, timing, .. } = &artifact.outcome {
        let (dx, dy) = (words::offset(registration.dx), words::offset(registration.dy));
        let score = registration.score;
        let lay = format!("offset from the golden sample: dx {dx}, dy {dy}; agreement {score:.3}");
        facts.push(plain("Registration", lay));
        let (queue, compute, total) = (timing.queue_ms, timing.compute_ms, timing.total_ms);
        let time = format!("{total} ms in all: {queue} ms queued, {compute} ms in the network");
        facts.push(plain("Time taken", time));
    }
    facts
}

fn problem(artifact: &ReportArtifact, text: &Typesetter<'_>) -> Option<Problem> {
    match &artifact.outcome {
        Outcome::Compared { .. } => None,
        Outcome::NotComparable { reason, detail } => Some(Problem {
            name: reason.as_str(),
            words: words::not_comparable(*reason),
            detail: text.set(detail),
        }),
        Outcome::Missing => Some(Problem {
            name: "missing-view",
            words: "The picture was announced and never arrived",
            detail: String::new(),
        }),
    }
}

fn findings<'a>(report: &Report, cards: &'a [Card]) -> Vec<Finding<'a>> {
    let place = |id: ArtifactId| report.artifacts.iter().position(|a| a.artifact_id == id);
    let several = report.artifacts.len() > 1;
    let finding = |(defect, card): (&ReportDefect, &'a Card)| {
        let index = place(defect.artifact_id);
        let golden = index.and_then(|index| report.artifacts[index].golden.as_ref());
        let (x, y) = (defect.bounds.x, defect.bounds.y);
        let (width, height) = (defect.bounds.width, defect.bounds.height);
        Finding {
            number: defect.number,
            class: defect.class.as_str(),
            grade: defect.grade.as_str(),
            picture: match index {
                Some(index) if several => format!("picture {}, ", index + 1),
                Some(_) | None => String::new(),
            },
            bounds: format!("box x {x}, y {y}, {width} × {height} px"),
            rule: words::consequence(defect.confidence, &report.recipe),
            golden: golden.map_or_else(String::new, |golden| format!("rev. {}", golden.revision)),
            card,
        }
    };
    report.defects.iter().zip(cards).map(finding).collect()
}

fn events(report: &Report, text: &Typesetter<'_>) -> Vec<Event> {
    let entries = report.timeline.iter().take(MAX_EVENTS);
    let event = entries.map(|entry| Event {
        sequence: entry.sequence,
        position: entry.position,
        at: words::instant(entry.occurred_at),
        event: text.set(&entry.event),
        actor: text.set(&entry.actor),
    });
    event.collect()
}

/// Every digest the judgement rests on, each once.
fn digests(report: &Report, text: &Typesetter<'_>) -> Vec<Digest> {
    let mut digests = Vec::new();
    let mut goldens = BTreeMap::new();
    let mut models: Vec<(String, String, Sha256)> = Vec::new();
    for (artifact, number) in report.artifacts.iter().take(MAX_PICTURES).zip(1..) {
        let number: usize = number;
        let sha256 = artifact.picture.as_ref().map(|picture| picture.sha256.to_string());
        digests.push(Digest {
            what: format!("Picture {number}"),
            id: artifact.artifact_id.to_string(),
            sha256: sha256.unwrap_or_else(|| "never uploaded".to_owned()),
        });
        if let Some(golden) = &artifact.golden {
            goldens.insert((golden.revision, golden.artifact_id), golden.sha256);
        }
        if let Outcome::Compared { model, .. } = &artifact.outcome {
            let model = (model.name.clone(), model.version.clone(), model.sha256);
            push_once(&mut models, model);
        }
    }
    digests.extend(goldens.into_iter().map(|((revision, id), sha256)| Digest {
        what: format!("Golden sample, revision {revision}"),
        id: id.to_string(),
        sha256: sha256.to_string(),
    }));
    digests.extend(models.into_iter().map(|(name, version, sha256)| Digest {
        what: "Model".to_owned(),
        id: format!("{} {}", text.set(&name), text.set(&version)),
        sha256: sha256.to_string(),
    }));
    digests
}
