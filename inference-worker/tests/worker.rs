//! The worker on a real log, a real store, the embedded engine and generated boards.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use domain::{
    ArtifactId, FiredRule, Inspection, InspectionCommand, InspectionEvent, InspectionId, Judgement,
    Lot, MediaType, NotComparable, Part, PartCommand, PartNumber, Station,
};
use futures::stream;
use image::{GrayImage, ImageFormat};
use inference_worker::batcher::{Batcher, BatchingConfig};
use inference_worker::boards::{BoardOptions, generate};
use inference_worker::comparison::Comparer;
use inference_worker::engine::EmbeddedEngine;
use inference_worker::worker::Worker;
use platform::artifact_store::{ArtifactStore, UploadLimits};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, StreamId};
use platform::execute::{Request, execute, load};
use platform::shutdown::Shutdown;
use platform::test_support::{TestDatabase, fresh_database};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

struct Line {
    database: TestDatabase,
    log: Arc<dyn EventLog>,
    artifacts: ArtifactStore,
    comparer: Arc<Comparer>,
    _folder: tempfile::TempDir,
}

impl Line {
    async fn set_up() -> Self {
        let database = fresh_database().await;
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(EmbeddedEngine::load().unwrap());
        let batcher = Batcher::start(engine, BatchingConfig::default());
        Self {
            log: Arc::new(PostgresEventLog::new(database.pool())),
            artifacts: ArtifactStore::open_folder(folder.path()).unwrap(),
            comparer: Arc::new(Comparer::new(batcher)),
            _folder: folder,
            database,
        }
    }

    async fn part(&self, command: PartCommand) {
        let request = Request::<Part> {
            aggregate_id: "P-1".into(),
            command,
            if_match: None,
            metadata: Default::default(),
        };
        execute(&*self.log, request).await.unwrap();
    }

    async fn inspection(&self, id: InspectionId, command: InspectionCommand) {
        let request = Request::<Inspection> {
            aggregate_id: id.to_string(),
            command,
            if_match: None,
            metadata: Default::default(),
        };
        execute(&*self.log, request).await.unwrap();
    }

    async fn register_golden(&self, golden: &GrayImage) {
        let artifact_id = ArtifactId(Uuid::new_v4());
        self.part(PartCommand::RegisterPart { part: PartNumber::new("P-1").unwrap() }).await;
        let (now, media_type) = (Utc::now(), MediaType::Png);
        let expires_at = now + TimeDelta::minutes(15);
        let reserve = PartCommand::ReserveGoldenSample { artifact_id, media_type, now, expires_at };
        self.part(reserve).await;
        let picture = self.store(artifact_id, png(golden)).await;
        self.part(PartCommand::RegisterGoldenSample { artifact_id, picture }).await;
    }

    async fn store(&self, id: ArtifactId, bytes: Bytes) -> domain::Picture {
        let body = stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let limits = UploadLimits::default();
        self.artifacts.put_stream(id, body, &limits, MediaType::Png).await.unwrap()
    }

    async fn open(&self) -> InspectionId {
        let inspection_id = InspectionId(Uuid::new_v4());
        let part = PartNumber::new("P-1").unwrap();
        let recipe = load::<Part>(&*self.log, part.as_str()).await.unwrap().state.recipe();
        let create = InspectionCommand::CreateInspection {
            inspection_id,
            lot: Lot::new("L-1").unwrap(),
            part,
            station: Station::new("AOI-1").unwrap(),
            recipe,
        };
        self.inspection(inspection_id, create).await;
        inspection_id
    }

    async fn upload(&self, inspection_id: InspectionId, bytes: Bytes) -> ArtifactId {
        let artifact_id = ArtifactId(Uuid::new_v4());
        let expires_at = Utc::now() + TimeDelta::minutes(15);
        let media_type = MediaType::Png;
        let reserve = InspectionCommand::ReserveArtifact { artifact_id, media_type, expires_at };
        self.inspection(inspection_id, reserve).await;
        let picture = self.store(artifact_id, bytes).await;
        let uploaded = InspectionCommand::UploadArtifact { artifact_id, picture };
        self.inspection(inspection_id, uploaded).await;
        artifact_id
    }

    async fn infer(&self, inspection_id: InspectionId) {
        let command = InspectionCommand::RequestInference { now: Utc::now() };
        self.inspection(inspection_id, command).await;
    }

    fn start_worker(&self) -> (Shutdown, tokio::task::JoinHandle<()>) {
        let shutdown = Shutdown::new();
        let (log, artifacts) = (Arc::clone(&self.log), self.artifacts.clone());
        let comparer = Arc::clone(&self.comparer);
        let worker = Worker::new(self.database.pool(), log, artifacts, comparer, 4);
        let running = worker.run(shutdown.clone());
        (shutdown, tokio::spawn(async move { running.await.unwrap() }))
    }

    async fn events(&self, inspection_id: InspectionId) -> Vec<InspectionEvent> {
        let stream = StreamId::of::<Inspection>(inspection_id);
        let recorded = self.log.read_stream(&stream, 0).await.unwrap();
        recorded.iter().map(|event| event.decode().unwrap()).collect()
    }

    async fn judged(&self, inspection_id: InspectionId) -> (Judgement, Vec<FiredRule>) {
        let waiting = async {
            loop {
                let id = inspection_id.to_string();
                let state = load::<Inspection>(&*self.log, &id).await.unwrap().state;
                if let Inspection::Judged { judgement, rules, .. } = state {
                    return (judgement, rules);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("not judged in time")
    }
}

fn png(picture: &GrayImage) -> Bytes {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner().into()
}

fn board(clean: bool) -> inference_worker::boards::Board {
    let clean_per_cent = if clean { 100 } else { 0 };
    generate(7, 0, &BoardOptions { clean_per_cent, min_defects: 4, ..BoardOptions::default() })
}

fn results(events: &[InspectionEvent]) -> usize {
    let result = |event: &&InspectionEvent| {
        matches!(
            event,
            InspectionEvent::InferenceCompleted { .. } | InspectionEvent::InferenceFailed { .. }
        )
    };
    events.iter().filter(result).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_with_defects_fails_and_a_board_without_passes() {
    let line = Line::set_up().await;
    let (bad, good) = (board(false), board(true));
    assert_eq!(bad.golden, good.golden, "one part, one golden sample");
    line.register_golden(&bad.golden).await;
    let (shutdown, worker) = line.start_worker();
    let (failing, passing) = (line.open().await, line.open().await);
    line.upload(failing, png(&bad.test)).await;
    line.upload(passing, png(&good.test)).await;
    line.infer(failing).await;
    line.infer(passing).await;
    assert_eq!(line.judged(failing).await.0, Judgement::Fail);
    assert_eq!(line.judged(passing).await, (Judgement::Pass, vec![FiredRule::NothingFound]));
    shutdown.request();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_of_a_part_without_golden_sample_is_review_and_only_once_inference_is_requested() {
    let line = Line::set_up().await;
    let (shutdown, worker) = line.start_worker();
    let inspection = line.open().await;
    line.upload(inspection, png(&board(true).test)).await;
    line.infer(inspection).await;
    let reason = NotComparable::NoGoldenSample;
    let expected = (Judgement::Review, vec![FiredRule::NotCompared { reason }]);
    assert_eq!(line.judged(inspection).await, expected);
    shutdown.request();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_board_whose_golden_sample_came_after_its_picture_is_compared_when_inference_is_requested()
 {
    let line = Line::set_up().await;
    let (shutdown, worker) = line.start_worker();
    let inspection = line.open().await;
    let good = board(true);
    line.upload(inspection, png(&good.test)).await;
    line.register_golden(&good.golden).await;
    line.infer(inspection).await;
    assert_eq!(line.judged(inspection).await.0, Judgement::Pass);
    shutdown.request();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_picture_a_picture_of_another_size_and_another_board_are_review() {
    let line = Line::set_up().await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    let (shutdown, worker) = line.start_worker();

    let small = generate(7, 0, &BoardOptions { size: 320, ..BoardOptions::default() });
    let foreign = generate(8, 0, &BoardOptions { clean_per_cent: 100, ..BoardOptions::default() });
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
    shutdown.request();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_pictures_are_both_settled_before_the_board_is_judged() {
    let line = Line::set_up().await;
    let (bad, good) = (board(false), board(true));
    line.register_golden(&bad.golden).await;
    let (shutdown, worker) = line.start_worker();
    let inspection = line.open().await;
    line.upload(inspection, png(&good.test)).await;
    line.upload(inspection, png(&bad.test)).await;
    line.infer(inspection).await;
    assert_eq!(line.judged(inspection).await.0, Judgement::Fail);
    assert_eq!(results(&line.events(inspection).await), 2);
    shutdown.request();
    worker.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_died_is_replaced_and_several_at_once_record_each_result_once() {
    let line = Line::set_up().await;
    let bad = board(false);
    line.register_golden(&bad.golden).await;
    let mut inspections = Vec::new();
    for _ in 0..6 {
        let inspection = line.open().await;
        line.upload(inspection, png(&bad.test)).await;
        line.infer(inspection).await;
        inspections.push(inspection);
    }
    // The first dies at once, wherever it is; the others read the same events side by side.
    let (_, dying) = line.start_worker();
    tokio::task::yield_now().await;
    dying.abort();
    let others = [line.start_worker(), line.start_worker()];
    for inspection in &inspections {
        assert_eq!(line.judged(*inspection).await.0, Judgement::Fail);
    }
    for (shutdown, worker) in others {
        shutdown.request();
        worker.await.unwrap();
    }
    // Delivered once more from the very beginning: nothing changes.
    sqlx::query("DELETE FROM worker_checkpoints").execute(&line.database.pool()).await.unwrap();
    let head = line.log.head().await.unwrap();
    let (shutdown, worker) = line.start_worker();
    wait_for_checkpoint(&line, head.0).await;
    shutdown.request();
    worker.await.unwrap();
    assert_eq!(line.log.head().await.unwrap(), head);
    for inspection in inspections {
        let events = line.events(inspection).await;
        let judgements =
            events.iter().filter(|e| matches!(e, InspectionEvent::InspectionJudged { .. })).count();
        assert_eq!((results(&events), judgements), (1, 1));
    }
}

async fn wait_for_checkpoint(line: &Line, position: i64) {
    let waiting = async {
        loop {
            let at: Option<i64> = sqlx::query_scalar("SELECT position FROM worker_checkpoints")
                .fetch_optional(&line.database.pool())
                .await
                .unwrap();
            if at >= Some(position) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the checkpoint did not move");
}
