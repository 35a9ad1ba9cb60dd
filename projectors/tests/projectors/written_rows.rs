//! What each read model writes of one history of events, recorded beside its version in `schemas/read_models`.
//!
//! A build that writes something else under the same version would write it beside an older build during a
//! rolling upgrade, and a generation would hold rows of both. The tables are compared when a build takes over
//! (`schema_version`); what is written into them is compared here. Code that reaches no row of this history is
//! not noticed: so every stored event is in it, in every version.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use chrono::TimeDelta;
use domain::{
    AccessAttempts, AccessControl, Aggregate as _, Inspection, ModelRoute, Part, PictureRetention,
    ProjectionRepair, Sha256,
};
use platform::event_log::{EventMetadata, Position, Recorded, StreamId};
use projectors::Projection;
use sqlx::Executor as _;
use uuid::Uuid;

use crate::world::{World, start};

/// A stream, and what happens in it: golden files of `schemas/events`, which are never changed. `other` is
/// the same event of the second picture.
type Story = (&'static str, &'static [&'static str]);

const PARTS: [Story; 3] = [
    ("PCB-1", &["PartRegistered.v1", "GoldenSampleReserved.v1", "GoldenSampleRegistered.v1"]),
    (
        "PCB-2",
        &[
            "PartRegistered.v2",
            "GoldenSampleReserved.v2",
            "GoldenSampleReservationRenewed.v1",
            "GoldenSampleRegistered.v2",
            "RecipeRevised.v1",
            "GoldenSamplesRetired.v1",
        ],
    ),
    (
        "PCB-3",
        &[
            "PartRegistered.v2",
            "GoldenSampleReserved.v3",
            "GoldenSampleRegistered.v3",
            "GoldenSampleReserved.v3 other",
            "GoldenSampleReservationCancelled.v1",
        ],
    ),
];

const INSPECTIONS: [Story; 6] = [
    (
        "01992f70",
        &[
            "InspectionCreated.v1",
            "ArtifactReserved.v1",
            "ArtifactUploaded.v1",
            "ArtifactReserved.v1 other",
            "ArtifactUploaded.v1 other",
            "InferenceRequested.v1",
            "InferenceCompleted.v1",
            "InferenceFailed.v1",
            "InspectionJudged.v1",
            "PicturesRetired.v1",
        ],
    ),
    (
        "01992f71",
        &[
            "InspectionCreated.v2",
            "ArtifactReserved.v2",
            "ArtifactReservationRenewed.v1",
            "ArtifactUploaded.v1",
            "ArtifactReserved.v2 other",
            "InferenceRequested.v1",
            "InferenceCompleted.v2",
            "InspectionJudged.v2",
        ],
    ),
    (
        "01992f72",
        &[
            "InspectionCreated.v2",
            "ArtifactReserved.v3",
            "ArtifactUploaded.v1",
            "ArtifactReserved.v3 other",
            "ArtifactUploaded.v1 other",
            "InferenceRequested.v1",
            "InferenceFailed.v2",
            "InferenceCompleted.v3",
            "InspectionJudged.v3",
        ],
    ),
    (
        "01992f73",
        &[
            "InspectionCreated.v2",
            "ArtifactReserved.v3",
            "ArtifactUploaded.v1",
            "InferenceRequested.v1",
            "InferenceCompleted.v4",
            "InspectionJudged.v4",
        ],
    ),
    (
        "01992f74",
        &[
            "InspectionCreated.v2",
            "ArtifactReserved.v3",
            "ArtifactReservationCancelled.v1",
            "InspectionVoided.v1",
        ],
    ),
    // Not judged yet: what is kept until then is written, too.
    (
        "01992f75",
        &[
            "InspectionCreated.v2",
            "ArtifactReserved.v3",
            "ArtifactUploaded.v1",
            "InferenceRequested.v1",
            "InferenceCompleted.v4",
        ],
    ),
];

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas")
}

/// The stored event of a golden file, with the ids of this stream.
fn golden_payload(stream: &str, step: &str) -> serde_json::Value {
    let (file, other) = step.split_once(' ').map_or((step, false), |(file, _)| (file, true));
    let path = schemas().join(format!("events/{file}.json"));
    let mut text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    if other {
        let (one, two) = ("2a31-7d02-8c11-6f2b9c4e7d21", "2a44-7e19-9b3d-8a5c1d2e3f40");
        text = text.replace("01992f6d-1b7a-7f55-8e90-2c4d6a8b0e12", &format!("01992f6e-{one}"));
        if file.starts_with("Artifact") {
            text = text.replace(one, two);
        }
    }
    let text = match stream.starts_with("PCB") {
        true => text.replace("PCB-100", stream),
        false => text.replace("01992f6e", stream),
    };
    serde_json::from_str(&text).unwrap()
}

/// The whole history, one story after the other.
fn history() -> Vec<Recorded> {
    let parts = PARTS.map(|story| (Part::TYPE, story));
    let inspections = INSPECTIONS.map(|story| (Inspection::TYPE, story));
    let mut events: Vec<Recorded> = Vec::new();
    for (aggregate_type, (name, steps)) in parts.into_iter().chain(inspections) {
        let is_part = aggregate_type == Part::TYPE;
        let id =
            if is_part { name.to_owned() } else { format!("{name}-2a00-7c3e-9a54-3d1f0b7e5a10") };
        for (n, step) in steps.iter().enumerate() {
            let file = step.split(' ').next().unwrap_or_default();
            let (event_type, event_version) = file.split_once(".v").unwrap();
            let position = events.len() as i64 + 1;
            let occurred_at = start() + TimeDelta::minutes(position);
            events.push(Recorded {
                position: Position(position),
                event_id: Uuid::from_u128(position.unsigned_abs().into()),
                command_id: None,
                stream: StreamId {
                    aggregate_type: aggregate_type.into(),
                    aggregate_id: id.clone(),
                },
                sequence: n as u64 + 1,
                event_type: event_type.into(),
                event_version: event_version.into(),
                payload: golden_payload(name, step).into(),
                metadata: EventMetadata::by_service("line-3").with_occurred_at(occurred_at),
                recorded_at: occurred_at + TimeDelta::seconds(1),
            });
        }
    }
    events
}

/// Every row of every table of a generation that has been given the history, one line each.
async fn write_rows(world: &World, projection: &dyn Projection, events: &[Recorded]) -> String {
    let (definition, schema) = (projection.definition(), format!("{}_g1", projection.name()));
    let ours: Vec<&Recorded> = events
        .iter()
        .filter(|event| definition.aggregate_types.contains(&&*event.stream.aggregate_type))
        .collect();
    let mut tx = world.pool.begin().await.unwrap();
    tx.execute(format!("SET LOCAL search_path = {schema}").as_str()).await.unwrap();
    projection.apply(&mut tx, &ours).await.unwrap();
    // Which of those that readers see are views, and what stands behind them, differs by the database.
    let tables = "SELECT table_name::text FROM information_schema.tables
        WHERE table_schema = $1 AND table_name <> 'summary_progress'
          AND (table_type = 'BASE TABLE' OR table_name = ANY($2)) ORDER BY table_name";
    let tables = sqlx::query_scalar(tables).bind(&schema).bind(definition.views);
    let tables: Vec<String> = tables.fetch_all(&mut *tx).await.unwrap();
    let mut written = String::new();
    for table in tables {
        let rows = format!("SELECT row_to_json(t)::text FROM {table} t ORDER BY 1");
        let rows: Vec<String> = sqlx::query_scalar(&rows).fetch_all(&mut *tx).await.unwrap();
        for row in rows {
            writeln!(written, "{table} {row}").unwrap();
        }
    }
    tx.rollback().await.unwrap();
    written
}

#[tokio::test]
async fn what_is_written_changes_with_the_version_only() {
    let (world, events) = (World::new().await, history());
    let steps: Vec<Story> = PARTS.into_iter().chain(INSPECTIONS).collect();
    let digest = Sha256::digest_of(format!("{steps:?}").as_bytes());
    let updates = env::var_os("UPDATE_SCHEMAS").is_some();
    let folder = schemas().join("read_models");
    for projection in projectors::ALL {
        let (name, version) = (projection.name(), projection.definition().schema_version);
        let rows = write_rows(&world, projection, &events).await;
        let written = format!("history {digest}\n{rows}");
        let file = format!("{name}.v{version}.txt");
        let recorded = fs::read_to_string(folder.join(&file)).unwrap_or_default();
        if recorded == written {
            continue;
        }
        let is_same_history = recorded.lines().next() == written.lines().next();
        assert!(
            !is_same_history,
            "{name} writes other rows than {file} says: raise its schema_version, so that builds of both \
             do not write side by side, and record what is written now with UPDATE_SCHEMAS=1.\n\
             recorded:\n{recorded}\nwritten:\n{written}"
        );
        assert!(
            updates,
            "{file} is missing, or of another history: record it with UPDATE_SCHEMAS=1"
        );
        for known in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let known_name = known.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if known_name.split('.').next() == Some(name) {
                fs::remove_file(known).unwrap();
            }
        }
        fs::write(folder.join(file), written).unwrap();
    }
}

#[test]
fn the_history_has_every_stored_event_that_read_models_read() {
    let told = |file: &str| {
        let mut steps = PARTS.iter().chain(&INSPECTIONS).flat_map(|(_, steps)| steps.iter());
        steps.any(|step| step.split(' ').next() == Some(file))
    };
    let files = fs::read_dir(schemas().join("events")).unwrap();
    let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let stored: Vec<_> =
        files.filter_map(|file| file.strip_suffix(".json").map(str::to_owned)).collect();
    // No read model is of these.
    let of_people = [AccessControl::EVENTS, AccessAttempts::EVENTS].concat();
    let others =
        [ModelRoute::EVENTS, PictureRetention::EVENTS, ProjectionRepair::EVENTS, &of_people];
    let others = others.concat();
    let is_of_operators = |file: &str| {
        let name = file.split('.').next();
        others.iter().any(|event| Some(event.name) == name)
    };
    for file in stored.iter().filter(|file| !is_of_operators(file)) {
        assert!(told(file), "{file} happens in no story: add it to one");
    }
    assert!(stored.len() > 30, "the control: the files are found");
}
