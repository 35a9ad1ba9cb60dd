//! Pictures are retired when their time is over: on a real database, and in a real folder.

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{TimeDelta, Utc};
use domain::{
    Aggregate, ArtifactId, GoldenPurpose, GoldenSampleUse, Inspection, InspectionCommand,
    InspectionId, MediaType, Part, PartCommand, Picture, PictureRetention, PictureRetentionCommand,
    Recipe, RetentionDays, RetentionPeriods,
};
use futures::{FutureExt as _, stream};
use platform::artifact_store::{ArtifactStore, UploadLimits};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, EventMetadata, Position};
use platform::execute::{Request, execute};
use platform::follower::{Followers, LogReactorFollower, LogTail, run_follower};
use platform::shutdown::Shutdown;
use platform::test_support::{TestDatabase, artifact_store_in, fresh_database, put_stream};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::reactor::Retention;
use crate::service::deleted_files;

/// How long something may take that is to happen, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct Line {
    database: TestDatabase,
    log: Arc<PostgresEventLog>,
    folder: tempfile::TempDir,
    artifacts: ArtifactStore,
    /// Days by which the clock is ahead of the database's.
    ahead: Arc<AtomicI64>,
}

impl Line {
    async fn new() -> Self {
        let (database, folder) = (fresh_database().await, tempfile::tempdir().unwrap());
        let log = Arc::new(PostgresEventLog::new(database.pool()));
        let artifacts = artifact_store_in(folder.path());
        Self { database, log, folder, artifacts, ahead: Arc::default() }
    }

    /// Another process of the role.
    fn start(&self) -> Running {
        let (pool, ahead) = (self.database.pool(), Arc::clone(&self.ahead));
        let clock = move || {
            let (pool, days) = (pool.clone(), ahead.load(Ordering::SeqCst));
            let now = async move {
                let sql = "SELECT clock_timestamp() + make_interval(days => $1)";
                sqlx::query_scalar(sql).bind(i32::try_from(days).unwrap()).fetch_one(&pool).await
            };
            now.boxed()
        };
        let reactor = Retention {
            pool: self.database.pool(),
            log: self.log.clone(),
            artifacts: self.artifacts.clone(),
            clock: Arc::new(clock),
            deleted: deleted_files(),
        };
        let (pool, tail) = (self.database.pool(), LogTail::new(self.log.clone()));
        let follower = LogReactorFollower { reactor, pool, tail, page_events: 100 };
        let (status, stop) = (Followers::new().register(crate::PICTURE_RETENTION), Shutdown::new());
        let task = tokio::spawn(run_follower(follower, status, stop.child()));
        Running { stop, task }
    }

    async fn execute<A: Aggregate<Command: Clone>>(&self, id: &str, command: A::Command) {
        let request = Request::<A> {
            aggregate_id: id.to_owned(),
            command,
            is_new: false,
            if_match: None,
            metadata: EventMetadata::by_service("test"),
        };
        execute(&*self.log, request).await.unwrap_or_else(|error| panic!("{error}"));
    }

    /// An inspection with a picture, which is withdrawn.
    async fn withdrawn_inspection(&self, shade: u8) -> ArtifactId {
        let (id, artifact_id) = (InspectionId(Uuid::now_v7()), ArtifactId(Uuid::now_v7()));
        let picture = self.store(artifact_id, shade).await;
        for command in [
            InspectionCommand::CreateInspection {
                inspection_id: id,
                lot: "L-1".parse().unwrap(),
                part: "P-1".parse().unwrap(),
                station: "AOI-1".parse().unwrap(),
                recipe: Recipe::factory(0),
                golden_sample_revision: None,
            },
            InspectionCommand::ReserveArtifact {
                artifact_id,
                media_type: MediaType::Png,
                view: None,
                pixels_per_millimetre: None,
                expires_at: Utc::now() + TimeDelta::minutes(15),
            },
            InspectionCommand::UploadArtifact { artifact_id, picture },
            InspectionCommand::Void { reason: "wrong lot".to_owned() },
        ] {
            self.execute::<Inspection>(&id.to_string(), command).await;
        }
        artifact_id
    }

    /// A golden sample that takes the place of the one before.
    async fn golden_sample(&self, shade: u8) -> ArtifactId {
        let artifact_id = ArtifactId(Uuid::now_v7());
        let purpose = GoldenPurpose::new(GoldenSampleUse::Replacement, None, None).unwrap();
        let now = Utc::now();
        let reserve = PartCommand::ReserveGoldenSample {
            artifact_id,
            media_type: MediaType::Png,
            purpose,
            pixels_per_millimetre: None,
            now,
            expires_at: now + TimeDelta::minutes(15),
        };
        self.execute::<Part>("P-1", reserve).await;
        let picture = self.store(artifact_id, shade).await;
        self.execute::<Part>("P-1", PartCommand::RegisterGoldenSample { artifact_id, picture })
            .await;
        artifact_id
    }

    async fn store(&self, id: ArtifactId, shade: u8) -> Picture {
        let mut png = Cursor::new(Vec::new());
        let picture = image::GrayImage::from_pixel(16, 16, image::Luma([shade]));
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(png.into_inner()))]);
        let limits = UploadLimits::default();
        put_stream(&self.artifacts, id, body, (&limits, MediaType::Png)).await.unwrap()
    }

    async fn keep_for(&self, periods: RetentionPeriods) {
        let reason = "the disk is small".to_owned();
        let revise = PictureRetentionCommand::RevisePictureRetention { periods, reason };
        self.execute::<PictureRetention>(PictureRetention::ID, revise).await;
    }

    async fn is_kept(&self, id: ArtifactId) -> bool {
        self.artifacts.is_at_rest(id).await.unwrap()
    }

    async fn wait_until_gone(&self, id: ArtifactId) {
        let gone = async {
            while self.is_kept(id).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.expect("its file is deleted");
    }

    async fn checkpoint(&self) -> Position {
        let sql = "SELECT coalesce(max(position), 0) FROM follower_leases
                   WHERE follower = $1 AND partition = 0";
        let name = crate::PICTURE_RETENTION;
        Position(sqlx::query_scalar(sql).bind(name).fetch_one(&self.database.pool()).await.unwrap())
    }

    /// How many events of this name there are.
    async fn count(&self, event_type: &str) -> usize {
        let page = self.log.read_all(Position(0), 10_000).await.unwrap();
        page.events.iter().filter(|event| event.event_type == event_type).count()
    }
}

struct Running {
    stop: Shutdown,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.request();
        self.task.await.unwrap();
    }

    /// Until everything that is in the log was given to it and done.
    async fn catch_up(&self, line: &Line) {
        let end = line.log.head().await.unwrap();
        let reached = async {
            while line.checkpoint().await < end {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("it follows the log");
    }
}

fn days(days: u32) -> Option<RetentionDays> {
    Some(RetentionDays::new(days).unwrap())
}

fn void_for(period: u32) -> RetentionPeriods {
    RetentionPeriods { void_days: days(period), ..RetentionPeriods::default() }
}

#[tokio::test]
async fn a_picture_is_retired_when_its_period_is_over_and_not_before() {
    let line = Line::new().await;
    let old = line.withdrawn_inspection(1).await;
    line.keep_for(void_for(30)).await;
    let running = line.start();
    running.catch_up(&line).await;
    line.ahead.store(29, Ordering::SeqCst);
    // Another policy makes it look at once.
    line.keep_for(RetentionPeriods { pass_days: days(1), ..void_for(30) }).await;
    running.catch_up(&line).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(line.is_kept(old).await, "29 days are not 30");

    line.ahead.store(31, Ordering::SeqCst);
    line.keep_for(void_for(30)).await;
    line.wait_until_gone(old).await;
    assert_eq!(line.count("PicturesRetired").await, 1);
    running.stop().await;
}

#[tokio::test]
async fn without_a_policy_everything_is_kept_however_old_it_is() {
    let line = Line::new().await;
    let old = line.withdrawn_inspection(1).await;
    line.ahead.store(36_500, Ordering::SeqCst);
    let running = line.start();
    running.catch_up(&line).await;
    line.keep_for(RetentionPeriods { pass_days: days(1), ..RetentionPeriods::default() }).await;
    running.catch_up(&line).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(line.is_kept(old).await, "it is of a class without a period");
    assert_eq!(line.count("PicturesRetired").await, 0);
    running.stop().await;
}

#[tokio::test]
async fn a_golden_sample_is_kept_while_it_is_in_force_and_for_its_period_after_that() {
    let line = Line::new().await;
    let part = "P-1".parse().unwrap();
    line.execute::<Part>("P-1", PartCommand::RegisterPart { part }).await;
    let first = line.golden_sample(1).await;
    let second = line.golden_sample(2).await;
    line.ahead.store(400, Ordering::SeqCst);
    let running = line.start();
    let golden = RetentionPeriods { golden_sample_days: days(365), ..Default::default() };
    line.keep_for(golden).await;
    line.wait_until_gone(first).await;
    running.catch_up(&line).await;
    assert!(line.is_kept(second).await, "it is in force");
    assert_eq!(line.count("GoldenSamplesRetired").await, 1);
    running.stop().await;
}

/// What is in the log is done by whoever comes next; and what another process retired is not retired twice.
#[tokio::test]
async fn a_process_that_dies_between_event_and_file_leaves_nothing_undone() {
    let line = Line::new().await;
    let pictures = [line.withdrawn_inspection(1).await, line.withdrawn_inspection(2).await];
    line.keep_for(void_for(1)).await;
    line.ahead.store(2, Ordering::SeqCst);
    // The store is away: what is retired is written, and no file deleted.
    let artifacts = line.folder.path().join("artifacts/artifacts");
    let away = line.folder.path().join("away");
    std::fs::rename(&artifacts, &away).unwrap();
    std::fs::write(&artifacts, b"no folder").unwrap();
    let running = line.start();
    let written = async {
        while line.count("PicturesRetired").await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, written).await.expect("the log says so");
    running.task.abort();
    std::fs::remove_file(&artifacts).unwrap();
    std::fs::rename(&away, &artifacts).unwrap();
    assert!(line.is_kept(pictures[0]).await && line.is_kept(pictures[1]).await);

    let others = [line.start(), line.start()];
    for picture in pictures {
        line.wait_until_gone(picture).await;
    }
    assert_eq!(line.count("PicturesRetired").await, 2);
    for running in others {
        running.stop().await;
    }
}

/// A checkpoint that went back with a restored log takes along how far each class was looked through.
#[tokio::test]
async fn a_checkpoint_that_was_moved_back_is_gone_on_from() {
    let line = Line::new().await;
    let before = line.withdrawn_inspection(1).await;
    line.keep_for(void_for(1)).await;
    line.ahead.store(2, Ordering::SeqCst);
    let running = line.start();
    line.wait_until_gone(before).await;
    running.catch_up(&line).await;
    running.stop().await;
    let back = "UPDATE follower_leases SET position = 0 WHERE follower = $1 AND partition = 0";
    sqlx::query(back).bind(crate::PICTURE_RETENTION).execute(&line.database.pool()).await.unwrap();
    let after = line.withdrawn_inspection(2).await;
    let running = line.start();
    line.wait_until_gone(after).await;
    assert_eq!(line.count("PicturesRetired").await, 2, "the first is not retired again");
    running.stop().await;
}
