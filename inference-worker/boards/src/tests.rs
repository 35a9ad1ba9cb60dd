//! The generator: the same seed, the same boards; labels lie on real differences.

use std::path::Path;

use domain::Sha256;

use super::*;

/// Digests that must never change: whoever changes the generator changes its version of the truth
/// knowingly.
const GOLDEN_DIGEST: &str = "4b31ba5c4a5af120782c935de8b60a5999cb32bb09b0f7a8f7b62a6f4e1a45eb";
const UNIT_DIGEST: &str = "7d057ab8096bd2890ae991ea0cb2752b8407a045df6d478e1a124c802f179209";

#[test]
fn a_seed_gives_the_same_pixels_for_ever() {
    let design = Design::new(42, 640);
    let (test, _) = design.print_unit(7, &BoardOptions::default());
    let digest = |picture: &GrayImage| Sha256::digest_of(picture.as_raw()).to_string();
    assert_eq!(digest(&design.golden_sample()), GOLDEN_DIGEST);
    assert_eq!(digest(&test), UNIT_DIGEST);
}

#[test]
fn seeds_units_and_designs_differ_from_each_other() {
    let options = BoardOptions::default();
    let design = Design::new(1, 320);
    assert_ne!(design.golden_sample(), Design::new(2, 320).golden_sample());
    assert_ne!(design.print_unit(1, &options).0, design.print_unit(2, &options).0);
    assert_ne!(generate_board(1, 0, &options).test, generate_board(2, 0, &options).test);
}

#[test]
fn boards_of_one_design_share_its_golden_sample() {
    let options = BoardOptions { units_per_design: 3, ..BoardOptions::default() };
    let goldens: Vec<GrayImage> = (0..6).map(|i| generate_board(5, i, &options).golden).collect();
    assert!(goldens[0] == goldens[1] && goldens[1] == goldens[2]);
    assert!(goldens[2] != goldens[3] && goldens[3] == goldens[5]);
}

#[test]
fn every_label_lies_in_the_picture_and_holds_a_real_difference() {
    let options = BoardOptions { max_shift: 0, ..BoardOptions::default() };
    for index in 0..20 {
        let board = generate_board(11, index, &options);
        for (class, bounds) in &board.defects {
            assert!(bounds.x + bounds.width <= 640 && bounds.y + bounds.height <= 640);
            let differing = (bounds.y..bounds.y + bounds.height)
                .flat_map(|y| (bounds.x..bounds.x + bounds.width).map(move |x| (x, y)))
                .filter(|&(x, y)| {
                    let dark = |picture: &GrayImage| picture.get_pixel(x, y).0[0] < 128;
                    dark(&board.test) != dark(&board.golden)
                })
                .count();
            assert!(differing >= 12, "board {index}: {class} at {bounds:?}: {differing} pixels");
        }
    }
}

#[test]
fn every_class_occurs_and_boards_hold_the_asked_number_of_flaws() {
    let options = BoardOptions { min_defects: 4, max_defects: 8, ..BoardOptions::default() };
    let mut classes = std::collections::BTreeSet::new();
    let mut labels = 0;
    for index in 0..20 {
        let defects = generate_board(12, index, &options).defects;
        assert!(defects.len() <= 8);
        labels += defects.len();
        classes.extend(defects.into_iter().map(|(class, _)| class));
    }
    assert_eq!(classes.len(), 6);
    assert!(labels >= 80, "{labels} labels on 20 boards");
}

#[test]
fn clean_boards_have_no_labels() {
    let options = BoardOptions { clean_per_cent: 100, ..BoardOptions::default() };
    assert!((0..5).all(|index| generate_board(13, index, &options).defects.is_empty()));
}

#[test]
fn a_generated_folder_reads_back_as_a_manifest_of_its_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = BoardOptions { size: 256, units_per_design: 2, ..BoardOptions::default() };
    let summary = write_boards(4, 9, &options, folder.path()).expect("written");
    assert_eq!(summary.boards, 4);
    let bytes = std::fs::read(&summary.manifest).expect("a manifest");
    let manifest: Manifest = serde_json::from_slice(&bytes).expect("its layout");
    assert_eq!(manifest.items.len(), 4);
    assert_eq!(manifest.items[0].template.file, Path::new("images/part00000_temp.png"));
    assert_eq!(manifest.items[1].group, manifest.items[0].group);
    for item in &manifest.items {
        for file in [&item.test, &item.template] {
            let bytes = std::fs::read(folder.path().join(&file.file)).expect("a file");
            assert_eq!(Sha256::digest_of(&bytes), file.sha256);
            assert_eq!(bytes.len() as u64, file.bytes);
        }
    }
    let labels: usize = manifest.items.iter().map(|item| item.boxes.len()).sum();
    assert_eq!(labels as u64, summary.defects);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let result = write_boards(1, 1, &BoardOptions::default(), file.path());
    assert!(matches!(result, Err(BoardsError::Write { .. })));
}

#[test]
fn a_repaired_board_has_no_flaw_and_the_golden_samples_pixels_where_one_was() {
    let board = generate_board(14, 0, &BoardOptions::default());
    let boxes: Vec<PixelBox> = board.defects.iter().map(|&(_, bounds)| bounds).collect();
    assert!(!boxes.is_empty());
    let repaired = board.clone().into_repaired();
    assert!(repaired.defects.is_empty() && repaired.golden == board.golden);
    for (x, y, pixel) in repaired.test.enumerate_pixels() {
        let within =
            |b: &PixelBox| (b.x..b.x + b.width).contains(&x) && (b.y..b.y + b.height).contains(&y);
        let from = if boxes.iter().any(within) { &board.golden } else { &board.test };
        assert_eq!(pixel, from.get_pixel(x, y), "at {x}, {y}");
    }
}

#[test]
fn a_sequence_gives_the_boards_that_are_generated_one_by_one() {
    let options = BoardOptions { size: 256, units_per_design: 2, ..BoardOptions::default() };
    for (index, board) in (0..5).zip(board_sequence(15, options)) {
        let single = generate_board(15, index, &options);
        assert!(board.golden == single.golden && board.test == single.test);
        assert_eq!(board.defects, single.defects);
    }
}
