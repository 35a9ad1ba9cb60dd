//! Pictures whose files were given up: what is left of them is said, and when they went.

use serde_json::json;

use super::reports::report;
use super::rest::picture;
use super::world::{World, artifact_id, inspection_id};

const RETIRED: &str = "2026-06-01T10:00:00Z";

/// A world with one board whose picture is at rest, and its report's path.
async fn world_with_report() -> (World, String) {
    let world = World::new().await;
    let (png, sha256) = picture();
    world.insert_inspection(1, 0).await;
    world.execute(&format!("UPDATE read.artifacts SET sha256 = '{sha256}'")).await;
    world.store(artifact_id(1), &png).await;
    let document = serde_json::to_string(&report(sha256, png.len())).unwrap();
    let id = world.insert_report(1, &document).await;
    (world, format!("/v1/reports/{id}"))
}

async fn retire(world: &World) {
    world.execute(&format!("UPDATE read.artifacts SET retired_at = '{RETIRED}'")).await;
}

#[tokio::test]
async fn a_retired_picture_is_gone_with_its_digest_and_when_it_went() {
    let (world, _) = world_with_report().await;
    let path = format!("/v1/artifacts/{}", artifact_id(1));
    let kept = world.get(&path).await;
    assert_eq!(kept.status, 200);
    let etag = kept.header("etag").to_owned();
    retire(&world).await;
    for headers in [vec![], vec![("if-none-match", etag.as_str())]] {
        let gone = world.get_with(&path, &headers).await;
        assert_eq!(gone.problem(), (410, "picture-retired".into()));
        let said = gone.json();
        assert_eq!(said["retired_at"], RETIRED);
        let digest = picture().1.to_string();
        assert!(said["detail"].as_str().unwrap().contains(&digest), "{said}");
    }
}

#[tokio::test]
async fn whoever_reads_an_inspection_sees_when_its_pictures_were_retired() {
    let (world, _) = world_with_report().await;
    let query = "query ($id: ID!) { inspection(id: $id) { artifacts { retiredAt url sha256 } } }";
    let id = json!({ "id": inspection_id(1) });
    let before = &world.query(query, id.clone()).await["inspection"]["artifacts"][0];
    assert!(before["retiredAt"].is_null() && before["url"].is_string(), "{before}");
    retire(&world).await;
    let after = world.query(query, id).await["inspection"]["artifacts"][0].clone();
    assert!(after["url"].is_null() && after["sha256"].is_string(), "{after}");
    assert!(after["retiredAt"].as_str().unwrap().starts_with("2026-06-01T10:00:00"), "{after}");
}

/// A page that shows a picture is another page than one that says when it went; the report is the same.
#[tokio::test]
async fn a_report_is_printed_without_a_retired_picture_under_another_tag() {
    let (world, path) = world_with_report().await;
    let pdf = [("accept", "application/pdf")];
    let (with, json) = (world.get_with(&path, &pdf).await, world.get(&path).await);
    retire(&world).await;
    let without = world.get_with(&path, &pdf).await;
    assert_eq!((with.status.as_u16(), without.status.as_u16()), (200, 200));
    assert_ne!(with.header("etag"), without.header("etag"));
    assert_ne!(with.body, without.body, "its file may still be there, and is not shown");
    assert_eq!(without.body, world.get_with(&path, &pdf).await.body);
    assert_eq!(world.get(&path).await.body, json.body);
}
