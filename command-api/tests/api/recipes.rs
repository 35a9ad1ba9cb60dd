//! Recipes: a new revision is the whole recipe, with who, when and why.

use domain::{Inspection, Part, Reach};
use platform::event_log::StreamId;
use serde_json::{Value, json};

use crate::support::{Call, TestApi, board};

const PATH: &str = "/v1/parts/PCB-1/recipe-revisions";

fn recipe() -> Value {
    json!({
        "fail_at": 0.6,
        "review_at": 0.3,
        "area": {
            "region_of_interest": { "x": 10, "y": 10, "width": 600, "height": 600 },
            "keep_outs": [{ "x": 40, "y": 60, "width": 120, "height": 80 }],
            "tolerated": [],
        },
        "bend_max_px": 4.5,
        "views": ["top", "bottom"],
        "reason": "  the connector is fitted by hand ",
    })
}

fn revise(api: &TestApi) -> Call {
    api.post(PATH).json(recipe())
}

#[tokio::test]
async fn a_new_recipe_is_the_next_revision_with_who_and_why() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let reply = revise(&api).send().await;
    assert_eq!((reply.status, reply.header("etag")), (201, Some(&*api.tag(2).await)), "{reply:?}");
    assert_eq!(reply.header("location"), Some("/v1/parts/PCB-1"));
    assert_eq!((&reply.json["version"], &reply.json["part"]), (&json!(2), &json!("PCB-1")));
    let in_force = &reply.json["recipe"];
    assert_eq!((&in_force["revision"], &in_force["bend_max_px"]), (&json!(2), &json!(4.5)));
    assert_eq!(in_force["area"], recipe()["area"]);
    assert_eq!(in_force["views"], json!(["top", "bottom"]));
    let events =
        api.log.read_stream(&StreamId::for_aggregate::<Part>("PCB-1"), 0).await.unwrap().events;
    assert_eq!(events[1].event_type, "RecipeRevised");
    assert_eq!(events[1].metadata.actor.as_ref().unwrap().subject, "demo");
    assert_eq!(events[1].payload["reason"], "the connector is fitted by hand");
    assert_eq!(&events[1].payload["recipe"], in_force);
}

#[tokio::test]
async fn an_inspection_keeps_the_recipe_that_it_was_created_with() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let before = api.create().await;
    assert_eq!(revise(&api).send().await.status, 201);
    let after = api.create().await;
    for (id, revision, keep_outs) in [(before, 1, 0), (after, 2, 1)] {
        let stream = StreamId::for_aggregate::<Inspection>(&id);
        let created = api.log.read_stream(&stream, 0).await.unwrap().events.remove(0);
        assert_eq!(created.payload["recipe"]["revision"], revision);
        let kept_out = created.payload["recipe"]["area"]["keep_outs"].as_array().unwrap().len();
        assert_eq!(kept_out, keep_outs);
    }
}

#[tokio::test]
async fn the_same_key_is_answered_again_and_the_same_recipe_changes_nothing() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let call = revise(&api).key("once").header("if-match", &api.tag(1).await);
    let first = call.clone().send().await;
    let again = call.send().await;
    assert_eq!((again.status, again.is_replay(), &again.json), (201, true, &first.json));
    let head = api.head().await;
    let same = revise(&api).send().await;
    assert_eq!((same.status, &same.json["recipe"]["revision"]), (201, &json!(2)));
    assert_eq!(api.head().await, head);
}

#[tokio::test]
async fn a_key_whose_answer_has_expired_stands_for_no_command_that_changes_nothing() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    revise(&api).send().await;
    let create = api.post("/v1/inspections").json(board()).key("once");
    assert_eq!(create.clone().send().await.status, 201);
    sqlx::query("DELETE FROM idempotency_keys").execute(&api.pool).await.unwrap();
    let refused = revise(&api).key("once").send().await;
    assert_eq!(refused.problem(), (422, "idempotency-key-reused".into()));
    assert_eq!(create.send().await.problem(), (409, "key-expired".into()));
}

#[tokio::test]
async fn a_recipe_that_somebody_else_revised_meanwhile_is_not_overwritten() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    assert_eq!(revise(&api).header("if-match", &api.tag(1).await).send().await.status, 201);
    let mut other = recipe();
    other["bend_max_px"] = json!(1);
    let stale = api.post(PATH).header("if-match", &api.tag(1).await).json(other).send().await;
    assert_eq!(stale.problem(), (412, "precondition-failed".into()));
    assert_eq!(stale.header("etag"), Some(&*api.tag(2).await));
}

#[tokio::test]
async fn recipes_are_revised_by_those_who_may_write_parts_and_of_parts_that_exist() {
    let api = TestApi::start().await;
    let nobody = revise(&api).send().await;
    assert_eq!(nobody.problem(), (404, "part-not-found".into()));
    api.register_part("PCB-1").await;
    let station = revise(&api).token(&api.token_of("aoi-2", &["station"])).send().await;
    assert_eq!(station.problem(), (403, "missing-scope".into()));
}

#[tokio::test]
async fn an_engineer_of_some_stations_writes_nothing_that_the_others_judge_by() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let golden = "/v1/parts/PCB-1/golden-sample";
    let announce = || api.post(format!("{golden}?type=image/jpeg"));
    let sample = announce().send().await.text("artifact_id");
    let of_station = Reach::new(["AOI-1".parse().unwrap()].into(), [].into()).unwrap();
    let token = api.token_within(of_station, "erin", &["engineer"]);
    let head = api.head().await;
    for call in [
        api.post("/v1/parts").json(json!({ "part": "PCB-2" })),
        revise(&api),
        announce(),
        api.post(format!("{golden}/{sample}/renew")),
        api.post(format!("{golden}/{sample}/cancel")),
    ] {
        let refused = call.token(&token).send().await;
        assert_eq!(refused.problem(), (403, "out-of-reach".into()), "{refused:?}");
    }
    assert_eq!(api.head().await, head, "nothing was appended");
    // The controls: she inspects there, and whoever is limited to the part alone writes it.
    let own = api.post("/v1/inspections").token(&token).json(board()).send().await;
    assert_eq!(own.status, 201, "{own:?}");
    let of_part = Reach::new([].into(), ["PCB-1".parse().unwrap()].into()).unwrap();
    let token = api.token_within(of_part, "pat", &["engineer"]);
    assert_eq!(revise(&api).token(&token).send().await.status, 201);
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named_and_nothing_is_stored() {
    let api = TestApi::start().await;
    api.register_part("PCB-1").await;
    let head = api.head().await;
    let flat = json!({ "x": 0, "y": 0, "width": 4, "height": 0 });
    let cases = [
        ("/fail_at", json!(1.1), "fail_at"),
        ("/review_at", json!(0.7), "review_at"),
        ("/review_at", json!(-1), "review_at"),
        ("/area/region_of_interest", flat.clone(), "area.region_of_interest"),
        ("/area/keep_outs/0", flat.clone(), "area.keep_outs"),
        ("/area/tolerated", json!(vec![flat; 65]), "area.tolerated"),
        ("/bend_max_px", json!(10.5), "bend_max_px"),
        ("/views", json!(["top", "Bottom"]), "views[1]"),
        ("/views", json!(["top", "top"]), "views"),
        ("/reason", json!(" "), "reason"),
        ("/reason", json!("r".repeat(501)), "reason"),
    ];
    let mut all = recipe();
    for (at, value, field) in cases {
        let mut body = recipe();
        *body.pointer_mut(at).unwrap() = value.clone();
        *all.pointer_mut(at).unwrap() = value;
        let reply = api.post(PATH).json(body).send().await;
        assert_eq!(reply.problem(), (422, "validation".into()), "{at}");
        assert_eq!(reply.json["errors"][0]["field"], field, "{at}");
    }
    let reply = api.post(PATH).json(all).send().await;
    let fields: Vec<_> =
        reply.json["errors"].as_array().unwrap().iter().map(|e| e["field"].clone()).collect();
    let area = "area.region_of_interest";
    assert_eq!(fields, ["fail_at", "review_at", area, "bend_max_px", "views", "reason"]);
    for missing in ["fail_at", "review_at", "area", "bend_max_px", "views", "reason"] {
        let mut body = recipe();
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(api.post(PATH).json(body).send().await.problem().0, 422, "{missing}");
    }
    for missing in ["region_of_interest", "keep_outs", "tolerated"] {
        let mut body = recipe();
        body["area"].as_object_mut().unwrap().remove(missing);
        assert_eq!(api.post(PATH).json(body).send().await.problem().0, 422, "{missing}");
    }
    for (at, value, field) in [
        ("/area", json!([null, [], []]), "area"),
        ("/area/region_of_interest", json!([0, 0, 4, 4]), "area.region_of_interest"),
        ("/area/keep_outs/0", json!([0, 0, 4, 4]), "area.keep_outs[0]"),
        ("/area/keep_outs/0", json!("0,0,4,4"), "area.keep_outs[0]"),
    ] {
        let mut body = recipe();
        *body.pointer_mut(at).unwrap() = value;
        let reply = api.post(PATH).json(body).send().await;
        assert_eq!(reply.problem(), (422, "validation".into()), "{at}");
        assert_eq!(reply.json["errors"][0]["field"], field, "{at}");
    }
    let mut unknown = recipe();
    unknown["area"]["keepouts"] = json!([]);
    assert_eq!(api.post(PATH).json(unknown).send().await.problem().0, 422);
    assert_eq!(api.head().await, head);
}
