//! A line that inspects boards of one part, and the workers on it.

use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use boards::{BoardOptions, generate_board};
use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use domain::{
    ArtifactId, FiredRule, GoldenPurpose, GoldenSampleUse, Inspection, InspectionCommand,
    InspectionEvent, InspectionId, Judgement, Lot, MediaType, Part, PartCommand, PartNumber,
    PixelScale, Recipe, Station,
};
use futures::stream;
use image::{GrayImage, ImageFormat};
use inference::batcher::BatchingConfig;
use inference::comparison::Comparer;
use inference::engine::{EmbeddedModels, Models};
use inference::metrics::InferenceMetrics;
use inference_worker::worker::{Worker, WorkerHealth};
use platform::artifact_store::{ArtifactStore, UploadLimits};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{ActorRef, EventLog, EventMetadata, StreamId};
use platform::execute::{Request, execute, load};
use platform::follower::{LogTail, ReactorOptions};
use platform::picture_memory::PictureMemory;
use platform::shutdown::Shutdown;
use platform::telemetry::TraceContext;
use platform::test_support::{TestDatabase, artifact_store_in, fresh_database, put_stream};
use tokio::task::JoinHandle;
use uuid::Uuid;
use vision::{CropBatch, PreparedGolden, decode, prepare};

/// How many inspections a worker has under way at a time.
pub(crate) const CONCURRENCY: usize = 4;
/// How long whatever a test waits for may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One log, one store, one place of networks; as many workers as a test starts.
pub(crate) struct Line {
    pub(crate) database: TestDatabase,
    pub(crate) log: Arc<dyn EventLog>,
    artifacts: ArtifactStore,
    models: Arc<dyn Models>,
    /// What the pictures of a worker may take.
    pub(crate) memory: PictureMemory,
    pub(crate) lease: Duration,
    folder: tempfile::TempDir,
}

impl Line {
    pub(crate) async fn set_up() -> Self {
        Self::comparing_by(Arc::new(EmbeddedModels::load().unwrap())).await
    }

    pub(crate) async fn comparing_by(models: Arc<dyn Models>) -> Self {
        let database = fresh_database().await;
        let folder = tempfile::tempdir().unwrap();
        Self {
            log: Arc::new(PostgresEventLog::new(database.pool())),
            artifacts: artifact_store_in(folder.path()),
            models,
            memory: PictureMemory::default(),
            lease: Duration::from_millis(500),
            folder,
            database,
        }
    }

    pub(crate) async fn part(&self, command: PartCommand) {
        let request = Request::<Part> {
            aggregate_id: "P-1".into(),
            command,
            is_new: false,
            if_match: None,
            metadata: asked_by_a_client(),
        };
        execute(&*self.log, request).await.unwrap();
    }

    pub(crate) async fn inspection(&self, id: InspectionId, command: InspectionCommand) {
        let request = Request::<Inspection> {
            aggregate_id: id.to_string(),
            command,
            is_new: false,
            if_match: None,
            metadata: asked_by_a_client(),
        };
        execute(&*self.log, request).await.unwrap();
    }

    pub(crate) async fn register_part(&self) {
        self.part(PartCommand::RegisterPart { part: PartNumber::new("P-1").unwrap() }).await;
    }

    pub(crate) async fn register_golden(&self, golden: &GrayImage) {
        self.register_part().await;
        self.add_golden(golden, GoldenSampleUse::Replacement, None).await;
    }

    /// Adds a golden sample to the part that is registered.
    pub(crate) async fn add_golden(
        &self,
        golden: &GrayImage,
        usage: GoldenSampleUse,
        view: Option<&str>,
    ) {
        self.add_golden_at_scale(golden, usage, view, None).await;
    }

    /// Adds a golden sample that was taken at a scale.
    pub(crate) async fn add_golden_at_scale(
        &self,
        golden: &GrayImage,
        usage: GoldenSampleUse,
        view: Option<&str>,
        scale: Option<f32>,
    ) {
        let artifact_id = ArtifactId(Uuid::new_v4());
        let (now, media_type) = (Utc::now(), MediaType::Png);
        let expires_at = now + TimeDelta::minutes(15);
        let (view, reason) = (view.map(|name| name.parse().unwrap()), Some("test".to_owned()));
        let purpose = GoldenPurpose::new(usage, view, reason).unwrap();
        self.part(PartCommand::ReserveGoldenSample {
            artifact_id,
            media_type,
            purpose,
            pixels_per_millimetre: scale.map(|scale| PixelScale::new(scale).unwrap()),
            now,
            expires_at,
        })
        .await;
        let picture = self.store(artifact_id, png(golden)).await;
        self.part(PartCommand::RegisterGoldenSample { artifact_id, picture }).await;
    }

    /// Puts a new recipe of the part in force.
    pub(crate) async fn revise(&self, recipe: Recipe) {
        self.part(PartCommand::ReviseRecipe { recipe, reason: "test".into() }).await;
    }

    pub(crate) async fn store(&self, id: ArtifactId, bytes: Bytes) -> domain::Picture {
        let body = stream::iter([Ok::<_, std::io::Error>(bytes)]);
        let limits = UploadLimits::default();
        put_stream(&self.artifacts, id, body, (&limits, MediaType::Png)).await.unwrap()
    }

    /// The file of a picture at rest.
    pub(crate) fn file_of(&self, id: ArtifactId) -> PathBuf {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false if entry.path().to_string_lossy().contains(&id.to_string()) => {
                        return entry.path();
                    }
                    false => {}
                }
            }
        }
        panic!("no file of {id}")
    }

    pub(crate) async fn open(&self) -> InspectionId {
        let inspection_id = InspectionId(Uuid::new_v4());
        let part = PartNumber::new("P-1").unwrap();
        let known = load::<Part>(&*self.log, part.as_str()).await.unwrap().state;
        let create = InspectionCommand::CreateInspection {
            inspection_id,
            lot: Lot::new("L-1").unwrap(),
            part,
            station: Station::new("AOI-1").unwrap(),
            recipe: known.recipe(),
            golden_sample_revision: known.golden_sample_revision(),
        };
        self.inspection(inspection_id, create).await;
        inspection_id
    }

    pub(crate) async fn upload(&self, inspection_id: InspectionId, bytes: Bytes) -> ArtifactId {
        let artifact_id = ArtifactId(Uuid::new_v4());
        self.upload_as(artifact_id, inspection_id, bytes).await;
        artifact_id
    }

    pub(crate) async fn upload_as(
        &self,
        artifact_id: ArtifactId,
        inspection_id: InspectionId,
        bytes: Bytes,
    ) {
        self.upload_view(artifact_id, inspection_id, bytes, None).await;
    }

    /// Uploads a picture as a view of the board.
    pub(crate) async fn upload_view(
        &self,
        artifact_id: ArtifactId,
        inspection_id: InspectionId,
        bytes: Bytes,
        view: Option<&str>,
    ) {
        self.upload_announced(artifact_id, inspection_id, bytes, (view, None)).await;
    }

    /// Uploads a picture that is announced as a view of the board and at a scale.
    pub(crate) async fn upload_announced(
        &self,
        artifact_id: ArtifactId,
        inspection_id: InspectionId,
        bytes: Bytes,
        (view, scale): (Option<&str>, Option<f32>),
    ) {
        let reserve = InspectionCommand::ReserveArtifact {
            artifact_id,
            media_type: MediaType::Png,
            view: view.map(|name| name.parse().unwrap()),
            pixels_per_millimetre: scale.map(|scale| PixelScale::new(scale).unwrap()),
            expires_at: Utc::now() + TimeDelta::minutes(15),
        };
        self.inspection(inspection_id, reserve).await;
        let picture = self.store(artifact_id, bytes).await;
        let uploaded = InspectionCommand::UploadArtifact { artifact_id, picture };
        self.inspection(inspection_id, uploaded).await;
    }

    pub(crate) async fn infer(&self, inspection_id: InspectionId) {
        let command = InspectionCommand::RequestInference { at_rest: vec![], now: Utc::now() };
        self.inspection(inspection_id, command).await;
    }

    /// An inspection of one picture, closed.
    pub(crate) async fn inspect(&self, picture: Bytes) -> InspectionId {
        let inspection = self.open().await;
        self.upload(inspection, picture).await;
        self.infer(inspection).await;
        inspection
    }

    pub(crate) fn start_worker(&self) -> Running {
        self.start_worker_by(Arc::clone(&self.models))
    }

    /// A worker whose networks are in a place of its own.
    pub(crate) fn start_worker_by(&self, models: Arc<dyn Models>) -> Running {
        let shutdown = Shutdown::new();
        let health = Arc::new(WorkerHealth::new(InferenceMetrics::for_process()));
        health.set_models(Arc::clone(&models));
        let batching = BatchingConfig::default();
        let memory = self.memory.clone();
        let comparer = Comparer::new(models, batching, memory, InferenceMetrics::for_process());
        let options =
            ReactorOptions { concurrency: CONCURRENCY, lease: self.lease, member_name: None };
        let on = (self.database.pool(), LogTail::new(Arc::clone(&self.log)));
        let told = Arc::clone(&health);
        let worker = Worker::new(on, self.artifacts.clone(), Arc::new(comparer), options, told);
        let running = worker.run(shutdown.clone());
        let task = tokio::spawn(async move { running.await.unwrap() });
        Running { shutdown, task, health }
    }

    pub(crate) async fn events(&self, inspection_id: InspectionId) -> Vec<InspectionEvent> {
        let stream = StreamId::for_aggregate::<Inspection>(inspection_id);
        let recorded = self.log.read_stream(&stream, 0).await.unwrap().events;
        recorded.iter().map(|event| event.decode::<Inspection>().unwrap()).collect()
    }

    pub(crate) async fn judged(&self, inspection_id: InspectionId) -> (Judgement, Vec<FiredRule>) {
        let id = inspection_id.to_string();
        until("a judgement", async || {
            match load::<Inspection>(&*self.log, &id).await.unwrap().state {
                Inspection::Judged { judgement, rules, .. } => Some((judgement, rules)),
                _ => None,
            }
        })
        .await
    }
}

/// Every command in a request of its own, and so in a trace of its own.
fn asked_by_a_client() -> EventMetadata {
    let actor = ActorRef::new("station", &["station"]);
    EventMetadata::by_actor(actor, &TraceContext::new(None))
}

pub(crate) fn png(picture: &GrayImage) -> Bytes {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).unwrap();
    bytes.into_inner().into()
}

pub(crate) fn board(clean: bool) -> boards::GeneratedBoard {
    let clean_per_cent = if clean { 100 } else { 0 };
    generate_board(
        7,
        0,
        &BoardOptions { clean_per_cent, min_defects: 4, ..BoardOptions::default() },
    )
}

/// So many flawed boards of one part.
pub(crate) fn boards_of_one_part(count: u32) -> Vec<boards::GeneratedBoard> {
    let options = BoardOptions {
        clean_per_cent: 0,
        min_defects: 4,
        units_per_design: count,
        ..BoardOptions::default()
    };
    let boards: Vec<_> = (0..count).map(|n| generate_board(7, n.into(), &options)).collect();
    assert!(boards.iter().all(|board| board.golden == boards[0].golden), "one part");
    boards
}

/// What the network is asked of a board.
pub(crate) fn crops_of(board: &boards::GeneratedBoard) -> CropBatch {
    let golden = PreparedGolden::new(&decode(&png(&board.golden)).unwrap()).unwrap();
    prepare(&decode(&png(&board.test)).unwrap(), &golden).unwrap().crops
}

pub(crate) fn results(events: &[InspectionEvent]) -> usize {
    let result = |event: &&InspectionEvent| {
        matches!(
            event,
            InspectionEvent::InferenceCompleted { .. } | InspectionEvent::InferenceFailed { .. }
        )
    };
    events.iter().filter(result).count()
}

/// A worker that runs.
pub(crate) struct Running {
    shutdown: Shutdown,
    pub(crate) task: JoinHandle<()>,
    pub(crate) health: Arc<WorkerHealth>,
}

impl Running {
    /// Ends in good order.
    pub(crate) async fn stop(self) {
        self.shutdown.request();
        self.task.await.unwrap();
    }

    /// Ends as by `kill -9`: nothing is given back.
    pub(crate) async fn kill(self) {
        self.task.abort();
        self.task.await.unwrap_err();
    }
}

/// Waits until `found` finds something.
pub(crate) async fn until<T>(what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = found().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}
