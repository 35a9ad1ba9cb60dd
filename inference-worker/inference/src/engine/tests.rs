//! The embedded engine on generated boards: found, not invented, the same in any batch.

use boards::{BoardOptions, Design, LabelledBox};
use domain::{Defect, DefectClass, PixelBox};
use vision::{PreparedGolden, PreparedPicture};

use super::*;

fn board(part: u64, unit: u64, clean: bool) -> (PreparedPicture, Vec<(DefectClass, PixelBox)>) {
    let design = Design::new(part, 640);
    let clean_per_cent = if clean { 100 } else { 0 };
    let options = BoardOptions { clean_per_cent, ..BoardOptions::default() };
    let golden = PreparedGolden::new(&design.golden_sample()).expect("a board");
    let (test, defects) = design.print_unit(unit, &options);
    (vision::prepare(&test, &golden).expect("comparable"), defects)
}

fn called(engine: &EmbeddedEngine, prepared: &PreparedPicture) -> Vec<Defect> {
    let outputs = engine.run(&prepared.crops).expect("answers");
    let mut defects = prepared.merge_answers(&outputs).expect("an answer per crop").defects;
    defects.retain(|defect| defect.confidence.get() >= 0.5);
    defects
}

#[test]
fn defects_of_generated_boards_are_found_and_named() {
    let engine = EmbeddedEngine::load().expect("the model");
    let (mut labels, mut found, mut named) = (0, 0, 0);
    for part in 0..20 {
        let (prepared, defects) = board(90_000 + part, 1, false);
        let calls = called(&engine, &prepared);
        for (class, bounds) in defects {
            labels += 1;
            let hit = calls.iter().find(|call| call.bounds.iou(&bounds) > 0.33);
            found += u32::from(hit.is_some());
            named += u32::from(hit.is_some_and(|hit| hit.class == class));
        }
    }
    assert!(labels > 100, "{labels} labels");
    assert!(found * 100 >= labels * 95, "{found} of {labels} found");
    assert!(named * 100 >= labels * 90, "{named} of {labels} named");
}

#[test]
fn a_hundred_clean_boards_get_no_call() {
    let engine = EmbeddedEngine::load().expect("the model");
    let is_called = |&part: &u64| !called(&engine, &board(91_000 + part, 1, true).0).is_empty();
    let boards: Vec<u64> = (0..100).filter(is_called).collect();
    assert!(boards.is_empty(), "false calls on clean boards {boards:?} of 100");
}

#[test]
fn crops_of_several_boards_in_one_batch_get_the_answers_they_get_alone() {
    let engine = EmbeddedEngine::load().expect("the model");
    let mut together = CropBatch::default();
    let mut alone = Vec::new();
    for part in 0..6 {
        let (prepared, _) = board(92_000 + part, 1, false);
        together.extend(&prepared.crops);
        for index in 0..prepared.crops.len() {
            let one = prepared.crops.sub_batch(index..index + 1);
            alone.extend(engine.run(&one).expect("an answer"));
        }
    }
    for count in [0, 1, 2, 3, 5, 17, 23, together.len()] {
        let answers = engine.run(&together.sub_batch(0..count)).expect("answers");
        assert_eq!(answers.len(), count);
        for (answer, single) in answers.iter().zip(&alone) {
            let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
            assert!(near(&answer.probabilities, &single.probabilities), "{answer:?} {single:?}");
            assert!(near(&answer.sides, &single.sides), "{answer:?} {single:?}");
        }
    }
}

#[test]
fn probabilities_sum_to_one() {
    let engine = EmbeddedEngine::load().expect("the model");
    let (prepared, _) = board(93_000, 1, false);
    for output in engine.run(&prepared.crops).expect("answers") {
        assert!((output.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    }
}

#[tokio::test]
async fn the_port_gives_what_the_engine_computes() {
    let engine = EmbeddedEngine::load().expect("the model");
    let (prepared, _) = board(93_001, 1, false);
    let direct = engine.run(&prepared.crops).expect("answers");
    let port: &dyn Engine = &engine;
    assert_eq!(port.infer(prepared.crops).await, Ok(direct));
    assert_eq!(port.model().name, "golden-compare");
}

#[test]
fn crops_go_into_the_smallest_batch_that_takes_them() {
    let any = BatchSizes::UpTo(32);
    assert_eq!([1, 7, 32, 33].map(|crops| any.smallest_fitting(crops)), [1, 7, 32, 32]);
    let some = BatchSizes::Only(vec![1, 4, 16]);
    assert_eq!([1, 2, 4, 5, 17].map(|crops| some.smallest_fitting(crops)), [1, 4, 4, 16, 16]);
    assert_eq!((any.largest_size(), some.largest_size()), (32, 16));
}

#[tokio::test]
async fn the_embedded_models_are_the_shipped_one_and_no_other() {
    let models = EmbeddedModels::load().expect("the model");
    let shipped = models.shipped_model().clone();
    assert_eq!(models.engine_for(&shipped).await.expect("the engine").model(), &shipped);
    let other = domain::inspection::ModelIdentity { version: "2".to_owned(), ..shipped };
    assert!(matches!(models.engine_for(&other).await, Err(EngineError::Model { .. })));
}

#[test]
fn real_boards_are_inspected_when_they_are_at_hand() {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/deeppcb/manifest.json");
    if !manifest.exists() {
        println!("skipped: {} is not there", manifest.display());
        return;
    }
    let folder = manifest.parent().expect("a file has a folder");
    let bytes = std::fs::read(&manifest).expect("a manifest");
    let manifest: boards::Manifest = serde_json::from_slice(&bytes).expect("its layout");
    let engine = EmbeddedEngine::load().expect("the model");
    let (mut labels, mut found) = (0, 0);
    for item in manifest.items.iter().filter(|item| item.split == "trainval").step_by(40) {
        let picture = |file: &std::path::Path| {
            vision::decode(&std::fs::read(folder.join(file)).expect("a file")).expect("a picture")
        };
        let golden = PreparedGolden::new(&picture(&item.template.file)).expect("a board");
        let prepared = vision::prepare(&picture(&item.test.file), &golden).expect("comparable");
        let calls = called(&engine, &prepared);
        labels += item.boxes.len();
        let hit =
            |label: &&LabelledBox| calls.iter().any(|call| call.bounds.iou(&label.bounds()) > 0.33);
        found += item.boxes.iter().filter(hit).count();
    }
    assert!(found * 100 >= labels * 85, "{found} of {labels} found");
}
