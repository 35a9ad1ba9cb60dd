//! What a recipe and several golden samples make of a comparison.

use domain::{
    Coverage, FiredRule, GoldenSampleUse, InspectedArea, InspectionEvent, InspectionId, Judgement,
    NotComparable, PixelBox, Recipe,
};
use image::GrayImage;

use crate::line::{Line, board, png};

/// Around a flaw, pixels: by how much a picture may lie beside its golden sample, and what a crop sees.
const MARGIN: u32 = 24;

fn nothing_found() -> (Judgement, Vec<FiredRule>) {
    (Judgement::Pass, vec![FiredRule::NothingFound])
}

/// The golden sample that the only picture was compared with, and how much of it was.
async fn compared(line: &Line, inspection: InspectionId) -> (u32, Coverage) {
    let completed = line.events(inspection).await.into_iter().find_map(|event| match event {
        InspectionEvent::InferenceCompleted { golden, coverage, .. } => {
            Some((golden.revision, coverage.unwrap()))
        }
        _ => None,
    });
    completed.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flaw_that_the_recipe_keeps_out_passes_and_what_was_left_out_is_said() {
    let line = Line::set_up().await;
    let bad = board(false);
    line.register_golden(&bad.golden).await;
    let worker = line.start_worker();
    let whole = line.inspect(png(&bad.test)).await;
    assert_eq!(line.judged(whole).await.0, Judgement::Fail);

    let around = |b: &PixelBox| PixelBox {
        x: b.x.saturating_sub(MARGIN),
        y: b.y.saturating_sub(MARGIN),
        width: b.width + 2 * MARGIN,
        height: b.height + 2 * MARGIN,
    };
    let keep_outs = bad.defects.iter().map(|(_, bounds)| around(bounds)).collect();
    let area = InspectedArea::new(None, keep_outs, vec![]).unwrap();
    line.revise(Recipe::factory(1).with_area(area)).await;
    let kept_out = line.inspect(png(&bad.test)).await;
    assert_eq!(line.judged(kept_out).await, nothing_found());
    let (_, coverage) = compared(&line, kept_out).await;
    assert!(coverage.excluded_pixels() > 0 && !coverage.excluded().is_empty(), "{coverage:?}");
    assert_eq!(compared(&line, whole).await.1.excluded_pixels(), 0);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_that_bends_more_than_the_recipe_bears_is_review() {
    let line = Line::set_up().await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    line.revise(Recipe::factory(1).with_bend_max_px(0.0).unwrap()).await;
    let worker = line.start_worker();
    let inspection = line.inspect(png(&good.test)).await;
    let reason = NotComparable::NotRegistered;
    let expected = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
    assert_eq!(line.judged(inspection).await, expected);
    worker.stop().await;
}

/// The same board with a mark of its own: copper and substrate are exchanged in a square.
fn with_a_mark(board: &GrayImage) -> GrayImage {
    let mut marked = board.clone();
    for (x, y) in (300..324).flat_map(|x| (300..324).map(move |y| (x, y))) {
        marked.get_pixel_mut(x, y).0[0] ^= 0xff;
    }
    marked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_is_judged_against_the_golden_sample_that_it_matches_best() {
    let line = Line::set_up().await;
    let good = board(true);
    let marked = with_a_mark(&good.golden);
    line.register_golden(&good.golden).await;
    let worker = line.start_worker();
    let alone = line.inspect(png(&marked)).await;
    assert_ne!(line.judged(alone).await.0, Judgement::Pass);

    line.add_golden(&marked, GoldenSampleUse::Variant, None).await;
    for (picture, revision) in [(&marked, 2), (&good.test, 1)] {
        let inspection = line.inspect(png(picture)).await;
        assert_eq!(line.judged(inspection).await, nothing_found(), "revision {revision}");
        assert_eq!(compared(&line, inspection).await.0, revision);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_are_never_relative_to_an_accepted_board() {
    let line = Line::set_up().await;
    let (good, bad) = (board(true), board(false));
    line.register_golden(&good.golden).await;
    line.add_golden(&good.test, GoldenSampleUse::AcceptedBoard, None).await;
    let worker = line.start_worker();
    for (picture, judgement) in [(&good.test, Judgement::Pass), (&bad.test, Judgement::Fail)] {
        let inspection = line.inspect(png(picture)).await;
        assert_eq!(line.judged(inspection).await.0, judgement);
        assert_eq!(compared(&line, inspection).await.0, 1);
    }
    worker.stop().await;
}
