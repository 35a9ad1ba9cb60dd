//! Parts, and page by page what belongs to one: its recipes and its golden samples.

use serde_json::{Value, json};

use super::tables::recipe_json;
use super::world::{World, artifact_id};

/// A part with so many recipes, the last two of which somebody else put in force, and one golden sample.
async fn world_with_recipes(recipes: u32) -> World {
    let world = World::new().await;
    let recipe = recipe_json(recipes);
    world
        .execute(&format!("INSERT INTO read.parts VALUES ('Ä/1', '{recipe}', now(), 1, 3, 9)"))
        .await;
    world
        .execute(&format!(
            "INSERT INTO read.golden_samples VALUES
             ('Ä/1', 1, '{}', 'aa', 'image/png', 5, 6, 7, 'variant', 'top', 'blue', 48.3,
              'ada', now())",
            artifact_id(1)
        ))
        .await;
    for revision in 1..=recipes {
        let (actor, reason) = if revision == 1 { ("bob", "NULL") } else { ("ada", "'glare'") };
        world
            .execute(&format!(
                "INSERT INTO read.recipe_revisions VALUES
                 ('Ä/1', {revision}, '{}', now(), '{actor}', {reason}),
                 ('Ä/2', {revision}, '{recipe}', now(), 'eve', 'of another part')",
                recipe_json(revision)
            ))
            .await;
    }
    world
}

fn revisions(items: &Value) -> Vec<i64> {
    items.as_array().unwrap().iter().map(|item| item["revision"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_part_shows_the_recipe_in_force_and_its_lists_who_put_it_there() {
    let world = world_with_recipes(2).await;
    let answer = world.get("/v1/parts/%C3%84%2F1").await;
    assert_eq!((answer.status.as_u16(), answer.header("etag")), (200, &*world.tag(3).await));
    let body = answer.json();
    assert_eq!((&body["part"], &body["recipe"]["revision"]), (&json!("Ä/1"), &json!(2)));
    assert_eq!(body["golden_revision"], 1);

    let listed = world.get("/v1/parts/%C3%84%2F1/recipe-revisions").await.json();
    let recipes = listed["items"].as_array().unwrap();
    let said = |n: usize| (&recipes[n]["revision"], &recipes[n]["actor"], &recipes[n]["reason"]);
    assert_eq!(said(0), (&json!(2), &json!("ada"), &json!("glare")));
    assert_eq!(said(1), (&json!(1), &json!("bob"), &json!(null)));
    assert_eq!(recipes[0]["recipe"]["area"]["keep_outs"][0]["width"], 3);
    let listed = world.get("/v1/parts/%C3%84%2F1/golden-samples").await.json();
    let sample = &listed["items"][0];
    assert_eq!((&sample["use"], &sample["view"]), (&json!("variant"), &json!("top")));
    assert_eq!((&sample["reason"], &sample["actor"]), (&json!("blue"), &json!("ada")));
    assert_eq!(
        (&sample["pixels_per_millimetre"], listed["items"].as_array().unwrap().len()),
        (&json!(48.3), 1)
    );
    assert_eq!(sample["artifact_id"], artifact_id(1).to_string());
    assert_eq!(sample["detection_limits"][0]["method"], "copper");
    let found = sample["detection_limits"][1]["finds"].as_str().unwrap();
    assert!(found.contains("from 6 px (0.12 mm) across"), "in millimetres of its scale: {found}");
    assert_eq!(world.get("/v1/parts?has_golden_sample=false").await.json()["items"], json!([]));
    assert_eq!(world.get("/v1/parts").await.json()["items"][0]["golden_revision"], 1);
}

#[tokio::test]
async fn graphql_shows_the_same() {
    let world = world_with_recipes(2).await;
    let query = r#"{
        part(part: "Ä/1") { recipe { revision bendMaxPx views area {
            regionOfInterest { x } keepOuts { x y width height } tolerated { x } } } }
        recipeRevisions(part: "A\u0308/1") { position nodes { revision revisedAt actor reason recipe { failAt } } }
        goldenSamples(part: "Ä/1") { nodes { use view reason pixelsPerMillimetre actor
            detectionLimits { method } } } }"#;
    let data = world.query(query, json!({})).await;
    let recipe = &data["part"]["recipe"];
    assert_eq!((&recipe["bendMaxPx"], &recipe["revision"]), (&json!(10.0), &json!(2)));
    let keep_out = json!({"x": 1, "y": 2, "width": 3, "height": 4});
    assert_eq!(recipe["area"]["keepOuts"], json!([keep_out]));
    assert_eq!(recipe["area"]["regionOfInterest"], json!(null));
    let nodes = &data["recipeRevisions"]["nodes"];
    assert_eq!(revisions(nodes), [2, 1]);
    assert_eq!(
        (&nodes[0]["reason"], &nodes[1]["recipe"]["failAt"]),
        (&json!("glare"), &json!(0.5))
    );
    assert_eq!(
        data["goldenSamples"]["nodes"],
        json!([{"use": "VARIANT", "view": "top", "reason": "blue", "pixelsPerMillimetre": 48.3,
                "actor": "ada", "detectionLimits": [{"method": "COPPER"}, {"method": "LEVELS"}]}])
    );
}

#[tokio::test]
async fn many_recipes_are_read_page_by_page() {
    let world = world_with_recipes(73).await;
    let (mut seen, mut path) = (Vec::new(), "/v1/parts/%C3%84%2F1/recipe-revisions?".to_owned());
    let mut pages = 0;
    loop {
        let page = world.get(&path).await.json();
        seen.extend(revisions(&page["items"]));
        pages += 1;
        match page["next_cursor"].as_str() {
            Some(cursor) => {
                path = format!("/v1/parts/%C3%84%2F1/recipe-revisions?limit=20&cursor={cursor}");
            }
            None => break,
        }
    }
    assert_eq!((seen, pages), ((1..=73).rev().collect(), 3), "50, 20 and what is left");

    let page = "query($last: Int, $before: String) {
        recipeRevisions(part: \"Ä/1\", last: $last, before: $before) {
            nodes { revision } pageInfo { hasPreviousPage startCursor } } }";
    let oldest = world.query(page, json!({"last": 2})).await["recipeRevisions"].clone();
    assert_eq!(revisions(&oldest["nodes"]), [2, 1]);
    let before = &oldest["pageInfo"]["startCursor"];
    let next = world.query(page, json!({"last": 2, "before": before})).await;
    assert_eq!(revisions(&next["recipeRevisions"]["nodes"]), [4, 3]);
    assert_eq!(world.graphql_code(page, json!({"last": 51})).await, "BAD_USER_INPUT");
    let cursor = before.as_str().unwrap();
    for (path, refused) in [
        ("/v1/parts/%C3%84%2F1/recipe-revisions?limit=51".to_owned(), (400, "invalid-query")),
        (format!("/v1/parts/%C3%84%2F2/recipe-revisions?cursor={cursor}"), (400, "invalid-cursor")),
        (format!("/v1/parts/%C3%84%2F1/golden-samples?cursor={cursor}"), (400, "invalid-cursor")),
        ("/v1/parts/none/recipe-revisions".to_owned(), (404, "not-found")),
        ("/v1/parts/none/golden-samples".to_owned(), (404, "not-found")),
        (format!("/v1/parts/{}/golden-samples", "x".repeat(65)), (404, "not-found")),
    ] {
        let answer = world.get(&path).await;
        assert_eq!(answer.problem(), (refused.0, refused.1.to_owned()), "{path}");
    }
}
