//! Variants and accepted boards of a manifest: what they make of an evaluation, and that a set is made ready
//! once.

use std::fs;

use boards::photographed::{PhotographOptions, PhotographedUnits, write_photographs};
use boards::{BoardOptions, Manifest, write_boards};

use super::super::{EvaluateOptions, Evaluation, evaluate};
use super::*;

/// A folder with a manifest, to be changed and evaluated.
struct Boards {
    folder: tempfile::TempDir,
    manifest: Manifest,
}

impl Boards {
    /// Boards of a design each.
    fn of_designs(count: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write_boards(count, 4, &BoardOptions::default(), folder.path()).expect("written");
        Self::read(folder)
    }

    /// Photographs of good pieces of one part, and of five others that are accepted.
    fn of_good_pieces() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let options = PhotographOptions {
            size: (640, 560),
            units: PhotographedUnits::OtherPieces,
            units_per_design: 2,
            accepted: 5,
            clean_per_cent: 100,
            ..PhotographOptions::default()
        };
        write_photographs(2, 5, &options, folder.path()).expect("written");
        Self::read(folder)
    }

    fn read(folder: tempfile::TempDir) -> Self {
        let manifest = fs::read(folder.path().join("manifest.json")).expect("a manifest");
        Self { folder, manifest: serde_json::from_slice(&manifest).expect("JSON") }
    }

    /// What comes of them, and the lines of predictions.
    fn evaluate(&self) -> Result<(Evaluation, Vec<String>), EvaluateError> {
        let (manifest, out) =
            (self.folder.path().join("changed.json"), self.folder.path().join("out"));
        let text = serde_json::to_string(&self.manifest).expect("JSON");
        fs::write(&manifest, text).expect("written");
        let done = evaluate(&manifest, &out, &EvaluateOptions::default())?;
        let lines = fs::read_to_string(&out).expect("lines");
        Ok((done, lines.lines().map(str::to_owned).collect()))
    }

    fn set_of(&self, sets: &LastSet, item: usize) -> Option<ReadySet> {
        sets.prepare(self.folder.path(), &self.manifest.items[item], false).expect("readable")
    }
}

#[test]
fn a_board_is_evaluated_against_the_variant_that_it_shows() {
    let mut boards = Boards::of_designs(2);
    let (_, alone) = boards.evaluate().expect("evaluated");
    let own = boards.manifest.items[0].template.clone();
    boards.manifest.items[0].template = boards.manifest.items[1].template.clone();
    let (done, _) = boards.evaluate().expect("evaluated");
    assert_eq!(done.not_comparable, 1, "it is another board");
    boards.manifest.items[0].variants = vec![own];
    let (done, lines) = boards.evaluate().expect("evaluated");
    assert_eq!(done.not_comparable, 0);
    assert_eq!(lines, alone, "as if the variant were the golden sample");
}

#[test]
fn what_good_boards_differ_in_is_less_of_a_difference_with_accepted_boards() {
    let mut boards = Boards::of_good_pieces();
    let (with, _) = boards.evaluate().expect("evaluated");
    boards.manifest.items.iter_mut().for_each(|item| item.accepted.clear());
    let (without, _) = boards.evaluate().expect("evaluated");
    assert_eq!((with.not_comparable, without.not_comparable), (0, 0));
    assert!(with.unexplained * 2 < without.unexplained, "{with:?}\n{without:?}");
}

#[test]
fn an_accepted_board_that_does_not_decode_is_said_of_its_items_and_a_missing_one_is_an_error() {
    let mut boards = Boards::of_designs(2);
    let damaged = boards.manifest.items[1].test.clone();
    fs::write(boards.folder.path().join(&damaged.file), b"no picture").expect("written");
    boards.manifest.items.truncate(1);
    boards.manifest.items[0].accepted = vec![damaged];
    let (done, lines) = boards.evaluate().expect("evaluated");
    assert_eq!(done.not_comparable, 1);
    assert!(lines[0].contains("\"not_comparable\":\"unreadable\""), "{}", lines[0]);
    boards.manifest.items[0].accepted[0].file = "images/nobody.png".into();
    let missing = boards.evaluate().map(|_| ());
    assert!(matches!(missing, Err(EvaluateError::Read { .. })), "{missing:?}");
}

#[test]
fn items_with_the_same_pictures_share_a_set_and_a_golden_sample_alone_needs_none() {
    let mut boards = Boards::of_designs(2);
    let sets = LastSet::default();
    assert!(boards.set_of(&sets, 0).is_none());
    let [one, other] = [0, 1].map(|item| boards.manifest.items[item].template.clone());
    boards.manifest.items[0].variants = vec![other.clone()];
    boards.manifest.items[1].variants = vec![one];
    let ready = |set: Option<ReadySet>| set.expect("a set").expect("comparable");
    let first = ready(boards.set_of(&sets, 0));
    assert!(Arc::ptr_eq(&first, &ready(boards.set_of(&sets, 0))));
    assert!(!Arc::ptr_eq(&first, &ready(boards.set_of(&sets, 1))), "the order matters");
}
