//! Panels that are too large to be decoded as a whole, from bytes to findings; and what waits for memory.

use std::io::Cursor;
use std::sync::Arc;

use boards::Design;
use bytes::Bytes;
use domain::{NotComparable, Sha256};
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
    let found = comparer.compare(&shipped, stored(&test), golden.clone()).await.unwrap();
    let over_it = |defect: &&Defect| {
        let b = defect.bounds;
        (b.x..b.x + b.width).contains(&(left + 8)) && (b.y..b.y + b.height).contains(&(top + 8))
    };
    assert_eq!(found.defects.iter().filter(over_it).count(), 1, "{:?}", found.defects);

    for Luma([level]) in test.pixels_mut() {
        *level = 60 + *level / 2;
    }
    let refused = comparer.compare(&shipped, stored(&test), golden).await.unwrap_err();
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
    let comparing = comparer.compare(&shipped, stored(&board), stored(&board));
    tokio::pin!(comparing);
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut comparing).await;
    assert!(waited.is_err(), "others take all of it");
    drop(others);
    assert_eq!(comparing.await.unwrap().defects, []);
    let back = comparer.memory.reserve([MAX_PIXELS; 2]);
    tokio::time::timeout(Duration::from_secs(10), back).await.expect("it was given back");
}

#[test]
fn golden_samples_are_kept_by_number_and_by_pixels() {
    let many = |pixels| count_fitting(std::iter::repeat_n(pixels, 100));
    assert_eq!([many(400_000), many(6_000_000), many(64_000_000), many(u64::MAX)], [16, 8, 1, 1]);
    assert_eq!(many(20_000_000), 2);
}
