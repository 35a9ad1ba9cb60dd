//! A report is a fold of an inspection's events: what stands in it, and that it never changes.

use proptest::prelude::*;

use super::*;
use crate::inspection::Artifact;
use crate::test_support::*;
use crate::{Aggregate as _, ComparisonMethod, Inspection};

/// The events as the log would hand them out: a second apart, at every tenth position.
fn recorded(events: impl IntoIterator<Item = InspectionEvent>) -> Vec<Entry> {
    let entry = |(n, event)| Entry {
        sequence: n,
        position: 10 * n as i64,
        occurred_at: at(n as i64),
        actor: if n < 4 { "station-3" } else { "inference-worker" }.into(),
        actor_name: (n == 1).then(|| "Ada Lovelace".into()),
        event,
    };
    (1..).zip(events).map(entry).collect()
}

fn judged(judgement: Judgement, rules: Vec<FiredRule>) -> InspectionEvent {
    InspectionEvent::InspectionJudged { judgement, rules, recipe_revision: 1 }
}

fn scale(pixels_per_millimetre: f32) -> PixelScale {
    PixelScale::new(pixels_per_millimetre).unwrap()
}

/// Two pictures with findings of every grade, one that is not comparable, one that never came.
fn board() -> Vec<Entry> {
    let (open, spur) = (defect(DefectClass::Open, 0.9), defect(DefectClass::Spur, 0.3));
    let negligible = defect(DefectClass::Copper, 0.1);
    let rules = vec![FiredRule::Defect { class: DefectClass::Open, count: 2 }];
    recorded([
        created(),
        reserved_at_scale(1, scale(48.0)),
        reserved_as(2, Some("bottom")),
        reserved(3),
        reserved(4),
        uploaded(2, "bottom"),
        uploaded(1, "top"),
        uploaded(3, "torn"),
        requested([1, 2, 3, 4]),
        completed(2, "bottom", vec![open.clone(), spur, negligible.clone()]),
        failed(3, "torn", NotComparable::Unreadable),
        completed(1, "top", vec![open, negligible]),
        judged(Judgement::Fail, rules),
    ])
}

#[test]
fn the_report_names_the_board_the_judgement_and_when_it_fell() {
    let report = Report::from_entries(&board()).unwrap();
    assert_eq!(report.schema_version, 5);
    assert_eq!(report.report_id, ReportId::for_inspection(inspection_id()));
    assert_eq!(report.inspection_id, inspection_id());
    assert_eq!((report.lot, report.part, report.station), (lot(), part(), station()));
    assert_eq!(report.judgement, Judgement::Fail);
    assert_eq!(report.rules, [FiredRule::Defect { class: DefectClass::Open, count: 2 }]);
    assert_eq!(report.recipe, Recipe::factory(1));
    assert_eq!((report.created_at, report.judged_at), (at(1), at(13)));
}

#[test]
fn the_report_says_which_golden_samples_the_inspection_is_pinned_to() {
    let mut entries = board();
    assert_eq!(Report::from_entries(&entries).unwrap().golden_sample_revision, None);
    if let InspectionEvent::InspectionCreated { golden_sample_revision, .. } = &mut entries[0].event
    {
        *golden_sample_revision = Some(7);
    }
    assert_eq!(Report::from_entries(&entries).unwrap().golden_sample_revision, Some(7));
}

#[test]
fn every_picture_stands_in_the_report_with_what_became_of_it() {
    let report = Report::from_entries(&board()).unwrap();
    let compared = |scale| Outcome::Compared {
        model: model(),
        registration: registration(),
        coverage: Some(whole_picture()),
        detection_limit: Some(ComparisonMethod::Copper.detection_limit(scale)),
        timing: timing(),
    };
    let unreadable =
        Outcome::NotComparable { reason: NotComparable::Unreadable, detail: "in words".into() };
    let line =
        |n, content: Option<&str>, golden: Option<GoldenReference>, outcome| ReportArtifact {
            artifact_id: artifact(n),
            view: (n == 2).then(|| view("bottom")),
            pixels_per_millimetre: (n == 1).then(|| scale(48.0)),
            picture: content.map(picture),
            identical_to_golden_sample: golden.is_some().then_some(false),
            golden,
            outcome,
        };
    assert_eq!(
        report.artifacts,
        [
            line(1, Some("top"), Some(golden()), compared(Some(scale(48.0)))),
            line(2, Some("bottom"), Some(golden()), compared(None)),
            line(3, Some("torn"), Some(golden()), unreadable),
            line(4, None, None, Outcome::Missing),
        ]
    );
}

#[test]
fn what_is_found_is_measured_where_the_scale_of_its_picture_is_known() {
    let mut board = board();
    for entry in &mut board {
        if let InspectionEvent::InferenceCompleted { differences, .. } = &mut entry.event {
            *differences = vec![difference(DifferenceKind::Parted, 1.5)];
        }
    }
    let report = Report::from_entries(&board).unwrap();
    let measured: Vec<_> = report.defects.iter().map(|defect| defect.box_mm).collect();
    let on_board = MillimetreBox { x: 0.208, y: 0.417, width: 0.625, height: 0.833 };
    assert_eq!(measured, [Some(on_board), None, None]);
    let measured: Vec<_> = report.differences.iter().map(|difference| difference.box_mm).collect();
    let on_board = MillimetreBox { x: 1.042, y: 1.25, width: 0.146, height: 0.167 };
    assert_eq!(measured, [Some(on_board), None]);
}

#[test]
fn a_picture_that_is_its_golden_sample_byte_for_byte_is_told_and_judged_like_any_other() {
    let board = recorded([
        created(),
        reserved(1),
        reserved(2),
        reserved(3),
        reserved(4),
        uploaded(1, "golden"),
        uploaded(2, "another"),
        uploaded(3, "no golden sample"),
        requested([1, 2, 3, 4]),
        completed(1, "golden", vec![]),
        completed(2, "another", vec![]),
        failed(3, "no golden sample", NotComparable::NoGoldenSample),
        judged(Judgement::Pass, vec![FiredRule::NothingFound]),
    ]);
    let report = Report::from_entries(&board).unwrap();
    let told: Vec<_> =
        report.artifacts.iter().map(|picture| picture.identical_to_golden_sample).collect();
    assert_eq!(told, [Some(true), Some(false), None, None]);
    assert_eq!(report.judgement, Judgement::Pass);
}

#[test]
fn findings_are_numbered_over_the_whole_board_by_picture_and_negligible_ones_are_left_out() {
    let report = Report::from_entries(&board()).unwrap();
    let lines: Vec<_> =
        report.defects.iter().map(|d| (d.number, d.artifact_id, d.class, d.grade)).collect();
    assert_eq!(
        lines,
        [
            (1, artifact(1), DefectClass::Open, Grade::Defect),
            (2, artifact(2), DefectClass::Open, Grade::Defect),
            (3, artifact(2), DefectClass::Spur, Grade::Doubtful),
        ]
    );
}

#[test]
fn unexplained_differences_are_numbered_by_themselves_and_every_picture_says_what_was_compared() {
    let [joined, parted] = [DifferenceKind::Joined, DifferenceKind::Parted];
    let mut board = board();
    for entry in &mut board {
        if let InspectionEvent::InferenceCompleted { artifact_id, differences, coverage, .. } =
            &mut entry.event
        {
            if *artifact_id == artifact(1) {
                (*differences, *coverage) = (vec![difference(parted, 1.5)], None);
            } else {
                *differences = vec![difference(joined, 9.0), difference(parted, 2.0)];
                *coverage = Some(all_but_a_strip());
            }
        }
    }
    let report = Report::from_entries(&board).unwrap();
    let line = |d: &ReportDifference| (d.number, d.artifact_id, d.kind, d.strength);
    let lines: Vec<_> = report.differences.iter().map(line).collect();
    let (first, second) = (artifact(1), artifact(2));
    assert_eq!(
        lines,
        [(1, first, parted, 1.5), (2, second, joined, 9.0), (3, second, parted, 2.0)]
    );
    let covered = |artifact: &ReportArtifact| match &artifact.outcome {
        Outcome::Compared { coverage, .. } => coverage.clone(),
        Outcome::NotComparable { .. } | Outcome::Missing => None,
    };
    let covered: Vec<_> = report.artifacts.iter().map(covered).collect();
    assert_eq!(covered, [None, Some(all_but_a_strip()), None, None]);
}

#[test]
fn pictures_stand_in_the_report_as_they_were_announced_whatever_their_ids_are_and_whoever_is_first_compared()
 {
    let found = |class| vec![defect(class, 0.9)];
    let cancelled = InspectionEvent::ArtifactReservationCancelled { artifact_id: artifact(9) };
    let board = recorded([
        created(),
        reserved(9),
        reserved(3),
        reserved(1),
        cancelled,
        reserved(2),
        uploaded(2, "last"),
        uploaded(1, "middle"),
        uploaded(3, "first"),
        requested([3, 1, 2]),
        completed(1, "middle", found(DefectClass::Spur)),
        completed(2, "last", found(DefectClass::Short)),
        completed(3, "first", found(DefectClass::Open)),
        judged(Judgement::Fail, Vec::new()),
    ]);
    let report = Report::from_entries(&board).unwrap();
    let pictures: Vec<_> = report.artifacts.iter().map(|picture| picture.artifact_id).collect();
    assert_eq!(pictures, [3, 1, 2].map(artifact));
    let defects: Vec<_> = report.defects.iter().map(|d| (d.number, d.artifact_id)).collect();
    assert_eq!(defects, [(1, artifact(3)), (2, artifact(1)), (3, artifact(2))]);
}

#[test]
fn the_timeline_has_every_event_in_order() {
    let report = Report::from_entries(&board()).unwrap();
    assert_eq!(report.timeline.len(), 13);
    let first = TimelineEntry {
        sequence: 1,
        position: 10,
        occurred_at: at(1),
        event: "InspectionCreated".into(),
        actor: "station-3".into(),
        actor_name: Some("Ada Lovelace".into()),
    };
    assert_eq!(report.timeline.first(), Some(&first));
    let last = report.timeline.last().unwrap();
    assert_eq!((last.event.as_str(), last.position), ("InspectionJudged", 130));
}

#[test]
fn an_inspection_that_is_not_judged_has_no_report() {
    assert_eq!(Report::from_entries(&[]), None);
    let board = board();
    for unfinished in 0..board.len() {
        assert_eq!(Report::from_entries(&board[..unfinished]), None);
    }
    let voided = InspectionEvent::InspectionVoided { reason: "wrong lot".into() };
    assert_eq!(Report::from_entries(&recorded([created(), reserved(1), voided])), None);
    assert_eq!(Report::from_entries(&recorded([judged(Judgement::Pass, vec![])])), None);
}

#[test]
fn a_picture_whose_announcement_was_taken_back_does_not_stand_in_the_report() {
    let cancelled = |n| InspectionEvent::ArtifactReservationCancelled { artifact_id: artifact(n) };
    let mut events: Vec<_> = board().into_iter().map(|entry| entry.event).collect();
    let pictures = |events: &[InspectionEvent]| {
        let report = Report::from_entries(&recorded(events.to_vec())).unwrap();
        report.artifacts.iter().map(|picture| picture.artifact_id).collect::<Vec<_>>()
    };
    assert_eq!(pictures(&events), [1, 2, 3, 4].map(artifact));
    // Before the request: one that never came, and one that had come, which cannot be.
    events.splice(8..8, [cancelled(4), cancelled(1)]);
    assert_eq!(pictures(&events), [1, 2, 3].map(artifact));
}

#[test]
fn the_first_judgement_stands_as_it_does_in_the_inspection() {
    let mut events: Vec<_> = board().into_iter().map(|entry| entry.event).collect();
    let before = Report::from_entries(&recorded(events.clone())).unwrap();
    events.extend([judged(Judgement::Pass, vec![]), completed(4, "late", vec![]), created()]);
    let after = Report::from_entries(&recorded(events)).unwrap();
    assert_eq!(after.timeline.len(), before.timeline.len() + 3);
    assert_eq!(Report { timeline: before.timeline.clone(), ..after }, before);
}

#[test]
fn the_same_events_give_the_same_bytes() {
    let bytes = || serde_json::to_vec(&Report::from_entries(&board()).unwrap()).unwrap();
    assert_eq!(bytes(), bytes());
}

#[test]
fn events_that_went_through_the_log_give_the_same_bytes() {
    let bytes =
        |board: &[Entry]| serde_json::to_vec(&Report::from_entries(board).unwrap()).unwrap();
    let mut stored = board();
    for entry in &mut stored {
        let payload = serde_json::to_value(&entry.event).unwrap();
        entry.event = serde_json::from_value(payload).unwrap();
    }
    assert_eq!(bytes(&stored), bytes(&board()));
}

#[test]
fn a_report_reads_back_from_its_json() {
    let report = Report::from_entries(&board()).unwrap();
    let json = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["artifacts"][3]["outcome"]["kind"], "missing");
    assert_eq!(json["artifacts"][2]["outcome"]["reason"], "unreadable");
    assert_eq!(json["defects"][0]["box"]["width"], 30);
    assert_eq!(json["defects"][0]["grade"], "defect");
    assert_eq!(json["rules"][0]["rule"], "defect");
}

proptest! {
    #[test]
    fn in_any_order_of_events_the_report_says_what_the_inspection_says(
        events in Just(board()).prop_shuffle(),
    ) {
        let state = Inspection::replay(events.iter().map(|entry| &entry.event));
        let report = Report::from_entries(&events);
        let Inspection::Judged { facts, judgement, rules } = state else {
            prop_assert_eq!(report, None);
            return Ok(());
        };
        let report = report.unwrap();
        prop_assert_eq!((report.judgement, report.rules), (judgement, rules));
        let pictures: Vec<_> = facts.artifacts.iter().map(|(id, a)| (*id, a.picture())).collect();
        let reported: Vec<_> =
            report.artifacts.iter().map(|a| (a.artifact_id, a.picture.as_ref())).collect();
        prop_assert_eq!(reported, pictures);
        let found = facts.artifacts.values().flat_map(|artifact| match artifact {
            Artifact::Compared { defects, .. } => &defects[..],
            Artifact::Reserved { .. } | Artifact::Uploaded(_) => &[],
            Artifact::NotComparable { .. } => &[],
        });
        let shown = found.filter(|d| facts.recipe.grade(d.confidence) > Grade::Negligible).count();
        prop_assert_eq!(report.defects.len(), shown);
        let numbers: Vec<_> = report.defects.iter().map(|defect| defect.number).collect();
        prop_assert_eq!(numbers, (1..=shown as u32).collect::<Vec<_>>());
    }
}
