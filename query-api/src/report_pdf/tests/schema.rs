//! `schemas/report.v5.schema.json` is exactly what serde writes: every sample is valid, and no
//! field can be left out of one or added to one unnoticed.

mod validator;

use domain::report::{Outcome, Report, ReportDefect, ReportDifference};
use domain::{
    ComparisonMethod, DefectClass, DifferenceKind, FiredRule, InspectedArea, Judgement, MediaType,
    NotComparable, PixelBox, Recipe, ViewName,
};
use serde_json::{Value, json};

use super::super::report_json;
use super::sample::{pass, report};
use validator::{Schema, problem};

fn schema() -> Schema {
    let text = include_str!("../../../../schemas/report.v5.schema.json");
    Schema(serde_json::from_str(text).unwrap())
}

fn json_of(report: &Report) -> Value {
    serde_json::from_slice(&report_json(report).unwrap()).unwrap()
}

/// A report in which every variant of every enumeration occurs.
fn everything() -> Report {
    let mut report = report();
    report.recipe = recipe_of_two_views();
    let mut rules = vec![FiredRule::MissingView, FiredRule::DuplicateView, FiredRule::NothingFound];
    rules.push(FiredRule::UnknownView);
    rules.push(FiredRule::UnexplainedDifference { count: 1 });
    rules.push(FiredRule::NotCovered { pieces: 1 });
    for kind in DifferenceKind::ALL {
        report.differences.push(ReportDifference { kind, ..report.differences[0].clone() });
    }
    let mut old = report.artifacts[0].clone();
    if let Outcome::Compared { coverage, detection_limit, .. } = &mut old.outcome {
        (*coverage, *detection_limit) = (None, None);
    }
    (old.pixels_per_millimetre, old.identical_to_golden_sample) = (None, Some(true));
    report.artifacts.push(old);
    report.defects.push(ReportDefect { box_mm: None, ..report.defects[0].clone() });
    report.differences.push(ReportDifference { box_mm: None, ..report.differences[0].clone() });
    let mut photograph = report.artifacts[0].clone();
    if let Outcome::Compared { coverage: Some(coverage), .. } = &mut photograph.outcome {
        *coverage = coverage.clone().with_method(ComparisonMethod::Levels);
    }
    report.artifacts.push(photograph);
    for class in DefectClass::ALL {
        rules.push(FiredRule::Defect { class, count: 1 });
        rules.push(FiredRule::DoubtfulFinding { class, count: 1 });
        let mut defect = report.defects[0].clone();
        defect.class = class;
        report.defects.push(defect);
    }
    for reason in NotComparable::ALL {
        rules.push(FiredRule::NotCompared { reason });
        let mut artifact = report.artifacts[1].clone();
        artifact.outcome = Outcome::NotComparable { reason, detail: String::new() };
        (artifact.golden, artifact.identical_to_golden_sample) = (None, None);
        if let Some(picture) = &mut artifact.picture {
            picture.media_type = MediaType::Jpeg;
        }
        report.artifacts.push(artifact);
    }
    report.rules = rules;
    report
}

/// A recipe that says everything a recipe may.
fn recipe_of_two_views() -> Recipe {
    let square = |x| PixelBox { x, y: 0, width: 8, height: 8 };
    let area = InspectedArea::new(Some(square(0)), vec![square(1)], vec![square(2)]).unwrap();
    let views = ["top", "bottom"].map(|name| ViewName::new(name).unwrap());
    Recipe::factory(3).with_area(area).with_views(views.to_vec()).unwrap()
}

#[test]
fn every_report_fits_the_schema() {
    let schema = schema();
    let mut reports = vec![report(), pass(), everything()];
    reports.push(Report { judgement: Judgement::Review, ..pass() });
    for report in reports {
        assert_eq!(problem(&schema, &json_of(&report)), None);
    }
}

/// The pointer of every object in `value`.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            fields.iter().for_each(|(name, field)| objects(field, &format!("{at}/{name}"), found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| objects(item, &format!("{at}/{index}"), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Nobody is called anything in events from before it was written down.
const MAY_BE_ABSENT: [&str; 1] = ["actor_name"];

#[test]
fn no_field_can_be_added_left_out_or_change_its_type() {
    let (schema, sample) = (schema(), json_of(&everything()));
    let mut places = Vec::new();
    objects(&sample, "", &mut places);
    let refused = |value: &Value, change: &str| {
        assert!(problem(&schema, value).is_some(), "{change} passes the schema");
    };
    for place in places {
        let fields: Vec<String> =
            sample.pointer(&place).unwrap().as_object().unwrap().keys().cloned().collect();
        let mut added = sample.clone();
        added.pointer_mut(&place).unwrap()["unknown"] = json!(1);
        refused(&added, &format!("{place}/unknown"));
        for field in fields {
            let mut changed = sample.clone();
            let object = changed.pointer_mut(&place).unwrap().as_object_mut().unwrap();
            object[&field] = json!({});
            refused(&changed, &format!("{place}/{field} as an empty object"));
            changed.pointer_mut(&place).unwrap().as_object_mut().unwrap().remove(&field);
            if !MAY_BE_ABSENT.contains(&field.as_str()) {
                refused(&changed, &format!("{place} without {field}"));
            }
        }
    }
}

#[test]
fn values_out_of_range_are_refused() {
    let (schema, sample) = (schema(), json_of(&report()));
    let changes = [
        ("/defects/0/confidence", json!(1.01)),
        ("/defects/0/number", json!(0)),
        ("/defects/0/class", json!("Short")),
        ("/lot", json!("")),
        ("/lot", json!("x".repeat(65))),
        ("/report_id", json!("not-an-id")),
        ("/judged_at", json!("2026-03-01T08:30:00+01:00")),
        ("/artifacts/0/picture/sha256", json!("ab")),
        ("/artifacts/0/picture/width", json!(1.5)),
        ("/golden_sample_revision", json!(0)),
        ("/schema_version", json!(4)),
        ("/artifacts/0/pixels_per_millimetre", json!(0)),
        ("/artifacts/0/identical_to_golden_sample", json!("no")),
        ("/defects/0/box_mm/x", json!(-0.001)),
        ("/recipe/bend_max_px", json!(10.5)),
        ("/differences/0/strength", json!(0.5)),
        ("/differences/0/kind", json!("joint")),
        ("/artifacts/0/outcome/coverage/compared_pixels", json!(-1)),
        ("/artifacts/0/outcome/coverage/uncovered/0/width", json!(1.5)),
        ("/artifacts/0/outcome/coverage/method", json!("photograph")),
        ("/rules", json!([])),
    ];
    for (place, value) in changes {
        let mut changed = sample.clone();
        *changed.pointer_mut(place).unwrap() = value;
        assert!(problem(&schema, &changed).is_some(), "{place} passes the schema");
    }
}
