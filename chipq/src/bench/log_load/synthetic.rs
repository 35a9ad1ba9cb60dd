//! Events as the platform writes them, without the work behind them.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::{TimeDelta, Utc};
use domain::inspection::{GoldenReference, ModelIdentity, Registration, Timing};
use domain::{
    ArtifactId, Confidence, Coverage, Defect, DefectClass, FiredRule, Inspection, InspectionEvent,
    InspectionId, Judgement, Lot, MediaType, Part, PartEvent, PartNumber, Picture, PixelBox,
    Recipe, Sha256, Station,
};
use platform::event_log::{Append, EventLog, EventMetadata, NewEvent, Position, StreamId};
use tokio::task::JoinSet;
use uuid::Uuid;

/// Registers a part that nobody uses; answers with the event's position.
pub(in crate::bench) async fn append_part(log: &dyn EventLog) -> anyhow::Result<Position> {
    let name = format!("BENCH-{}", Uuid::new_v4().simple());
    let event = PartEvent::PartRegistered { part: name.parse()?, recipe: Recipe::factory(1) };
    let append = append_request(
        StreamId::for_aggregate::<Part>(&name),
        vec![NewEvent::from_domain::<Part>(&event)?],
    );
    log.append(append).await?.position.context("nothing was appended")
}

/// Appends at least `events` events of judged inspections, several at a time.
pub(in crate::bench) async fn fill_log(
    log: &Arc<dyn EventLog>,
    events: usize,
    writers: usize,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let log = Arc::clone(log);
        tasks.spawn(async move {
            let mut written = 0;
            while written < events.div_ceil(writers) {
                let (stream, new) = synthetic_inspection(written + writer)?;
                written += new.len();
                log.append(append_request(stream, new)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

fn append_request(stream: StreamId, events: Vec<NewEvent>) -> Append {
    let metadata = EventMetadata::by_service("bench").with_command_id(Uuid::new_v4());
    Append::new(stream, 0, events, metadata)
}

/// The whole life of one inspection with four defects.
fn synthetic_inspection(n: usize) -> anyhow::Result<(StreamId, Vec<NewEvent>)> {
    let inspection_id = InspectionId(Uuid::now_v7());
    let artifact_id = ArtifactId(Uuid::now_v7());
    let picture = Picture {
        sha256: Sha256::digest_of(artifact_id.to_string().as_bytes()),
        bytes: 20_000,
        media_type: MediaType::Png,
        width: 640,
        height: 640,
    };
    let events = [
        InspectionEvent::InspectionCreated {
            inspection_id,
            lot: Lot::new(&format!("LOT-{}", n / 600))?,
            part: PartNumber::new(&format!("PART-{}", n % 5))?,
            station: Station::new(&format!("AOI-{}", n % 3))?,
            recipe: Recipe::factory(1),
            golden_sample_revision: Some(1),
        },
        InspectionEvent::ArtifactReserved {
            artifact_id,
            media_type: MediaType::Png,
            view: None,
            pixels_per_millimetre: None,
            expires_at: Utc::now() + TimeDelta::minutes(15),
        },
        InspectionEvent::ArtifactUploaded { artifact_id, picture: picture.clone() },
        InspectionEvent::InferenceRequested { artifacts: vec![artifact_id] },
        completed_inference(artifact_id, picture)?,
        InspectionEvent::InspectionJudged {
            judgement: Judgement::Fail,
            rules: vec![FiredRule::Defect { class: DefectClass::Open, count: 4 }],
            recipe_revision: 1,
        },
    ];
    let new = events.iter().map(NewEvent::from_domain::<Inspection>).collect::<Result<_, _>>()?;
    Ok((StreamId::for_aggregate::<Inspection>(inspection_id), new))
}

fn completed_inference(
    artifact_id: ArtifactId,
    picture: Picture,
) -> anyhow::Result<InspectionEvent> {
    let confidence = Confidence::new(0.9)?;
    let defect = |n: u32| Defect {
        class: DefectClass::Open,
        confidence,
        bounds: PixelBox { x: 40 * n, y: 40, width: 30, height: 30 },
    };
    Ok(InspectionEvent::InferenceCompleted {
        result_id: Uuid::now_v7(),
        artifact_id,
        picture,
        golden: GoldenReference {
            artifact_id: ArtifactId(Uuid::nil()),
            revision: 1,
            sha256: Sha256::digest_of(b"golden"),
        },
        model: ModelIdentity {
            name: "bench".to_owned(),
            version: "1".to_owned(),
            sha256: Sha256::digest_of(b"model"),
        },
        recipe_revision: 1,
        registration: Registration { dx: 0.0, dy: 0.0, score: 1.0, bend: None },
        defects: (0..4).map(defect).collect(),
        differences: Vec::new(),
        coverage: Some(Coverage::complete(640 * 640)),
        timing: Timing { queue_ms: 1, compute_ms: 20, total_ms: 40 },
    })
}
