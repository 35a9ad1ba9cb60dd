//! Panels that are too large to be decoded as a whole, from bytes to findings; and what waits for memory.

use std::io::Cursor;
use std::sync::Arc;

use boards::Design;
use bytes::Bytes;
use domain::{InspectedArea, NotComparable, PixelBox, Sha256};
use image::{GrayImage, ImageFormat, Luma};
use vision::MAX_PIXELS;

use super::*;
use crate::engine::EmbeddedModels;

const TILE: u32 = 4_080;
const TILES: u32 = 4;

fn comparer() -> Arc<Comparer> {
    let models = Arc::new(EmbeddedModels::load().unwrap());
    let metrics = InferenceMetrics::for_process();
    Arc::new(Comparer::new(models, BatchingConfig::default(), MemoryBudget::from_mib(1), metrics))
}

fn only(golden: StoredPicture) -> GoldenPictures {
    let area = InspectedArea::default();
    GoldenPictures { variants: vec![golden], accepted: Vec::new(), area, bend_max_px: 10.0 }
}

fn stored(picture: &GrayImage) -> StoredPicture {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).unwrap();
    let bytes = Bytes::from(file.into_inner());
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    StoredPicture { sha256: Sha256::digest_of(&bytes), pixels, bytes }
}

/// Units of one layout side by side, more pixels than are decoded at once.
fn panel() -> GrayImage {
    let board = Design::new(9, TILE).golden_sample();
    let panel = GrayImage::from_fn(TILE * TILES, TILE, |x, y| *board.get_pixel(x % TILE, y));
    assert!(u64::from(panel.width()) * u64::from(panel.height()) > MAX_PIXELS);
    panel
}

#[tokio::test]
async fn a_flaw_on_a_panel_that_is_too_large_to_decode_is_found_and_a_photograph_of_one_refused() {
    let comparer = comparer();
    let mut test = panel();
    let golden = stored(&test);
    // Where the panel is plain: copper that should not be there, or a hole.
    let (left, top) = (TILE * 3 + 2_000, 1_800);
    for (x, y) in (0..16).flat_map(|x| (0..16).map(move |y| (left + x, top + y))) {
        let Luma([level]) = *test.get_pixel(x, y);
        test.put_pixel(x, y, Luma([255 - level]));
    }
    let shipped = comparer.shipped_model().clone();
    let found = comparer.compare(&shipped, stored(&test), only(golden.clone())).await.unwrap();
    let over_it = |defect: &&Defect| {
        let b = defect.bounds;
        (b.x..b.x + b.width).contains(&(left + 8)) && (b.y..b.y + b.height).contains(&(top + 8))
    };
    assert_eq!(found.defects.iter().filter(over_it).count(), 1, "{:?}", found.defects);

    for Luma([level]) in test.pixels_mut() {
        *level = 60 + *level / 2;
    }
    let refused = comparer.compare(&shipped, stored(&test), only(golden)).await.unwrap_err();
    let unreadable = NotComparable::Unreadable;
    assert!(
        matches!(&refused, ComparisonError::NotComparable { reason, detail }
            if *reason == unreadable && detail.contains("binarised grey PNG")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_picture_is_decoded_once_there_is_memory_for_it() {
    let comparer = comparer();
    let board = Design::new(9, 640).golden_sample();
    let shipped = comparer.shipped_model().clone();
    let others = comparer.memory.reserve([MAX_PIXELS; 2]).await;
    let comparing = comparer.compare(&shipped, stored(&board), only(stored(&board)));
    tokio::pin!(comparing);
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut comparing).await;
    assert!(waited.is_err(), "others take all of it");
    drop(others);
    assert_eq!(comparing.await.unwrap().defects, []);
    let back = comparer.memory.reserve([MAX_PIXELS; 2]);
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("it was given back");
}

#[tokio::test]
async fn a_board_is_compared_with_the_variant_that_it_shows_and_only_where_it_is_inspected() {
    let comparer = comparer();
    let shipped = comparer.shipped_model().clone();
    let variants = [9, 10].map(|part| Design::new(part, 640).golden_sample());
    let mut test = variants[1].clone();
    for (x, y) in (300..330).flat_map(|x| (300..330).map(move |y| (x, y))) {
        let Luma([level]) = *test.get_pixel(x, y);
        test.put_pixel(x, y, Luma([255 - level]));
    }
    let golden = |variants: &[GrayImage], area| GoldenPictures {
        variants: variants.iter().map(stored).collect(),
        accepted: Vec::new(),
        area,
        bend_max_px: 10.0,
    };
    let both = golden(&variants, InspectedArea::default());
    let compared = comparer.compare(&shipped, stored(&test), both.clone()).await.unwrap();
    assert_eq!(compared.variant, 1);
    assert!(!compared.defects.is_empty() || !compared.differences.is_empty());
    let flaw = PixelBox { x: 290, y: 290, width: 50, height: 50 };
    let area = InspectedArea::new(None, vec![flaw], Vec::new()).unwrap();
    let masked = golden(&variants[1..], area.clone());
    let compared = comparer.compare(&shipped, stored(&test), masked).await.unwrap();
    assert_eq!((compared.defects, compared.differences), (Vec::new(), Vec::new()));
    assert_eq!(compared.coverage.excluded_pixels(), 2_500);

    // Boards of two parts do not lie over one another, so nobody knows where the area is on the second.
    let astray = comparer.compare(&shipped, stored(&test), golden(&variants, area)).await;
    let why = astray.unwrap_err().to_string();
    assert!(why.starts_with("variant 1 of the golden sample: "), "{why}");
    // What is ready is found again by all that it depends on.
    assert!(comparer.golden_sets.find_ready(&both).is_some());
    let other = GoldenPictures { bend_max_px: 3.0, ..both };
    assert!(comparer.golden_sets.find_ready(&other).is_none());
}

#[tokio::test]
async fn a_difference_that_accepted_boards_show_too_is_tolerated_and_a_gross_one_refused_by_name() {
    let comparer = comparer();
    let shipped = comparer.shipped_model().clone();
    let golden = Design::new(11, 640).golden_sample();
    let with_blot = |side: u32| {
        let mut board = golden.clone();
        for (x, y) in (300..300 + side).flat_map(|x| (300..300 + side).map(move |y| (x, y))) {
            let Luma([level]) = *board.get_pixel(x, y);
            board.put_pixel(x, y, Luma([255 - level]));
        }
        board
    };
    let accepting = |boards: &[GrayImage]| GoldenPictures {
        accepted: boards.iter().map(stored).collect(),
        ..only(stored(&golden))
    };
    let test = with_blot(12);
    let before = comparer.compare(&shipped, stored(&test), accepting(&[])).await.unwrap();
    let learnt = accepting(&[with_blot(12), with_blot(14), golden.clone()]);
    let after = comparer.compare(&shipped, stored(&test), learnt).await.unwrap();
    assert_eq!(after.defects, before.defects, "what the network names counts all the same");
    assert_eq!(after.differences, []);
    // Of three boards only one differs there: that is no tolerance but a flaw.
    let learnt = accepting(&[with_blot(12), golden.clone(), golden.clone()]);
    let after = comparer.compare(&shipped, stored(&test), learnt).await.unwrap();
    assert_eq!(after.differences, before.differences);
    let gross = accepting(&[golden.clone(), with_blot(100)]);
    let why = comparer.compare(&shipped, stored(&test), gross).await.unwrap_err().to_string();
    assert!(why.starts_with("accepted board 2: differs grossly in one place, 1"), "{why}");
}
