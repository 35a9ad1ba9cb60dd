//! Reports: the list, and the two faces of one.

use domain::report::{Outcome, Report, ReportArtifact, SCHEMA_VERSION};
use domain::{
    ArtifactId, FiredRule, InspectionId, Judgement, MediaType, NotComparable, Picture, Recipe,
    ReportId, Sha256,
};
use serde_json::json;

use super::rest::picture;
use super::world::{World, artifact_id, inspection_id};

/// A report of inspection 1 whose only picture has this digest.
pub(super) fn report(sha256: Sha256, bytes: usize) -> Report {
    let at = "2026-03-01T08:30:00Z".parse().unwrap();
    let inspection_id = InspectionId(inspection_id(1));
    let picture =
        Picture { sha256, bytes: bytes as u64, media_type: MediaType::Png, width: 64, height: 48 };
    Report {
        schema_version: SCHEMA_VERSION,
        report_id: ReportId::for_inspection(inspection_id),
        inspection_id,
        lot: "L1".parse().unwrap(),
        part: "P".parse().unwrap(),
        station: "AOI-1".parse().unwrap(),
        judgement: Judgement::Review,
        rules: vec![FiredRule::NotCompared { reason: NotComparable::NoGoldenSample }],
        recipe: Recipe::factory(0),
        golden_sample_revision: None,
        created_at: at,
        judged_at: at,
        artifacts: vec![ReportArtifact {
            view: None,
            pixels_per_millimetre: None,
            artifact_id: ArtifactId(artifact_id(1)),
            picture: Some(picture),
            golden: None,
            identical_to_golden_sample: None,
            outcome: Outcome::NotComparable {
                reason: NotComparable::NoGoldenSample,
                detail: "the part has no golden sample".into(),
            },
        }],
        defects: Vec::new(),
        differences: Vec::new(),
        timeline: Vec::new(),
    }
}

#[tokio::test]
async fn the_list_shows_the_newest_first() {
    let world = World::new().await;
    for n in 1..=3 {
        world.insert_report(n, "{}").await;
    }
    world.reach(3).await;
    let answer = world.get("/v1/reports?limit=2").await;
    let place = world.place(3).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-log-position")), (200, &*place));
    let page = answer.json();
    assert_eq!(page["items"][0]["inspection_id"], inspection_id(3).to_string());
    let first = &page["items"][0];
    assert_eq!((&first["judgement"], &first["lot"]), (&json!("fail"), &json!("L0")));
    assert_eq!((&first["defect_count"], &first["position"]), (&json!(1), &json!(3)));
    let next = format!("/v1/reports?limit=2&cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = world.get(&next).await.json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next_cursor"], json!(null));
    assert_eq!(world.get("/v1/reports?lot=L2").await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_report_is_served_byte_for_byte() {
    let world = World::new().await;
    let document = "{ \"schema_version\":1,\n\t\"z\": 0.10, \"a\": \"\\u00e9\" }";
    let id = world.insert_report(1, document).await;
    let answer = world.get(&format!("/v1/reports/{id}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"));
    assert_eq!(String::from_utf8_lossy(&answer.body), document);
    assert_eq!(answer.header("vary"), "accept");
    let etag = answer.header("etag").to_owned();
    let path = format!("/v1/reports/{id}");
    let unchanged = world.get_with(&path, &[("if-none-match", &etag)]).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
    let refused = world.get_with(&path, &[("accept", "text/html")]).await;
    assert_eq!(refused.problem(), (406, "not-acceptable".into()));
}

#[tokio::test]
async fn a_report_is_printed_on_demand() {
    let world = World::new().await;
    let (png, sha256) = picture();
    world.store(artifact_id(1), &png).await;
    let document = serde_json::to_string(&report(sha256, png.len())).unwrap();
    let id = world.insert_report(1, &document).await;
    let path = format!("/v1/reports/{id}");
    let accept = [("accept", "application/pdf, application/json;q=0.5")];
    let (first, second) =
        tokio::join!(world.get_with(&path, &accept), world.get_with(&path, &accept));
    assert_eq!(first.status, 200, "{}", String::from_utf8_lossy(&first.body));
    assert_eq!(first.header("content-type"), "application/pdf");
    assert!(first.body.starts_with(b"%PDF-"));
    assert_eq!(first.body, second.body);
    assert!(first.header("content-disposition").contains(".pdf"));
    let etag = first.header("etag").to_owned();
    assert_ne!(etag, world.get(&path).await.header("etag"));
    let unchanged =
        world.get_with(&path, &[("accept", "application/pdf"), ("if-none-match", &etag)]).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
}

#[tokio::test]
async fn a_missing_picture_does_not_keep_a_report_from_being_printed() {
    let world = World::new().await;
    let document = serde_json::to_string(&report(Sha256::digest_of(b"gone"), 4)).unwrap();
    let id = world.insert_report(1, &document).await;
    let path = format!("/v1/reports/{id}");
    let answer = world.get_with(&path, &[("accept", "application/pdf")]).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
}

/// Its projection is rebuilt from the log; until then there is no report of it to print.
#[tokio::test]
async fn a_report_of_an_older_version_is_printed_once_it_is_rebuilt() {
    let world = World::new().await;
    let mut document = serde_json::to_value(report(Sha256::digest_of(b"gone"), 4)).unwrap();
    document["schema_version"] = json!(1);
    document.as_object_mut().unwrap().remove("differences");
    let id = world.insert_report(1, &document.to_string()).await;
    let path = format!("/v1/reports/{id}");
    let answer = world.get_with(&path, &[("accept", "application/pdf")]).await;
    assert_eq!(answer.problem().0, 503);
    assert_eq!(world.get(&path).await.status, 200, "as it is stored");
}

#[tokio::test]
async fn a_damaged_picture_is_never_printed() {
    let world = World::new().await;
    world.store(artifact_id(1), &picture().0).await;
    let document = serde_json::to_string(&report(Sha256::digest_of(b"another"), 7)).unwrap();
    let id = world.insert_report(1, &document).await;
    let path = format!("/v1/reports/{id}");
    let answer = world.get_with(&path, &[("accept", "application/pdf")]).await;
    assert_eq!(answer.problem(), (500, "internal".into()));
    assert!(!String::from_utf8_lossy(&answer.body).contains("digest"));
}
