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
    Arc::new(Comparer::new(models, BatchingConfig::default(), PictureMemory::from_mib(64), metrics))
}

/// A picture at rest: what the log knows of it, and its file.
#[derive(Clone)]
struct StoredPicture {
    facts: LoggedPicture,
    file: Bytes,
}

/// What a picture is compared with.
#[derive(Clone)]
struct Golden {
    variants: Vec<StoredPicture>,
    accepted: Vec<StoredPicture>,
    area: InspectedArea,
    bend_max_px: f32,
}

impl Golden {
    fn facts(&self) -> GoldenFacts {
        let facts = |pictures: &[StoredPicture]| pictures.iter().map(|p| p.facts).collect();
        GoldenFacts {
            variants: facts(&self.variants),
            accepted: facts(&self.accepted),
            area: self.area.clone(),
            bend_max_px: self.bend_max_px,
        }
    }
}

fn only(golden: StoredPicture) -> Golden {
    let area = InspectedArea::default();
    Golden { variants: vec![golden], accepted: Vec::new(), area, bend_max_px: 10.0 }
}

fn stored(picture: &GrayImage) -> StoredPicture {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png).unwrap();
    let file = Bytes::from(file.into_inner());
    let pixels = u64::from(picture.width()) * u64::from(picture.height());
    let file_bytes = file.len() as u64;
    let facts = LoggedPicture { sha256: Sha256::digest_of(&file), pixels, file_bytes };
    StoredPicture { facts, file }
}

/// Compares by the shipped network, with files as whoever has room fetches them.
async fn compare(
    comparer: &Arc<Comparer>,
    test: &GrayImage,
    golden: &Golden,
) -> Result<ComparedPicture, ComparisonError> {
    let test = stored(test);
    let room = comparer.reserve_room(&test.facts, golden.facts()).await.unwrap();
    let files = |pictures: &[StoredPicture]| match room.is_golden_ready() {
        true => Vec::new(),
        false => pictures.iter().map(|picture| picture.file.clone()).collect(),
    };
    let (variants, accepted) = (files(&golden.variants), files(&golden.accepted));
    let files = ComparisonFiles { test: test.file, variants, accepted };
    comparer.compare(&comparer.shipped_model().clone(), room, files).await
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
    let found = compare(&comparer, &test, &only(golden.clone())).await.unwrap();
    let over_it = |defect: &&Defect| {
        let b = defect.bounds;
        (b.x..b.x + b.width).contains(&(left + 8)) && (b.y..b.y + b.height).contains(&(top + 8))
    };
    assert_eq!(found.defects.iter().filter(over_it).count(), 1, "{:?}", found.defects);

    for Luma([level]) in test.pixels_mut() {
        *level = 60 + *level / 2;
    }
    let refused = compare(&comparer, &test, &only(golden)).await.unwrap_err();
    let unreadable = NotComparable::Unreadable;
    assert!(
        matches!(&refused, ComparisonError::NotComparable { reason, detail }
            if *reason == unreadable && detail.contains("binarised grey PNG")),
        "{refused}"
    );
}

/// What is not for small pictures alone of 64 MiB.
const ALL_BYTES: u64 = 48 << 20;

#[tokio::test]
async fn a_picture_is_decoded_once_there_is_memory_for_it() {
    let comparer = comparer();
    let board = Design::new(9, 640).golden_sample();
    let golden = only(stored(&board));
    let others = comparer.memory.reserve(ALL_BYTES).await.unwrap();
    let comparing = compare(&comparer, &board, &golden);
    tokio::pin!(comparing);
    let waited = tokio::time::timeout(Duration::from_millis(200), &mut comparing).await;
    assert!(waited.is_err(), "others take all of it");
    drop(others);
    assert_eq!(comparing.await.unwrap().defects, []);
    assert!(comparer.memory.try_reserve(ALL_BYTES).is_none(), "the golden sample is kept ready");
    let back = comparer.memory.reserve(ALL_BYTES);
    let back = tokio::time::timeout(Duration::from_secs(10), back).await.expect("it gives way");
    assert!(back.is_ok() && comparer.golden_sets.find_ready(&golden.facts()).is_none());
}

#[tokio::test]
async fn a_set_that_is_ready_is_found_before_and_after_the_wait_and_takes_its_memory_once() {
    let comparer = comparer();
    let board = Design::new(9, 640).golden_sample();
    let (golden, test) = (only(stored(&board)), stored(&board).facts);
    compare(&comparer, &board, &golden).await.unwrap();
    let kept = golden.facts().kept_bytes();
    let room = comparer.reserve_room(&test, golden.facts()).await.unwrap();
    assert!(room.is_golden_ready());
    // With a set in use and others at work there is no room at once; what is ready is found all the same.
    let others = comparer.memory.try_reserve(ALL_BYTES - 2 * kept - (6 << 20)).unwrap();
    let waiting = comparer.reserve_room(&test, golden.facts());
    tokio::pin!(waiting);
    assert!(futures::poll!(&mut waiting).is_pending());
    drop(others);
    let second = waiting.await.unwrap();
    assert!(second.is_golden_ready());
    drop((room, second));
    assert!(comparer.memory.try_reserve(ALL_BYTES - kept - 1024).is_some());
}

#[tokio::test]
async fn a_pair_that_never_fits_is_refused_before_it_is_read() {
    let comparer = comparer();
    let huge = LoggedPicture { pixels: MAX_PIXELS, ..stored(&GrayImage::new(64, 64)).facts };
    let area = InspectedArea::default();
    let golden = GoldenFacts { variants: vec![huge], accepted: vec![], area, bend_max_px: 10.0 };
    let refused = comparer.reserve_room(&huge, golden.clone()).await.unwrap_err();
    assert!(refused.to_string().contains("CHIPQ_PICTURE_MEMORY_MIB"), "{refused}");
    // By default there is room for the largest photograph that is decoded, and for its golden sample.
    let (_, models) = (comparer, Arc::new(EmbeddedModels::load().unwrap()));
    let (memory, metrics) = (PictureMemory::default(), InferenceMetrics::for_process());
    let comparer = Comparer::new(models, BatchingConfig::default(), memory, metrics);
    assert!(comparer.reserve_room(&huge, golden).await.is_ok());
}

#[tokio::test]
async fn a_board_is_compared_with_the_variant_that_it_shows_and_only_where_it_is_inspected() {
    let comparer = comparer();
    let variants = [9, 10].map(|part| Design::new(part, 640).golden_sample());
    let mut test = variants[1].clone();
    for (x, y) in (300..330).flat_map(|x| (300..330).map(move |y| (x, y))) {
        let Luma([level]) = *test.get_pixel(x, y);
        test.put_pixel(x, y, Luma([255 - level]));
    }
    let golden = |variants: &[GrayImage], area| Golden {
        variants: variants.iter().map(stored).collect(),
        accepted: Vec::new(),
        area,
        bend_max_px: 10.0,
    };
    let both = golden(&variants, InspectedArea::default());
    let compared = compare(&comparer, &test, &both).await.unwrap();
    assert_eq!(compared.variant, 1);
    assert!(!compared.defects.is_empty() || !compared.differences.is_empty());
    let flaw = PixelBox { x: 290, y: 290, width: 50, height: 50 };
    let area = InspectedArea::new(None, vec![flaw], Vec::new()).unwrap();
    let masked = golden(&variants[1..], area.clone());
    let compared = compare(&comparer, &test, &masked).await.unwrap();
    assert_eq!((compared.defects, compared.differences), (Vec::new(), Vec::new()));
    assert_eq!(compared.coverage.excluded_pixels(), 2_500);

    // Boards of two parts do not lie over one another, so nobody knows where the area is on the second.
    let astray = compare(&comparer, &test, &golden(&variants, area)).await;
    let why = astray.unwrap_err().to_string();
    assert!(why.starts_with("variant 1 of the golden sample: "), "{why}");
    // What is ready is found again by all that it depends on.
    assert!(comparer.golden_sets.find_ready(&both.facts()).is_some());
    let other = Golden { bend_max_px: 3.0, ..both };
    assert!(comparer.golden_sets.find_ready(&other.facts()).is_none());
}

#[tokio::test]
async fn a_difference_that_accepted_boards_show_too_is_tolerated_and_a_gross_one_refused_by_name() {
    let comparer = comparer();
    let golden = Design::new(11, 640).golden_sample();
    let with_blot = |side: u32| {
        let mut board = golden.clone();
        for (x, y) in (300..300 + side).flat_map(|x| (300..300 + side).map(move |y| (x, y))) {
            let Luma([level]) = *board.get_pixel(x, y);
            board.put_pixel(x, y, Luma([255 - level]));
        }
        board
    };
    let accepting = |boards: &[GrayImage]| Golden {
        accepted: boards.iter().map(stored).collect(),
        ..only(stored(&golden))
    };
    let test = with_blot(12);
    let before = compare(&comparer, &test, &accepting(&[])).await.unwrap();
    let learnt = accepting(&[with_blot(12), with_blot(14), golden.clone()]);
    let after = compare(&comparer, &test, &learnt).await.unwrap();
    assert_eq!(after.defects, before.defects, "what the network names counts all the same");
    assert_eq!(after.differences, []);
    // Of three boards only one differs there: that is no tolerance but a flaw.
    let learnt = accepting(&[with_blot(12), golden.clone(), golden.clone()]);
    let after = compare(&comparer, &test, &learnt).await.unwrap();
    assert_eq!(after.differences, before.differences);
    let gross = accepting(&[golden.clone(), with_blot(100)]);
    let why = compare(&comparer, &test, &gross).await.unwrap_err().to_string();
    assert!(why.starts_with("accepted board 2: differs grossly in one place, 1"), "{why}");
}
