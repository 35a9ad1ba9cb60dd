//! A golden sample that states its scale is compared with pictures of that scale, and with no others.

use domain::{
    ArtifactId, FiredRule, GoldenSampleUse, InspectionEvent, InspectionId, Judgement, NotComparable,
};
use uuid::Uuid;

use crate::line::{Line, board, png};

/// A line whose part has a golden sample of this scale.
async fn line_of_scale(scale: Option<f32>) -> Line {
    let line = Line::set_up().await;
    line.register_part().await;
    let golden = board(true).golden;
    line.add_golden_at_scale(&golden, GoldenSampleUse::Replacement, None, scale).await;
    line
}

async fn inspect_at_scale(line: &Line, scale: Option<f32>) -> InspectionId {
    let inspection = line.open().await;
    let artifact_id = ArtifactId(Uuid::new_v4());
    line.upload_announced(artifact_id, inspection, png(&board(true).test), (None, scale)).await;
    line.infer(inspection).await;
    inspection
}

/// What was said of the only picture, which could not be compared.
async fn detail(line: &Line, inspection: InspectionId) -> String {
    let failed = line.events(inspection).await.into_iter().find_map(|event| match event {
        InspectionEvent::InferenceFailed { detail, .. } => Some(detail),
        _ => None,
    });
    failed.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_another_scale_or_of_none_is_review_and_says_what_to_do() {
    let line = line_of_scale(Some(48.0)).await;
    let worker = line.start_worker();
    for (scale, reason, said) in [
        (
            Some(24.0),
            NotComparable::ScaleMismatch,
            "taken at 24 px/mm, the golden sample at 48 px/mm",
        ),
        (None, NotComparable::ScaleUnknown, "announce it with pixels_per_millimetre"),
    ] {
        let inspection = inspect_at_scale(&line, scale).await;
        let expected = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
        assert_eq!(line.judged(inspection).await, expected);
        let detail = detail(&line, inspection).await;
        assert!(detail.contains(said), "{detail}");
    }
    let of_its_scale = inspect_at_scale(&line, Some(48.5)).await;
    assert_eq!(line.judged(of_its_scale).await.0, Judgement::Pass);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_golden_sample_that_states_no_scale_asks_for_none() {
    let line = line_of_scale(None).await;
    let worker = line.start_worker();
    for scale in [None, Some(48.0)] {
        let inspection = inspect_at_scale(&line, scale).await;
        assert_eq!(line.judged(inspection).await.0, Judgement::Pass, "{scale:?}");
    }
    worker.stop().await;
}
