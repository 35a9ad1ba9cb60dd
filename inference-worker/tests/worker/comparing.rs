//! Boards are judged by comparison with their golden sample, or reviewed with the reason.

use boards::{BoardOptions, generate_board};
use bytes::Bytes;
use domain::{Coverage, FiredRule, InspectionEvent, Judgement, NotComparable};
use image::GrayImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::line::{Line, board, png, results};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_with_defects_fails_and_a_board_without_passes() {
    let line = Line::set_up().await;
    let (bad, good) = (board(false), board(true));
    assert_eq!(bad.golden, good.golden, "one part, one golden sample");
    line.register_golden(&bad.golden).await;
    let worker = line.start_worker();
    let (failing, passing) = (line.open().await, line.open().await);
    line.upload(failing, png(&bad.test)).await;
    line.upload(passing, png(&good.test)).await;
    line.infer(failing).await;
    line.infer(passing).await;
    assert_eq!(line.judged(failing).await.0, Judgement::Fail);
    assert_eq!(line.judged(passing).await, (Judgement::Pass, vec![FiredRule::NothingFound]));
    for inspection in [failing, passing] {
        let events = line.events(inspection).await;
        let coverage = events.iter().find_map(|event| match event {
            InspectionEvent::InferenceCompleted { coverage, .. } => coverage.as_ref(),
            _ => None,
        });
        assert_eq!(coverage.map(Coverage::inspected_pixels), Some(628 * 628));
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_of_a_part_without_golden_sample_is_review_and_only_once_inference_is_requested() {
    let line = Line::set_up().await;
    let worker = line.start_worker();
    let inspection = line.open().await;
    line.upload(inspection, png(&board(true).test)).await;
    line.infer(inspection).await;
    let reason = NotComparable::NoGoldenSample;
    let expected = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
    assert_eq!(line.judged(inspection).await, expected);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_whose_golden_sample_came_after_its_picture_is_compared_when_inference_is_requested()
 {
    let line = Line::set_up().await;
    let worker = line.start_worker();
    let inspection = line.open().await;
    let good = board(true);
    line.upload(inspection, png(&good.test)).await;
    line.register_golden(&good.golden).await;
    line.infer(inspection).await;
    assert_eq!(line.judged(inspection).await.0, Judgement::Pass);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_picture_twice_is_review_and_two_pictures_of_one_board_are_not() {
    let line = Line::set_up().await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    let worker = line.start_worker();
    for (second, expected) in [
        (png(&good.test), (Judgement::Review, vec![FiredRule::DuplicateView])),
        (packed_otherwise(&good.test), (Judgement::Pass, vec![FiredRule::NothingFound])),
    ] {
        let inspection = line.open().await;
        line.upload(inspection, png(&good.test)).await;
        line.upload(inspection, second).await;
        line.infer(inspection).await;
        assert_eq!(line.judged(inspection).await, expected);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_picture_a_picture_of_another_size_and_another_board_are_review() {
    let line = Line::set_up().await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    let worker = line.start_worker();

    let small = generate_board(7, 0, &BoardOptions { size: 320, ..BoardOptions::default() });
    let foreign =
        generate_board(8, 0, &BoardOptions { clean_per_cent: 100, ..BoardOptions::default() });
    // Whole in its structure, damaged inside: the pixels of a PNG whose stream does not inflate.
    let mut damaged = png(&good.test).to_vec();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0);
    let cases = [
        (png(&small.test), NotComparable::SizeMismatch),
        (png(&foreign.test), NotComparable::WrongPart),
        (damaged.into(), NotComparable::Unreadable),
    ];
    for (bytes, reason) in cases {
        let inspection = line.open().await;
        line.upload(inspection, bytes).await;
        line.infer(inspection).await;
        let (judgement, rules) = line.judged(inspection).await;
        assert_eq!(judgement, Judgement::Review, "{reason}");
        assert_eq!(rules, [FiredRule::NotCompared { reason }]);
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pictures_both_have_results_before_the_board_is_judged() {
    let line = Line::set_up().await;
    let (bad, good) = (board(false), board(true));
    line.register_golden(&bad.golden).await;
    let worker = line.start_worker();
    let inspection = line.open().await;
    line.upload(inspection, png(&good.test)).await;
    line.upload(inspection, png(&bad.test)).await;
    line.infer(inspection).await;
    assert_eq!(line.judged(inspection).await.0, Judgement::Fail);
    assert_eq!(results(&line.events(inspection).await), 2);
    worker.stop().await;
}

/// Other bytes than [`png`] writes, of the same pixels.
fn packed_otherwise(picture: &GrayImage) -> Bytes {
    let mut bytes = Vec::new();
    let (compression, filter) = (CompressionType::Fast, FilterType::Up);
    let encoder = PngEncoder::new_with_quality(&mut bytes, compression, filter);
    picture.write_with_encoder(encoder).unwrap();
    assert_ne!(bytes, png(picture));
    bytes.into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_another_size_is_refused_before_its_file_is_touched() {
    let line = Line::set_up().await;
    line.register_golden(&board(true).golden).await;
    let inspection = line.open().await;
    let small = generate_board(7, 0, &BoardOptions { size: 320, ..BoardOptions::default() });
    let artifact = line.upload(inspection, png(&small.test)).await;
    // Nothing of it can be read, let alone decoded.
    std::fs::remove_file(line.file_of(artifact)).unwrap();
    let worker = line.start_worker();
    line.infer(inspection).await;
    let reason = NotComparable::SizeMismatch;
    let expected = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
    assert_eq!(line.judged(inspection).await, expected);
    worker.stop().await;
}
