//! Boards of several views, each compared with golden samples of its own, as they were when the inspection
//! was created.

use domain::inspection::GoldenReference;
use domain::{
    ArtifactId, FiredRule, GoldenSampleUse, InspectedArea, InspectionEvent, InspectionId,
    Judgement, NotComparable, PixelBox, Recipe, ViewName,
};
use uuid::Uuid;

use crate::line::{Line, board, png};

const REPLACEMENT: GoldenSampleUse = GoldenSampleUse::Replacement;

/// A line whose part must be seen from the top and the bottom; the bottom has no golden sample.
async fn line_of_two_views() -> Line {
    let line = Line::set_up().await;
    line.register_part().await;
    let views = ["top", "bottom"].map(|name| ViewName::new(name).unwrap());
    let recipe = Recipe::factory(1).with_views(views.to_vec()).unwrap();
    line.revise(recipe).await;
    line.add_golden(&board(true).golden, REPLACEMENT, Some("top")).await;
    line
}

async fn upload(line: &Line, inspection: InspectionId, picture: bytes::Bytes, view: Option<&str>) {
    line.upload_view(ArtifactId(Uuid::new_v4()), inspection, picture, view).await;
}

fn not_compared(reason: NotComparable) -> FiredRule {
    FiredRule::NotCompared { reason }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_without_golden_samples_of_its_own_is_review_and_with_them_the_board_passes() {
    let line = line_of_two_views().await;
    let worker = line.start_worker();
    let (top, bottom) = (board(true), board(false));
    let without = line.open().await;
    upload(&line, without, png(&top.test), Some("top")).await;
    upload(&line, without, png(&bottom.golden), Some("bottom")).await;
    line.infer(without).await;
    let expected = vec![not_compared(NotComparable::NoGoldenSample)];
    assert_eq!(line.judged(without).await, (Judgement::Review, expected));

    line.add_golden(&bottom.golden, REPLACEMENT, Some("bottom")).await;
    let with = line.open().await;
    upload(&line, with, png(&top.test), Some("top")).await;
    upload(&line, with, png(&bottom.golden), Some("bottom")).await;
    line.infer(with).await;
    assert_eq!(line.judged(with).await, (Judgement::Pass, vec![FiredRule::NothingFound]));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_inspection_is_compared_with_the_golden_sample_of_its_creation() {
    let line = Line::set_up().await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    let before = line.open().await;
    // Another board's: whoever is compared with it is not comparable.
    line.add_golden(&board_of_another_part(), REPLACEMENT, None).await;
    let after = line.open().await;
    let worker = line.start_worker();
    for inspection in [before, after] {
        line.upload(inspection, png(&good.test)).await;
        line.infer(inspection).await;
    }
    assert_eq!(line.judged(before).await.0, Judgement::Pass);
    assert_eq!(line.judged(after).await.0, Judgement::Review);
    assert_eq!([revision(&line, before).await, revision(&line, after).await], [1, 2]);
    worker.stop().await;
}

/// A variant, accepted boards, the recipe's area and its bend reach the comparison.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_is_compared_with_the_variant_that_it_shows_and_not_where_it_is_kept_out() {
    let line = Line::set_up().await;
    let (good, flawed) = (board(true), board(false));
    line.register_golden(&board_of_another_part()).await;
    line.add_golden(&good.golden, GoldenSampleUse::Variant, None).await;
    let worker = line.start_worker();
    let inspect = async |picture: bytes::Bytes| {
        let inspection = line.open().await;
        line.upload(inspection, picture).await;
        line.infer(inspection).await;
        (line.judged(inspection).await.0, revision(&line, inspection).await)
    };
    assert_eq!(inspect(png(&good.test)).await, (Judgement::Pass, 2));

    // The variant alone, of which nothing but a corner is inspected.
    line.add_golden(&flawed.golden, REPLACEMENT, None).await;
    assert_eq!(inspect(png(&flawed.test)).await.0, Judgement::Fail);
    let corner = PixelBox { x: 100, y: 100, width: 8, height: 8 };
    let area = InspectedArea::new(Some(corner), Vec::new(), Vec::new()).unwrap();
    let recipe = Recipe::factory(1).with_area(area);
    line.revise(recipe).await;
    let (judgement, golden) = inspect(png(&flawed.test)).await;
    assert_ne!((judgement, golden), (Judgement::Fail, 3), "what is wrong lies elsewhere");
    worker.stop().await;
}

fn board_of_another_part() -> image::GrayImage {
    let options = boards::BoardOptions { clean_per_cent: 100, ..Default::default() };
    boards::generate_board(8, 0, &options).golden
}

/// The golden sample that the only picture was, or was to be, compared with.
async fn revision(line: &Line, inspection: InspectionId) -> u32 {
    let golden = line.events(inspection).await.into_iter().find_map(|event| match event {
        InspectionEvent::InferenceCompleted { golden, .. } => Some(golden),
        InspectionEvent::InferenceFailed { golden, .. } => golden,
        _ => None,
    });
    golden.map(|GoldenReference { revision, .. }| revision).unwrap()
}
