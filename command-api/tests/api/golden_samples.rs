//! Golden samples: for a use and a view, and pinned by the inspections that come after.

use domain::{Inspection, Part};
use platform::event_log::StreamId;
use serde_json::json;

use crate::pictures::{blank, jpeg, thumbnail};
use crate::support::TestApi;

async fn upload(api: &TestApi, query: &str, seed: u8) {
    let path = format!("/v1/parts/PCB-1/golden-sample?type=image/jpeg{query}");
    let reply = api.post(path).send().await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let put = api.put(&reply.text("upload_url"), jpeg(seed)).send().await;
    assert_eq!(put.status, 201, "{put:?}");
}

#[tokio::test]
async fn golden_samples_are_for_a_use_and_a_view_with_the_reason() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    upload(&api, "&view=top", 1).await;
    upload(&api, "&use=variant&view=top&reason=second%20supplier", 2).await;
    upload(&api, "&use=accepted-board&view=top&reason=tenth%20good%20board", 3).await;
    let events =
        api.log.read_stream(&StreamId::for_aggregate::<Part>("PCB-1"), 0).await.unwrap().events;
    let registered: Vec<_> = events
        .iter()
        .filter(|event| event.event_type == "GoldenSampleRegistered")
        .map(|event| {
            let said = |field: &str| event.payload[field].clone();
            assert_eq!(event.metadata.actor.as_ref().unwrap().subject, "demo");
            (said("use"), said("view"), said("reason"))
        })
        .collect();
    let top = json!("top");
    let expected = [
        (json!("replacement"), top.clone(), json!(null)),
        (json!("variant"), top.clone(), json!("second supplier")),
        (json!("accepted-board"), top, json!("tenth good board")),
    ];
    assert_eq!(registered, expected);
}

#[tokio::test]
async fn an_inspection_pins_the_latest_golden_sample_of_its_creation() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let without = api.create().await;
    upload(&api, "", 1).await;
    let first = api.create().await;
    upload(&api, "", 2).await;
    let second = api.create().await;
    for (id, revision) in [(without, json!(null)), (first, json!(1)), (second, json!(2))] {
        let stream = StreamId::for_aggregate::<Inspection>(&id);
        let created = api.log.read_stream(&stream, 0).await.unwrap().events.remove(0);
        assert_eq!(created.payload["golden_sample_revision"], revision);
        let withdrawn = api.post(format!("/v1/inspections/{id}/void"));
        let withdrawn = withdrawn.json(json!({ "reason": "seen enough" })).send().await;
        assert_eq!(withdrawn.json["golden_sample_revision"], revision, "{withdrawn:?}");
    }
}

#[tokio::test]
async fn a_picture_is_announced_as_the_view_that_it_shows() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let path = format!("/v1/inspections/{id}/artifacts?type=image/jpeg&view=top");
    assert_eq!(api.post(path).send().await.status, 201);
    let events =
        api.log.read_stream(&StreamId::for_aggregate::<Inspection>(&id), 0).await.unwrap().events;
    assert_eq!(events[1].payload["view"], "top");
}

#[tokio::test]
async fn the_scale_of_a_golden_sample_and_of_a_picture_is_recorded() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    upload(&api, "&pixels_per_millimetre=48.5", 1).await;
    let part = StreamId::for_aggregate::<Part>("PCB-1");
    let registered = api.log.read_stream(&part, 0).await.unwrap().events.pop().unwrap();
    assert_eq!(registered.event_type, "GoldenSampleRegistered");
    assert_eq!(registered.payload["pixels_per_millimetre"], 48.5);

    let id = api.create().await;
    let path =
        format!("/v1/inspections/{id}/artifacts?type=image/jpeg&pixels_per_millimetre=48.25");
    assert_eq!(api.post(path).send().await.status, 201);
    let events =
        api.log.read_stream(&StreamId::for_aggregate::<Inspection>(&id), 0).await.unwrap().events;
    assert_eq!(events[1].payload["pixels_per_millimetre"], 48.25);
}

#[tokio::test]
async fn a_sample_of_another_scale_does_not_stand_beside_a_golden_sample() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    upload(&api, "&pixels_per_millimetre=48", 1).await;
    let beside = "/v1/parts/PCB-1/golden-sample?type=image/jpeg&use=variant&reason=blue";
    for scale in ["", "&pixels_per_millimetre=24"] {
        let reply = api.post(format!("{beside}{scale}")).send().await;
        assert_eq!(reply.problem(), (409, "scale-mismatch".into()), "{reply:?}");
        assert!(reply.text("detail").contains("the golden sample in force 48 px/mm"), "{reply:?}");
    }
    upload(&api, "&use=variant&reason=blue&pixels_per_millimetre=48.4", 2).await;
}

/// Announces a golden sample: where it is to be sent.
async fn announce(api: &TestApi, query: &str) -> String {
    let path = format!("/v1/parts/PCB-1/golden-sample?type=image/jpeg{query}");
    let reply = api.post(path).send().await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.text("upload_url")
}

/// A board whose scan says nothing of its last rows.
fn damaged() -> Vec<u8> {
    let whole = jpeg(1);
    let cut = whole.len() * 3 / 4;
    [&whole[..cut], b"\xff\xd9"].concat()
}

#[tokio::test]
async fn a_golden_sample_that_nothing_can_be_compared_with_is_refused_and_its_slot_stays_free() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let url = announce(&api, "").await;
    let before = (api.stored_files(), api.event_types().await);
    for (bytes, why) in [
        (damaged(), "truncated or damaged"),
        (blank(), "shows nothing"),
        (thumbnail(), "smaller than 96 × 96"),
    ] {
        let reply = api.put(&url, bytes).send().await;
        assert_eq!(reply.problem(), (422, "golden-sample-unusable".into()), "{reply:?}");
        assert!(reply.text("detail").contains(why), "{why}: {reply:?}");
        assert_eq!((api.stored_files(), api.event_types().await), before, "nothing is left");
    }
    assert_eq!(api.put(&url, jpeg(1)).send().await.status, 201);
    assert_eq!(api.put(&url, jpeg(1)).send().await.status, 200, "the same bytes again");
}

#[tokio::test]
async fn what_stands_beside_a_golden_sample_has_to_go_with_it() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    upload(&api, "", 1).await;
    for (usage, bytes, which) in [
        ("variant", blank(), "variant 1 of the golden sample: the golden sample shows"),
        ("variant", damaged(), "variant 1 of the golden sample: the picture is truncated"),
        ("accepted-board", blank(), "accepted board 1: the picture shows nothing"),
        ("accepted-board", thumbnail(), "accepted board 1: the picture is (64, 48) pixels"),
        ("accepted-board", damaged(), "accepted board 1: the picture is truncated"),
    ] {
        let url = announce(&api, &format!("&use={usage}&reason=good")).await;
        let reply = api.put(&url, bytes).send().await;
        assert_eq!(reply.problem(), (422, "golden-sample-unusable".into()), "{reply:?}");
        assert!(reply.text("detail").contains(which), "{which}: {reply:?}");
    }
    upload(&api, "&use=variant&reason=second%20supplier", 2).await;
    upload(&api, "&use=accepted-board&reason=tenth%20good%20board", 3).await;
}
