//! A database of its own with a log, boards that are inspected in it, and read models to look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use domain::inspection::{GoldenReference, InferenceResult, ModelIdentity, Registration, Timing};
use domain::{
    Aggregate, ArtifactId, Confidence, Coverage, Defect, DefectClass, DifferenceKind,
    GoldenPurpose, GoldenSampleUse, Inspection, InspectionCommand, InspectionEvent, InspectionId,
    Lot, MediaType, NotComparable, Part, PartCommand, PartNumber, Picture, PixelBox, PixelScale,
    Recipe, Sha256, Station, UnexplainedDifference, ViewName,
};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{Append, EventLog, EventMetadata, NewEvent, Position, StreamId};
use platform::execute::{Executed, Request, execute};
use platform::postgres::{DatabaseConfig, Pool};
use platform::test_support::{TestDatabase, fresh_database};
use projectors::Projection;
use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) const VIEWS: [&str; 15] = [
    "inspections",
    "artifacts",
    "timeline",
    "defects",
    "parts",
    "recipe_revisions",
    "golden_samples",
    "yield_hourly",
    "reports",
    "station_defects_hourly",
    "station_defects_daily",
    "station_yield_hourly",
    "station_yield_daily",
    "audit_trail",
    "audit_trail_subjects",
];

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) pool: Pool,
    pub(crate) log: Arc<dyn EventLog>,
    seconds: AtomicI64,
}

impl World {
    /// An empty log and empty read models.
    pub(crate) async fn new() -> Self {
        Self::on(fresh_database().await).await
    }

    /// An empty log and empty read models in this database.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let pool = database.pool();
        projectors::ensure(&pool).await.unwrap();
        let log = Arc::new(PostgresEventLog::new(pool.clone()));
        Self { database, pool, log, seconds: AtomicI64::new(0) }
    }

    /// Where the database is, with the defaults.
    pub(crate) fn database_config(&self) -> DatabaseConfig {
        DatabaseConfig::from_url(self.database.url())
    }

    /// Applies what is in the log to every read model.
    pub(crate) async fn project(&self) {
        self.project_in_pages(500).await;
    }

    pub(crate) async fn project_in_pages(&self, page_events: usize) {
        for projection in projectors::ALL {
            self.catch_up(projection, page_events).await;
        }
    }

    pub(crate) async fn catch_up(&self, projection: &'static dyn Projection, page_events: usize) {
        projectors::catch_up(&self.pool, Arc::clone(&self.log), projection, page_events)
            .await
            .unwrap();
    }

    /// The rows of `read.<view>`, in the order of their text.
    pub(crate) async fn rows(&self, view: &str) -> Vec<Value> {
        let sql = format!("SELECT to_jsonb(t) FROM read.{view} t ORDER BY to_jsonb(t)::text");
        sqlx::query_scalar(&sql).fetch_all(&self.pool).await.unwrap()
    }

    /// Everything that readers can see.
    pub(crate) async fn everything(&self) -> Vec<(&'static str, Vec<Value>)> {
        let mut all = Vec::new();
        for view in VIEWS {
            all.push((view, self.rows(view).await));
        }
        all
    }

    /// Every serving generation equals one that is built from the log alone.
    pub(crate) async fn assert_equals_a_rebuild(&self) {
        for verified in projectors::verify(&self.pool, Arc::clone(&self.log)).await.unwrap() {
            assert!(verified.comparison.is_identical(), "{verified:?}");
        }
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Executes a command, one second after the one before.
    pub(crate) async fn execute<A: Aggregate>(
        &self,
        id: impl ToString,
        command: A::Command,
    ) -> Executed<A>
    where
        A::Command: Clone,
    {
        let request = Request::<A> {
            aggregate_id: id.to_string(),
            command,
            is_new: false,
            if_match: None,
            metadata: self.metadata(),
        };
        execute(&*self.log, request).await.unwrap()
    }

    /// What happens next happens so long after the story began.
    pub(crate) fn go_to(&self, since_start: TimeDelta) {
        self.seconds.store(since_start.num_seconds(), Ordering::Relaxed);
    }

    fn metadata(&self) -> EventMetadata {
        let second = self.seconds.fetch_add(1, Ordering::Relaxed);
        EventMetadata::by_service("station-7")
            .with_command_id(Uuid::new_v4())
            .with_occurred_at(start() + TimeDelta::seconds(second))
    }

    /// Appends an event that no command would give.
    pub(crate) async fn append_raw(&self, stream: StreamId, event_type: &str, payload: Value) {
        self.append_version(stream, event_type, "1", payload).await;
    }

    /// Appends an event of a version that this software does not write.
    pub(crate) async fn append_version(
        &self,
        stream: StreamId,
        event_type: &str,
        event_version: &str,
        payload: Value,
    ) {
        let expected_version = self.log.read_stream(&stream, 0).await.unwrap().events.len() as u64;
        let (event_type, event_version) = (event_type.to_owned(), event_version.to_owned());
        let event =
            NewEvent { event_type, event_version, payload, labels: domain::EventLabels::default() };
        let metadata = self.metadata();
        let append = Append::new(stream, expected_version, vec![event], metadata);
        self.log.append(append).await.unwrap();
    }

    /// Poisons an inspection's stream with a damaged event.
    pub(crate) async fn poison(&self, id: InspectionId) -> Position {
        let (stream, name) =
            (StreamId::for_aggregate::<Inspection>(id), InspectionEvent::INFERENCE_REQUESTED);
        self.append_raw(stream, name, json!({"type": name, "artifacts": "damaged"})).await;
        self.log.head().await.unwrap()
    }

    /// Registers a part, with a golden sample.
    pub(crate) async fn register_part(&self, name: &str) -> GoldenReference {
        let part = PartNumber::new(name).unwrap();
        let artifact_id = ArtifactId(Uuid::new_v4());
        let (media_type, now) = (MediaType::Png, start());
        let expires_at = now + TimeDelta::days(1);
        let picture = picture(name);
        let (sha256, revision) = (picture.sha256, 1);
        let purpose =
            GoldenPurpose { usage: GoldenSampleUse::Replacement, view: None, reason: None };
        for command in [
            PartCommand::RegisterPart { part },
            PartCommand::ReserveGoldenSample {
                artifact_id,
                media_type,
                purpose,
                pixels_per_millimetre: Some(PixelScale::new(48.5).unwrap()),
                now,
                expires_at,
            },
            PartCommand::RegisterGoldenSample { artifact_id, picture },
        ] {
            self.execute::<Part>(name, command).await;
        }
        GoldenReference { artifact_id, revision, sha256 }
    }

    /// Opens an inspection in lot `L1` at station `S1`.
    pub(crate) async fn open(&self, part: &str) -> InspectionId {
        let inspection_id = InspectionId(Uuid::new_v4());
        let command = InspectionCommand::CreateInspection {
            inspection_id,
            lot: Lot::new("L1").unwrap(),
            part: PartNumber::new(part).unwrap(),
            station: Station::new("S1").unwrap(),
            recipe: Recipe::factory(1),
            golden_sample_revision: Some(1),
        };
        self.execute::<Inspection>(inspection_id, command).await;
        inspection_id
    }

    /// Announces a picture and uploads it.
    pub(crate) async fn upload(&self, id: InspectionId) -> ArtifactId {
        let artifact_id = self.reserve(id).await;
        let picture = picture(&artifact_id.to_string());
        self.execute::<Inspection>(id, InspectionCommand::UploadArtifact { artifact_id, picture })
            .await;
        artifact_id
    }

    pub(crate) async fn reserve(&self, id: InspectionId) -> ArtifactId {
        let artifact_id = ArtifactId(Uuid::new_v4());
        let (media_type, expires_at) = (MediaType::Png, start());
        let view = Some(ViewName::new("top").unwrap());
        let command = InspectionCommand::ReserveArtifact {
            artifact_id,
            media_type,
            view,
            pixels_per_millimetre: Some(PixelScale::new(48.25).unwrap()),
            expires_at,
        };
        self.execute::<Inspection>(id, command).await;
        artifact_id
    }

    pub(crate) async fn request_inference(&self, id: InspectionId) {
        let now = start() + TimeDelta::hours(1);
        self.execute::<Inspection>(
            id,
            InspectionCommand::RequestInference { at_rest: vec![], now },
        )
        .await;
    }

    /// Records findings of these confidences on a picture that was compared, all of it.
    pub(crate) async fn compare(
        &self,
        id: InspectionId,
        artifact_id: ArtifactId,
        golden: &GoldenReference,
        confidences: &[f32],
    ) {
        let defects = confidences.iter().map(|c| defect(*c)).collect();
        let seen = (defects, Vec::new(), Coverage::complete(640 * 480));
        self.record_comparison(id, artifact_id, golden, seen).await;
    }

    /// Records differences that no finding explains, and how much was compared.
    pub(crate) async fn compare_seen(
        &self,
        id: InspectionId,
        artifact_id: ArtifactId,
        golden: &GoldenReference,
        (differences, coverage): (Vec<UnexplainedDifference>, Coverage),
    ) {
        let seen = (Vec::new(), differences, coverage);
        self.record_comparison(id, artifact_id, golden, seen).await;
    }

    async fn record_comparison(
        &self,
        id: InspectionId,
        artifact_id: ArtifactId,
        golden: &GoldenReference,
        (defects, differences, coverage): (Vec<Defect>, Vec<UnexplainedDifference>, Coverage),
    ) {
        let result = InferenceResult::Completed {
            result_id: Uuid::new_v4(),
            artifact_id,
            artifact_sha256: picture(&artifact_id.to_string()).sha256,
            golden: golden.clone(),
            model: model(),
            registration: Registration { dx: 0.1, dy: -2.5, score: 0.98, bend: Some(1.5) },
            defects,
            differences,
            coverage,
            timing: Timing { queue_ms: 1, compute_ms: 20, total_ms: 30 },
        };
        self.execute::<Inspection>(id, InspectionCommand::RecordInference(Box::new(result))).await;
    }

    pub(crate) async fn fail_to_compare(&self, id: InspectionId, artifact_id: ArtifactId) {
        let result = InferenceResult::Failed {
            result_id: Uuid::new_v4(),
            artifact_id,
            artifact_sha256: picture(&artifact_id.to_string()).sha256,
            golden: None,
            reason: NotComparable::NoGoldenSample,
            detail: "the part has no golden sample".into(),
        };
        self.execute::<Inspection>(id, InspectionCommand::RecordInference(Box::new(result))).await;
    }

    /// A board with one picture and these findings, from opening to judgement: six events.
    pub(crate) async fn inspect(
        &self,
        golden: &GoldenReference,
        confidences: &[f32],
    ) -> InspectionId {
        let id = self.open("board-a").await;
        let artifact = self.upload(id).await;
        self.request_inference(id).await;
        self.compare(id, artifact, golden, confidences).await;
        id
    }
}

/// When every story begins: ten seconds before the full hour.
pub(crate) fn start() -> DateTime<Utc> {
    "2026-03-01T10:59:50Z".parse().unwrap()
}

pub(crate) fn picture(seed: &str) -> Picture {
    Picture {
        sha256: Sha256::digest_of(seed.as_bytes()),
        bytes: 5_000_000_000,
        media_type: MediaType::Png,
        width: 640,
        height: 480,
    }
}

fn model() -> ModelIdentity {
    ModelIdentity { name: "copper".into(), version: "1".into(), sha256: Sha256::digest_of(b"onnx") }
}

fn defect(confidence: f32) -> Defect {
    Defect {
        class: DefectClass::PinHole,
        confidence: Confidence::new(confidence).unwrap(),
        bounds: PixelBox { x: 1, y: 2, width: 3, height: 4 },
    }
}

/// Copper that is joined where the golden sample keeps it apart.
pub(crate) fn difference() -> UnexplainedDifference {
    let bounds = PixelBox { x: 5, y: 6, width: 7, height: 8 };
    UnexplainedDifference { kind: DifferenceKind::Joined, bounds, strength: 2.5 }
}

/// Of a picture of 640 × 480 pixels, 20 of them at the right were not compared.
pub(crate) fn all_but_a_strip() -> Coverage {
    let strip = PixelBox { x: 620, y: 0, width: 20, height: 480 };
    Coverage::new(640 * 480, 620 * 480, vec![strip]).unwrap()
}
