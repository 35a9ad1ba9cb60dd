//! REST: strict queries, strong ETags, pictures.

use domain::Sha256;
use serde_json::json;

use super::world::{World, artifact_id};

#[tokio::test]
async fn unknown_repeated_and_malformed_parameters_are_refused() {
    let world = World::new().await;
    for path in [
        "/v1/inspections?colour=red",
        "/v1/inspections?lot=a&lot=b",
        "/v1/inspections?judgement=PASS",
        "/v1/inspections?lot=",
        "/v1/inspections?station=%20x",
        "/v1/inspections?state=done",
        "/v1/parts?limit=ten",
        "/v1/parts?has_golden_sample=maybe",
        "/v1/reports?page=2",
        "/v1/reports/00000000-0000-0000-0000-000000000000?format=pdf",
        "/v1/inspections?lot=%FF",
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.problem(), (400, "invalid-query".into()), "{path}");
    }
    let named = world.get("/v1/inspections?colour=red").await.json();
    assert!(named["detail"].as_str().unwrap().contains("colour"), "{named}");
}

#[tokio::test]
async fn a_number_that_makes_no_sense_is_refused_with_what_it_must_be() {
    let world = World::new().await;
    let lists = ["/v1/inspections", "/v1/parts", "/v1/reports", "/v1/defects"];
    for list in lists {
        for size in ["0", "-1", "201", "1e2", "+-1", "ten", "99999999999", "1.5", "NaN", ""] {
            let problem = world.get(&format!("{list}?limit={size}")).await;
            assert_eq!(problem.problem(), (400, "invalid-query".into()), "{list} {size}");
            let detail = problem.json()["detail"].to_string();
            assert!(detail.contains("limit: must be 1 to 200"), "{detail}");
        }
        for place in ["-1", "1.5", "4711", "-1.00000000000000000000000000000000", "x", ""] {
            let problem = world.get(&format!("{list}?min_position={place}")).await;
            assert_eq!(problem.problem(), (400, "invalid-query".into()), "{list} {place}");
            let detail = problem.json()["detail"].to_string();
            assert!(detail.contains("min_position: must be an X-Log-Position"), "{detail}");
        }
    }
    for (wrong, must) in [
        ("min_confidence=much", "must be a number from 0 to 1"),
        ("min_confidence=NaN", "must be a number from 0 to 1"),
        ("min_confidence=-0.1", "must be a number from 0 to 1"),
        ("min_confidence=inf", "must be a number from 0 to 1"),
        ("from=yesterday", "from: must be a time with its offset"),
        ("to=-1", "to: must be a time with its offset"),
        ("from=9999999999", "from: must be a time with its offset"),
    ] {
        let problem = world.get(&format!("/v1/defects?lot=L&{wrong}")).await;
        assert_eq!(problem.problem(), (400, "invalid-query".into()), "{wrong}");
        let detail = problem.json()["detail"].to_string();
        assert!(detail.contains(must), "{wrong}: {detail}");
    }
}

#[tokio::test]
async fn a_nul_character_is_refused_wherever_it_stands() {
    let world = World::new().await;
    for path in ["/v1/inspections?lot=a%00b", "/v1/inspections/%00"] {
        assert_eq!(world.get(path).await.problem(), (400, "nul-character".into()), "{path}");
    }
    let query = json!({"query": "query($f: DefectFilter) { defects(filter: $f) { nodes { number } } }",
                       "variables": {"f": {"lot": "a\u{0}b"}}});
    let answer = world.post_graphql(&world.token(), &query).await;
    assert_eq!(answer.problem(), (422, "validation".into()));
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let world = World::new().await;
    let id = uuid::Uuid::now_v7();
    for path in [
        format!("/v1/inspections/{id}"),
        "/v1/inspections/x".into(),
        format!("/v1/reports/{id}"),
        format!("/v1/artifacts/{id}"),
        "/v1/parts/nothing".into(),
        format!("/v1/parts/{}", "x".repeat(65)),
        "/v1/nothing".into(),
    ] {
        assert_eq!(world.get(&path).await.problem(), (404, "not-found".into()), "{path}");
    }
}

#[tokio::test]
async fn who_prefers_to_wait_is_answered_when_it_is_judged_or_when_the_wait_is_over() {
    let world = World::new().await;
    let id = world.insert_inspection(3, 1).await;
    let set = async |state: &str, judged_at: &str, judgement: &str| {
        world
            .execute(&format!(
                "UPDATE read.inspections SET state = '{state}', judged_at = {judged_at},
                     judgement = {judgement}"
            ))
            .await;
    };
    set("inferring", "NULL", "NULL").await;
    world.reach(3).await;
    let path = format!("/v1/inspections/{id}");
    let undecided = world.get_with(&path, &[("prefer", "wait=1")]).await;
    assert_eq!(
        (undecided.status.as_u16(), undecided.header("preference-applied")),
        (200, "wait=1")
    );
    assert!(undecided.json()["judgement"].is_null());
    assert_eq!(world.get(&path).await.header("preference-applied"), "");

    let judge = async {
        set("judged", "now()", "'fail'").await;
        world.reach(4).await;
    };
    let (decided, ()) = tokio::join!(world.get_with(&path, &[("prefer", "wait=20")]), judge);
    let body = decided.json();
    assert_eq!(
        (&body["judgement"], decided.header("preference-applied")),
        (&json!("fail"), "wait=20")
    );
    assert_eq!(decided.header("x-log-position"), world.place(4).await);
}

#[tokio::test]
async fn findings_are_listed_with_their_boxes() {
    let world = World::new().await;
    let id = world.insert_inspection(3, 2).await;
    world.insert_inspection(4, 1).await;
    world.reach(4).await;
    let body = world.get(&format!("/v1/defects?inspection_id={id}")).await.json();
    let found = body["items"].as_array().unwrap();
    assert_eq!(found.len(), 2, "{body}");
    assert_eq!(found[0]["box"], json!({"x": 1, "y": 2, "width": 3, "height": 4}));
    let on_board = json!({"x": 0.021, "y": 0.041, "width": 0.062, "height": 0.083});
    assert_eq!(found[0]["box_mm"], on_board);
    world.execute("UPDATE read.defects SET pixels_per_millimetre = NULL").await;
    let unknown = world.get(&format!("/v1/defects?inspection_id={id}")).await.json();
    assert_eq!(unknown["items"][0].get("box_mm"), Some(&json!(null)), "{unknown}");
    assert_eq!((&found[0]["class"], &found[0]["confidence"]), (&json!("open"), &json!(0.9)));
    assert_eq!(found[0]["artifact_id"], artifact_id(3).to_string());
    let first = world.get("/v1/defects?lot=L0&limit=1").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("/v1/defects?lot=L0&limit=1&cursor={cursor}")).await.json();
    assert_ne!(first["items"][0]["number"], second["items"][0]["number"]);
    assert_eq!(world.get("/v1/defects?class=short").await.json()["items"], json!([]));
    for wrong in ["min_confidence=0.5", "min_confidence=2&lot=L0", "class=Open", "from=yesterday"] {
        let answer = world.get(&format!("/v1/defects?{wrong}")).await;
        assert_eq!(answer.problem(), (400, "invalid-query".into()), "{wrong}");
    }
}

#[tokio::test]
async fn a_picture_says_whether_it_is_its_golden_sample_byte_for_byte() {
    let world = World::new().await;
    let id = world.insert_inspection(3, 1).await;
    for (golden, identical) in [
        ("NULL", json!(null)),
        ("repeat('ab', 32)", json!(true)),
        ("repeat('cd', 32)", json!(false)),
    ] {
        world.execute(&format!("UPDATE read.artifacts SET golden_sha256 = {golden}")).await;
        let body = world.get(&format!("/v1/inspections/{id}")).await.json();
        let picture = &body["artifacts"][0];
        assert_eq!(picture["identical_to_golden_sample"], identical, "{body}");
        let difference = json!([{"kind": "joined", "strength": 1.5,
            "box": {"x": 5, "y": 6, "width": 7, "height": 8},
            "box_mm": {"x": 0.104, "y": 0.124, "width": 0.145, "height": 0.166}}]);
        assert_eq!(picture["differences"], difference);
        let query =
            "query($id: ID!) { inspection(id: $id) { artifacts { identicalToGoldenSample } } }";
        let data = world.query(query, json!({"id": id})).await;
        let picture = &data["inspection"]["artifacts"][0];
        assert_eq!(picture["identicalToGoldenSample"], identical, "{data}");
    }
}

#[tokio::test]
async fn an_inspection_s_etag_is_its_version() {
    let world = World::new().await;
    let id = world.insert_inspection(3, 1).await;
    world.reach(3).await;
    let path = format!("/v1/inspections/{id}");
    let answer = world.get(&path).await;
    let (tag, place) = (world.tag(5).await, world.place(3).await);
    assert_eq!((answer.header("etag"), answer.header("x-log-position")), (&*tag, &*place));
    let body = answer.json();
    assert_eq!((&body["judgement"], &body["lot"]), (&json!("fail"), &json!("L0")));
    assert_eq!((&body["version"], &body["position"]), (&json!(5), &json!(3)));
    assert_eq!(body["rules"][0], json!({"rule": "defect", "class": "open", "count": 1}));
    assert_eq!(body["artifacts"][0]["artifact_id"], artifact_id(3).to_string());
    assert_eq!(body["difference_count"], 1);
    assert_eq!(body["artifacts"][0]["coverage"]["compared_pixels"], 297_600);
    assert_eq!(body["artifacts"][0]["differences"][0]["kind"], "joined");
    assert_eq!(body["timeline"][0]["event_type"], "InspectionCreated");
    assert_eq!(
        body["report_id"],
        domain::ReportId::for_inspection(domain::InspectionId(id)).to_string()
    );
    for known in [&tag, &format!("W/{tag}"), &format!("\"1\", {tag}"), "*"] {
        let unchanged = world.get_with(&path, &[("if-none-match", known)]).await;
        assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0), "{known}");
        assert_eq!(unchanged.header("etag"), tag);
    }
    world.execute("UPDATE read.inspections SET version = 6").await;
    let changed = world.get_with(&path, &[("if-none-match", &tag)]).await;
    assert_eq!((changed.status.as_u16(), changed.header("etag")), (200, &*world.tag(6).await));
}

#[tokio::test]
async fn a_picture_is_served_to_whoever_may_see_it() {
    let world = World::new().await;
    let id = world.insert_inspection(1, 0).await;
    let (png, sha256) = picture();
    world.store(artifact_id(1), &png).await;
    world.execute(&format!("UPDATE read.artifacts SET sha256 = '{sha256}'")).await;

    let path = format!("/v1/artifacts/{}", artifact_id(1));
    let answer = world.get(&path).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &png));
    assert_eq!(answer.header("content-type"), "image/png");
    assert_eq!(answer.header("content-length"), png.len().to_string());
    assert!(answer.header("cache-control").contains("private"));
    assert!(answer.header("cache-control").contains("immutable"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let etag = answer.header("etag").to_owned();
    let unchanged = world.get_with(&path, &[("if-none-match", &etag)]).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));

    world.execute("UPDATE read.artifacts SET sha256 = NULL, state = 'reserved'").await;
    assert_eq!(world.get(&path).await.problem().0, 404);
    assert_eq!(world.get(&format!("/v1/artifacts/{id}")).await.problem().0, 404);
}

pub(super) fn picture() -> (Vec<u8>, Sha256) {
    let mut png = std::io::Cursor::new(Vec::new());
    let board = image::GrayImage::from_fn(64, 48, |x, y| {
        image::Luma([if (x + y) % 7 < 3 { 255 } else { 0 }])
    });
    board.write_to(&mut png, image::ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let sha256 = Sha256::digest_of(&png);
    (png, sha256)
}

#[tokio::test]
async fn pictures_and_their_findings_come_in_the_order_in_which_they_were_announced() {
    let world = World::new().await;
    let id = world.insert_inspection(3, 2).await;
    // Announced later, with a smaller id, and compared earlier.
    let (earlier, later) = (artifact_id(3), artifact_id(-9));
    assert!(later < earlier);
    for table in ["artifacts", "defects"] {
        world
            .execute(&format!(
                "CREATE TEMPORARY TABLE one AS SELECT * FROM read.{table};
                 UPDATE one SET artifact_id = '{later}', announced_sequence = 3;
                 INSERT INTO read.{table} SELECT * FROM one;
                 DROP TABLE one"
            ))
            .await;
    }
    let wanted = [earlier.to_string(), later.to_string()];
    let detail = world.get(&format!("/v1/inspections/{id}")).await.json();
    let pictures = detail["artifacts"].as_array().unwrap().iter();
    assert_eq!(pictures.map(|one| one["artifact_id"].clone()).collect::<Vec<_>>(), wanted);
    let query =
        "query($id: ID!) { inspection(id: $id) { artifacts { id } defects { artifactId } } }";
    let found = world.query(query, json!({"id": id})).await["inspection"].clone();
    assert_eq!(found["artifacts"], json!(wanted.clone().map(|id| json!({"id": id}))));
    let [one, two] = wanted.map(|id| json!({"artifactId": id}));
    assert_eq!(found["defects"], json!([one, one, two, two]));
}
