//! Every result names its cause, and goes on in the trace and the transaction of what it answers.

use std::sync::Arc;

use domain::{Inspection, InspectionEvent, InspectionId};
use platform::event_log::{ActorRef, Recorded, StreamId};

use crate::line::{Line, board, png};

async fn recorded(line: &Line, inspection: InspectionId) -> Vec<Recorded> {
    let stream = StreamId::for_aggregate::<Inspection>(inspection);
    line.log.read_stream(&stream, 0).await.unwrap().events
}

fn all<'a>(events: &'a [Recorded], event_type: &str) -> Vec<&'a Recorded> {
    events.iter().filter(|event| event.event_type == event_type).collect()
}

fn assert_caused(effect: &Recorded, cause: &Recorded) {
    let (of, by) = (&effect.metadata, &cause.metadata);
    let what = &effect.event_type;
    assert_eq!(of.causation_id, Some(cause.event_id.to_string()), "{what}");
    assert!(by.correlation_id.is_some() && of.correlation_id == by.correlation_id, "{what}");
    assert!(by.traceparent.is_some() && of.traceparent == by.traceparent, "{what}");
    assert_decided_by("inference-worker", effect);
}

fn assert_decided_by(name: &str, event: &Recorded) {
    let service = ActorRef::new(name, &["service"]);
    assert_eq!(event.metadata.actor, Some(service), "{}", event.event_type);
}

/// The result is the judgement's cause, and the judge, not the worker, decides it.
fn assert_judged_after(judged: &Recorded, result: &Recorded) {
    assert_eq!(judged.metadata.causation_id, Some(result.event_id.to_string()));
    assert_decided_by("judge", judged);
    let (of, by) = (&judged.metadata, &result.metadata);
    assert_eq!(of.command_id, by.command_id, "one command recorded both");
    assert_eq!((&of.correlation_id, &of.traceparent), (&by.correlation_id, &by.traceparent));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comparison_and_the_judgement_that_follows_are_caused_by_the_upload_of_their_picture() {
    let line = Line::set_up().await;
    let good = board(true);
    line.register_golden(&good.golden).await;
    let inspection = line.open().await;
    line.upload(inspection, png(&good.test)).await;
    line.upload(inspection, png(&good.test)).await;
    line.infer(inspection).await;
    let worker = line.start_worker();
    line.judged(inspection).await;
    worker.stop().await;

    let events = recorded(&line, inspection).await;
    let uploads = all(&events, InspectionEvent::ARTIFACT_UPLOADED);
    let results = all(&events, InspectionEvent::INFERENCE_COMPLETED);
    assert_eq!((uploads.len(), results.len()), (2, 2));
    for result in &results {
        let artifact = &result.payload["artifact_id"];
        let upload = uploads.iter().find(|upload| &upload.payload["artifact_id"] == artifact);
        assert_caused(result, upload.unwrap());
    }
    let judged = all(&events, InspectionEvent::INSPECTION_JUDGED)[0];
    let completing = results.iter().max_by_key(|result| result.sequence).unwrap();
    assert_judged_after(judged, completing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_review_for_want_of_a_golden_sample_is_caused_by_the_request_for_inference() {
    let line = Line::set_up().await;
    let inspection = line.inspect(png(&board(true).test)).await;
    let worker = line.start_worker();
    line.judged(inspection).await;
    worker.stop().await;

    let events = recorded(&line, inspection).await;
    let requested = all(&events, InspectionEvent::INFERENCE_REQUESTED)[0];
    let failed = all(&events, InspectionEvent::INFERENCE_FAILED)[0];
    assert_caused(failed, requested);
    assert_judged_after(all(&events, InspectionEvent::INSPECTION_JUDGED)[0], failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_work_has_the_same_command_whoever_does_it() {
    let lines = [Line::set_up().await, Line::set_up().await];
    let good = Arc::new(board(true));
    for line in &lines {
        line.register_golden(&good.golden).await;
    }
    let artifact = domain::ArtifactId(uuid::Uuid::new_v4());
    let mut commands = Vec::new();
    for line in &lines {
        let inspection = line.open().await;
        line.upload_as(artifact, inspection, png(&good.test)).await;
        line.infer(inspection).await;
        let worker = line.start_worker();
        line.judged(inspection).await;
        worker.stop().await;
        let events = recorded(line, inspection).await;
        commands.push(all(&events, InspectionEvent::INFERENCE_COMPLETED)[0].command_id.unwrap());
    }
    assert_eq!(commands[0], commands[1]);
}
