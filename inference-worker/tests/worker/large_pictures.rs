//! Large pictures wait for memory and for places, and keep no small one waiting.

use domain::{ArtifactId, GoldenSampleUse, InspectionId};
use image::GrayImage;
use platform::picture_memory::PictureMemory;
use uuid::Uuid;

use crate::line::{CONCURRENCY, Line, board, png, results, until};

/// What large pictures share of 64 MiB.
const LARGEST: u64 = 48 << 20;

async fn inspect(line: &Line, picture: &GrayImage, view: &str) -> InspectionId {
    let inspection = line.open().await;
    let artifact_id = ArtifactId(Uuid::new_v4());
    line.upload_view(artifact_id, inspection, png(picture), Some(view)).await;
    inspection
}

async fn until_compared(line: &Line, inspection: InspectionId) {
    until("a result", async || (results(&line.events(inspection).await) == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_board_is_compared_while_more_large_ones_wait_than_there_are_places() {
    let mut line = Line::set_up().await;
    line.memory = PictureMemory::from_mib(64);
    let large = board(true).golden;
    let small = image::imageops::crop_imm(&large, 0, 0, 200, 200).to_image();
    line.register_part().await;
    for (golden, view) in [(&large, "large"), (&small, "small")] {
        line.add_golden(golden, GoldenSampleUse::Replacement, Some(view)).await;
    }
    let others = line.memory.reserve(LARGEST).await.unwrap();
    let worker = line.start_worker();
    let mut waiting = Vec::new();
    for _ in 0..2 * CONCURRENCY {
        waiting.push(inspect(&line, &large, "large").await);
    }
    for _ in 0..CONCURRENCY {
        let beside = inspect(&line, &small, "small").await;
        until_compared(&line, beside).await;
    }
    for inspection in &waiting {
        assert_eq!(results(&line.events(*inspection).await), 0, "there is no memory for it");
    }
    drop(others);
    for inspection in waiting {
        until_compared(&line, inspection).await;
    }
    worker.stop().await;
}
