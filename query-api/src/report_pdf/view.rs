//! The report as the template shows it: every text final, every number formatted, nothing left to
//! decide but where it stands.

mod pictures;

use std::collections::BTreeMap;

use domain::report::{Outcome, Report, ReportDefect};
use domain::{ArtifactId, DefectClass, Grade, Recipe, Sha256, ViewName};
use serde::Serialize;

use super::evidence::{BoardView, CardView};
use super::glyphs::Typesetter;
use super::marks::{Mark, marks_with_cards};
use super::{ATTACHMENT, MAX_CARDS, MAX_EVENTS, MAX_PICTURES, words};
use pictures::{PictureSection, picture_sections};

/// A label and what it is of; `mono` where every character counts.
#[derive(Serialize)]
struct FactView {
    label: &'static str,
    value: String,
    mono: bool,
}

#[derive(Serialize)]
struct VerdictView {
    key: &'static str,
    sentence: &'static str,
    rules: Vec<RuleView>,
}

#[derive(Serialize)]
struct RuleView {
    name: &'static str,
    words: String,
}

/// The findings of one class.
#[derive(Serialize)]
struct ClassCountView {
    class: &'static str,
    defects: usize,
    doubtful: usize,
    /// The first few numbers.
    numbers: String,
}

/// A finding, or a difference that no finding explains.
#[derive(Serialize)]
struct FindingView<'a> {
    number: String,
    name: &'static str,
    grade: &'static str,
    picture: String,
    bounds: String,
    /// The same in millimetres; `None` when the picture's scale is not known.
    on_board: Option<String>,
    rule: String,
    golden: String,
    card: &'a CardView,
}

#[derive(Serialize)]
struct EventView {
    sequence: u64,
    position: i64,
    at: String,
    event: String,
    actor: String,
}

#[derive(Serialize)]
struct DigestView {
    what: String,
    id: String,
    sha256: String,
}

/// The template's data.
#[derive(Serialize)]
pub(super) struct ReportView<'a> {
    attachment: &'static str,
    report_id: String,
    json_sha256: String,
    subject: String,
    verdict: VerdictView,
    facts: Vec<FactView>,
    judged_by: Vec<FactView>,
    classes: Vec<ClassCountView>,
    pictures: Vec<PictureSection<'a>>,
    more_pictures: usize,
    findings: Vec<FindingView<'a>>,
    more_findings: usize,
    differences: Vec<FindingView<'a>>,
    more_differences: usize,
    events: Vec<EventView>,
    more_events: usize,
    digests: Vec<DigestView>,
    /// Whether a character had to be written as its code point.
    escaped: bool,
}

impl<'a> ReportView<'a> {
    pub(super) fn new(
        report: &Report,
        digest: Sha256,
        text: &Typesetter<'_>,
        (boards, cards): (&'a [BoardView], &'a [CardView]),
    ) -> Self {
        let mut findings = finding_views(report, cards);
        let differences = findings.split_off(report.defects.len().min(MAX_CARDS));
        let mut view = Self {
            attachment: ATTACHMENT,
            report_id: report.report_id.to_string(),
            json_sha256: digest.to_string(),
            subject: text.set(report.part.as_str()),
            verdict: verdict_view(report),
            facts: inspection_facts(report, text),
            judged_by: judged_by(report, text),
            classes: DefectClass::ALL.into_iter().map(|class| count_class(report, class)).collect(),
            pictures: picture_sections(report, text, boards),
            more_pictures: report.artifacts.len().saturating_sub(MAX_PICTURES),
            findings,
            more_findings: report.defects.len().saturating_sub(MAX_CARDS),
            differences,
            more_differences: report.differences.len().saturating_sub(MAX_CARDS),
            events: event_views(report, text),
            more_events: report.timeline.len().saturating_sub(MAX_EVENTS),
            digests: digest_views(report, text),
            escaped: false,
        };
        // All other texts are set: now it is known what they were set in.
        if let Some(font) = text.machine_font_used() {
            view.digests.push(DigestView {
                what: "Font of this machine, for Chinese, Japanese and Korean".to_owned(),
                id: text.set(&font.name()),
                sha256: font.sha256().to_string(),
            });
        }
        view.escaped = text.has_escaped();
        view
    }
}

fn plain_fact(label: &'static str, value: String) -> FactView {
    FactView { label, value, mono: false }
}

fn exact_fact(label: &'static str, value: String) -> FactView {
    FactView { label, value, mono: true }
}

fn verdict_view(report: &Report) -> VerdictView {
    let rules = report.rules.iter().map(|rule| {
        let (name, words) = words::describe_rule(rule, &report.recipe);
        RuleView { name, words }
    });
    VerdictView {
        key: report.judgement.as_str(),
        sentence: words::describe_judgement(report.judgement),
        rules: rules.collect(),
    }
}

fn inspection_facts(report: &Report, text: &Typesetter<'_>) -> Vec<FactView> {
    vec![
        exact_fact("Part", text.set(report.part.as_str())),
        exact_fact("Lot", text.set(report.lot.as_str())),
        exact_fact("Station", text.set(report.station.as_str())),
        exact_fact("Inspection", report.inspection_id.to_string()),
        exact_fact("Created", words::format_instant(report.created_at)),
        exact_fact("Judged", words::format_instant(report.judged_at)),
    ]
}

fn judged_by(report: &Report, text: &Typesetter<'_>) -> Vec<FactView> {
    let recipe = &report.recipe;
    let (fail, review) =
        (words::format_threshold(recipe.fail_at), words::format_threshold(recipe.review_at));
    let revision = match recipe.revision {
        0 => "0 (the factory recipe: the part was not registered)".to_owned(),
        revision => revision.to_string(),
    };
    let mut facts = vec![
        plain_fact("Recipe revision", revision),
        plain_fact(
            "fail_at",
            format!("{fail} – a finding of this confidence or above fails the board"),
        ),
        plain_fact(
            "review_at",
            format!("{review} – from here to below fail_at a finding is doubtful: for review"),
        ),
    ];
    facts.extend(recipe_facts(recipe));
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
    facts.push(plain_fact("Model", or_none(models)));
    facts.push(plain_fact("Golden sample", or_none(goldens)));
    let pinned = report.golden_sample_revision;
    facts.push(plain_fact("Pinned to", words::describe_pinned(pinned)));
    facts
}

/// What a recipe says besides its thresholds.
fn recipe_facts(recipe: &Recipe) -> Vec<FactView> {
    let mut facts = vec![
        plain_fact("Inspected", words::describe_area(&recipe.area)),
        plain_fact("Tolerated bend", format!("{} px", recipe.bend_max_px)),
    ];
    if !recipe.views.is_empty() {
        let views: Vec<&str> = recipe.views.iter().map(ViewName::as_str).collect();
        facts.push(plain_fact("Required views", views.join(", ")));
    }
    facts
}

fn push_once<T: PartialEq>(values: &mut Vec<T>, value: T) {
    if !values.contains(&value) {
        values.push(value);
    }
}

/// Numbers listed per class; the boxes and cards have the rest.
const NUMBERS_LISTED: usize = 12;

fn count_class(report: &Report, class: DefectClass) -> ClassCountView {
    let found: Vec<&ReportDefect> = report.defects.iter().filter(|d| d.class == class).collect();
    let graded = |grade| found.iter().filter(|defect| defect.grade == grade).count();
    let mut numbers: Vec<String> =
        found.iter().take(NUMBERS_LISTED).map(|defect| defect.number.to_string()).collect();
    if found.len() > NUMBERS_LISTED {
        numbers.push("…".to_owned());
    }
    ClassCountView {
        class: class.as_str(),
        defects: graded(Grade::Defect),
        doubtful: graded(Grade::Doubtful),
        numbers: numbers.join(", "),
    }
}

/// Findings first, then differences, as `cards` are.
fn finding_views<'a>(report: &Report, cards: &'a [CardView]) -> Vec<FindingView<'a>> {
    let place = |id: ArtifactId| report.artifacts.iter().position(|a| a.artifact_id == id);
    let several = report.artifacts.len() > 1;
    let finding = |(mark, card): (Mark, &'a CardView)| {
        let index = place(mark.artifact_id);
        let golden = index.and_then(|index| report.artifacts[index].golden.as_ref());
        FindingView {
            number: mark.label,
            name: mark.name,
            grade: mark.grade,
            picture: match index {
                Some(index) if several => format!("picture {}, ", index + 1),
                Some(_) | None => String::new(),
            },
            bounds: words::format_box(mark.bounds),
            on_board: mark.box_mm.map(words::format_box_mm),
            rule: mark.consequence,
            golden: golden.map_or_else(String::new, |golden| format!("rev. {}", golden.revision)),
            card,
        }
    };
    marks_with_cards(report).into_iter().zip(cards).map(finding).collect()
}

fn event_views(report: &Report, text: &Typesetter<'_>) -> Vec<EventView> {
    let entries = report.timeline.iter().take(MAX_EVENTS);
    let event = entries.map(|entry| EventView {
        sequence: entry.sequence,
        position: entry.position,
        at: words::format_instant(entry.occurred_at),
        event: text.set(&entry.event),
        actor: text.set(&words::name_actor(&entry.actor, entry.actor_name.as_deref())),
    });
    event.collect()
}

/// Every digest the judgement rests on, each once.
fn digest_views(report: &Report, text: &Typesetter<'_>) -> Vec<DigestView> {
    let mut digests = Vec::new();
    let mut goldens = BTreeMap::new();
    let mut models: Vec<(String, String, Sha256)> = Vec::new();
    for (artifact, number) in report.artifacts.iter().take(MAX_PICTURES).zip(1..) {
        let number: usize = number;
        let sha256 = artifact.picture.as_ref().map(|picture| picture.sha256.to_string());
        digests.push(DigestView {
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
    digests.extend(goldens.into_iter().map(|((revision, id), sha256)| DigestView {
        what: format!("Golden sample, revision {revision}"),
        id: id.to_string(),
        sha256: sha256.to_string(),
    }));
    digests.extend(models.into_iter().map(|(name, version, sha256)| DigestView {
        what: "Model".to_owned(),
        id: format!("{} {}", text.set(&name), text.set(&version)),
        sha256: sha256.to_string(),
    }));
    digests
}
