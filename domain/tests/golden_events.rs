//! Every event ever stored stays readable: one golden file per name and version in `schemas/events`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "golden_events/stored.rs"]
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::{
    AccessAttempts, AccessControl, Aggregate, ComparisonMethod, GoldenPurpose, GoldenSampleUse,
    Inspection, InspectionEvent, ModelRoute, Part, PartEvent, PictureRetention, PixelScale,
    ProjectionRepair, Recipe,
};
use proptest::prelude::*;
use serde_json::Value;

use stored::{AGGREGATES, RULES, Stored, current_versions, rule};

/// Fields that may be absent.
const OPTIONAL: [&str; 16] = [
    "golden_sample_days",
    "pass_days",
    "review_days",
    "fail_days",
    "void_days",
    "address",
    "golden",
    "display_name",
    "from",
    "comparison",
    "coverage",
    "golden_sample_revision",
    "view",
    "pixels_per_millimetre",
    "subject",
    "token_id",
];

/// Of these also the reason may be absent.
const PART_SAMPLES: [&str; 2] = ["GoldenSampleReserved", "GoldenSampleRegistered"];

/// The golden payloads by (name, version), as the file names say.
fn golden_files() -> BTreeMap<(String, String), Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/events");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let golden = files.filter(|path| path.extension().is_some_and(|ext| ext == "json"));
    golden
        .map(|path| {
            let stem = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let (name, version) = stem.split_once(".v").expect("<event_type>.v<version>.json");
            let text = std::fs::read_to_string(&path).unwrap();
            let payload = serde_json::from_str(&text).expect("a golden file is JSON");
            ((name.to_owned(), version.to_owned()), payload)
        })
        .collect()
}

fn decoded() -> impl Iterator<Item = Stored> {
    golden_files().into_iter().map(|((name, version), payload)| {
        Stored::decode(&name, &version, &payload)
            .unwrap_or_else(|why| panic!("{name}.v{version}: {why}"))
    })
}

fn inspection_events() -> Vec<InspectionEvent> {
    let event = |stored| if let Stored::Inspection(event) = stored { Some(event) } else { None };
    decoded().filter_map(event).collect()
}

fn part_events() -> Vec<PartEvent> {
    let event = |stored| if let Stored::Part(event) = stored { Some(event) } else { None };
    decoded().filter_map(event).collect()
}

/// The value as it is read back from its text, as the log does: serde_json may read a long fraction one
/// digit off, which no 32-bit number notices.
fn through_text(value: &Value) -> Value {
    serde_json::from_str(&value.to_string()).unwrap()
}

#[test]
fn every_golden_file_decodes_and_is_stored_again_as_the_same_value() {
    for ((name, version), payload) in golden_files() {
        let event = Stored::decode(&name, &version, &payload)
            .unwrap_or_else(|why| panic!("{name}.v{version}.json does not decode: {why}"));
        let (event_type, event_version, variant, encoded) = event.encode();
        assert_eq!(event_type, name, "the file's name");
        assert_eq!(variant, name, "the variant");
        if event_version == version {
            assert_eq!(through_text(&encoded), payload, "{name}.v{version}.json");
        }
        assert_eq!(encoded["type"], *name, "the tag within the payload");
    }
}

#[test]
fn every_event_has_a_golden_file_of_the_version_that_is_written_now() {
    let events: BTreeSet<_> = AGGREGATES.concat().into_iter().collect();
    assert_eq!(events.len(), AGGREGATES.concat().len(), "names are unique");
    let written_now: BTreeSet<_> = decoded().map(|event| event.encode().2).collect();
    assert_eq!(written_now, events, "schemas/events has one file per event");
    assert_eq!(
        current_versions().into_keys().collect::<BTreeSet<_>>(),
        events,
        "Aggregate::EVENTS"
    );
}

#[test]
fn every_version_that_there_was_has_a_golden_file_and_no_other_has() {
    let versions = current_versions().into_iter().flat_map(|(name, current)| {
        (1..=current).map(move |version| (name.to_owned(), version.to_string()))
    });
    assert_eq!(golden_files().into_keys().collect::<BTreeSet<_>>(), versions.collect());
}

#[test]
fn the_version_of_a_judgement_that_is_written_now_holds_every_rule_there_is() {
    let golden = golden_files();
    let name = InspectionEvent::INSPECTION_JUDGED;
    let version = current_versions()[name].to_string();
    let payload = &golden[&(name.to_owned(), version.clone())];
    let Stored::Inspection(InspectionEvent::InspectionJudged { rules, .. }) =
        Stored::decode(name, &version, payload).unwrap()
    else {
        panic!("{name} is a judgement");
    };
    let held: BTreeSet<_> = rules.iter().map(rule).collect();
    let every: BTreeSet<_> = RULES.iter().copied().collect();
    assert_eq!(held, every, "a rule more is a new version: see schemas/events/README.md");
}

/// The recipe of the oldest events had thresholds only: all of every picture was inspected.
#[test]
fn a_recipe_of_thresholds_only_inspects_the_whole_of_unnamed_views() {
    let (part, inspection) = (part_events(), inspection_events());
    let registered = part.iter().filter_map(|event| match event {
        PartEvent::PartRegistered { recipe, .. } => Some(recipe),
        _ => None,
    });
    assert!(
        registered.clone().count() == 2 && registered.clone().all(|r| *r == Recipe::factory(1))
    );
    let created = inspection.iter().filter_map(|event| match event {
        InspectionEvent::InspectionCreated { recipe, golden_sample_revision, .. } => {
            Some((recipe, *golden_sample_revision))
        }
        _ => None,
    });
    let [(oldest, None), (recent, Some(3))] = created.collect::<Vec<_>>()[..] else {
        panic!("one of version 1, one of version 2");
    };
    assert_eq!(oldest, &Recipe::factory(2));
    assert_eq!((recent.area.keep_outs().len(), recent.views.len()), (1, 2));
}

/// The oldest golden samples each took the place of the one before.
#[test]
fn a_golden_sample_without_a_use_is_a_replacement_of_unnamed_views() {
    let purposes = part_events().into_iter().filter_map(|event| match event {
        PartEvent::GoldenSampleReserved { purpose, .. }
        | PartEvent::GoldenSampleRegistered { purpose, .. } => Some(purpose),
        _ => None,
    });
    let old = GoldenPurpose { usage: GoldenSampleUse::Replacement, view: None, reason: None };
    assert_eq!(purposes.filter(|purpose| *purpose == old).count(), 2);
}

/// Before version 3 nobody stated a scale.
#[test]
fn a_picture_and_a_golden_sample_from_before_scales_have_none() {
    let pictures = inspection_events().into_iter().filter_map(|event| match event {
        InspectionEvent::ArtifactReserved { pixels_per_millimetre: scale, .. } => Some(scale),
        _ => None,
    });
    let stated = |number| Some(PixelScale::new(number).unwrap());
    assert_eq!(pictures.collect::<Vec<_>>(), [None, None, stated(48.5)]);
    let samples = part_events().into_iter().filter_map(|event| match event {
        PartEvent::GoldenSampleReserved { pixels_per_millimetre: scale, .. }
        | PartEvent::GoldenSampleRegistered { pixels_per_millimetre: scale, .. } => Some(scale),
        _ => None,
    });
    let of_each = [None, None, stated(48.25)];
    assert_eq!(samples.collect::<Vec<_>>(), [of_each, of_each].concat());
}

/// Before version 3 nobody measured a bend and nothing was left out.
#[test]
fn a_comparison_from_before_areas_excludes_nothing_and_knows_no_bend() {
    let seen = inspection_events().into_iter().filter_map(|event| match event {
        InspectionEvent::InferenceCompleted { registration, coverage, .. } => {
            let excluded = coverage.map(|c| (c.excluded_pixels(), c.excluded().len()));
            Some((registration.bend, excluded))
        }
        _ => None,
    });
    let recent = (Some(1.75), Some((9_600, 1)));
    let expected = [(None, None), (None, Some((0, 0))), recent, recent];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
}

/// Before version 4 nobody wrote down how a picture was compared.
#[test]
fn a_comparison_from_before_methods_has_none() {
    let methods = inspection_events().into_iter().filter_map(|event| match event {
        InspectionEvent::InferenceCompleted { coverage, .. } => {
            Some(coverage.and_then(|coverage| coverage.method()))
        }
        _ => None,
    });
    let expected = [None, None, None, Some(ComparisonMethod::Levels)];
    assert_eq!(methods.collect::<Vec<_>>(), expected);
}

#[test]
fn a_golden_event_of_a_version_that_is_not_known_is_refused() {
    let current = current_versions();
    for ((name, _), payload) in golden_files() {
        let newer = (current[name.as_str()] + 1).to_string();
        for version in [newer.as_str(), "0", "", "01"] {
            let refused = Stored::decode(&name, version, &payload).err();
            let why = refused.unwrap_or_else(|| panic!("{name} version {version:?} was read"));
            assert!(why.contains("knows its versions up to"), "{name}: {why}");
        }
    }
}

#[test]
fn a_name_of_another_aggregate_is_refused() {
    let payload = serde_json::json!({"type": "PartRegistered"});
    let refused = Inspection::upcast("PartRegistered", "1", &payload).unwrap_err();
    assert!(refused.to_string().contains("no event of inspection under this name"), "{refused}");
}

#[test]
fn a_payload_of_another_event_or_with_a_field_missing_does_not_decode() {
    let files = golden_files();
    for ((name, version), payload) in &files {
        let fields: Vec<_> = payload.as_object().unwrap().keys().cloned().collect();
        let may_lack = |field: &str| {
            OPTIONAL.contains(&field)
                || (field == "reason" && PART_SAMPLES.contains(&name.as_str()))
        };
        for field in fields.iter().filter(|field| !may_lack(field)) {
            let mut cut = payload.clone();
            cut.as_object_mut().unwrap().remove(field);
            assert!(
                Stored::decode(name, version, &cut).is_err(),
                "{name}.v{version} without {field}"
            );
        }
        let mut renamed = payload.clone();
        renamed["type"] = "SomethingElse".into();
        assert!(Stored::decode(name, version, &renamed).is_err(), "{name}.v{version} renamed");
    }
}

#[test]
fn the_aggregates_are_stored_under_their_names() {
    assert_eq!(<Inspection as Aggregate>::TYPE, "inspection");
    assert_eq!(<Part as Aggregate>::TYPE, "part");
    assert_eq!(<Inspection as cqrs_es::Aggregate>::TYPE, "inspection");
    assert_eq!(<Part as cqrs_es::Aggregate>::TYPE, "part");
    assert_eq!(<ModelRoute as Aggregate>::TYPE, "model-route");
    assert_eq!(<ModelRoute as cqrs_es::Aggregate>::TYPE, "model-route");
    assert_eq!(<ProjectionRepair as Aggregate>::TYPE, "projection");
    assert_eq!(<ProjectionRepair as cqrs_es::Aggregate>::TYPE, "projection");
    assert_eq!(<AccessControl as Aggregate>::TYPE, "access-control");
    assert_eq!(<AccessControl as cqrs_es::Aggregate>::TYPE, "access-control");
    assert_eq!(<PictureRetention as Aggregate>::TYPE, "picture-retention");
    assert_eq!(<PictureRetention as cqrs_es::Aggregate>::TYPE, "picture-retention");
    assert_eq!(<AccessAttempts as Aggregate>::TYPE, "access-attempts");
    assert_eq!(<AccessAttempts as cqrs_es::Aggregate>::TYPE, "access-attempts");
}

/// Some of the events, some of them several times, in any order.
fn any_order<E: Clone + std::fmt::Debug + 'static>(
    events: Vec<E>,
) -> impl Strategy<Value = Vec<E>> {
    proptest::collection::vec(proptest::sample::select(events), 0..24)
}

proptest! {
    #[test]
    fn an_inspection_takes_all_golden_events_in_any_order(
        events in any_order(inspection_events()),
    ) {
        let state = Inspection::replay(&events);
        let created = events.iter().any(|e| matches!(e, InspectionEvent::InspectionCreated { .. }));
        prop_assert_eq!(state.facts().is_some(), created);
    }

    #[test]
    fn a_part_takes_all_golden_events_in_any_order(events in any_order(part_events())) {
        let state = Part::replay(&events);
        let registered = events.iter().any(|e| matches!(e, PartEvent::PartRegistered { .. }));
        prop_assert_eq!(matches!(state, Part::Registered(_)), registered);
    }
}
