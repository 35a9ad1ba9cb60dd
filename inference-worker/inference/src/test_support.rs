//! Crops that tests can tell apart by a number.

use std::collections::HashMap;
use std::sync::LazyLock;

use boards::{BoardOptions, generate_board};
use vision::{CropBatch, PreparedGolden, prepare};

/// Boards whose crops are taken; the numbers below are far fewer than those.
const BOARDS: u64 = 24;

/// A crop for every number but 0, all different; 0 is the blank crop.
static CROPS: LazyLock<HashMap<i8, CropBatch>> = LazyLock::new(|| {
    let options = BoardOptions::default();
    let of_board = |index| {
        let board = generate_board(31, index, &options);
        let golden = PreparedGolden::new(&board.golden).expect("a board");
        prepare(&board.test, &golden).map(|prepared| prepared.crops).unwrap_or_default()
    };
    let mut different: Vec<CropBatch> = Vec::new();
    for crops in (0..BOARDS).map(of_board) {
        for crop in (0..crops.len()).map(|at| crops.sub_batch(at..at + 1)) {
            if !different.contains(&crop) {
                different.push(crop);
            }
        }
    }
    (-3..0).chain(1..=64).zip(different).collect()
});

/// One crop per number, -3 to 64.
pub(crate) fn numbered_crops(numbers: &[i8]) -> CropBatch {
    let mut crops = CropBatch::default();
    for number in numbers {
        match CROPS.get(number) {
            Some(crop) => crops.extend(crop),
            None => crops.pad_to(crops.len() + 1),
        }
    }
    crops
}

/// The numbers of the crops of [`numbered_crops`]; blank ones are 0.
pub(crate) fn crop_numbers(crops: &CropBatch) -> Vec<i8> {
    let number = |crop: CropBatch| CROPS.iter().find(|(_, known)| **known == crop).map(|(n, _)| *n);
    (0..crops.len()).map(|at| number(crops.sub_batch(at..at + 1)).unwrap_or(0)).collect()
}
