//! The schema's copy in `schemas/` is the schema.

use std::path::Path;

use super::world::World;

#[test]
fn the_schema_file_is_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/schema.graphql");
    let sdl = crate::sdl();
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &sdl).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == sdl, "it has drifted; run: UPDATE_SCHEMAS=1 cargo test -p query-api schema");
}

#[test]
fn the_openapi_description_names_every_read() {
    let openapi = crate::openapi();
    let paths: Vec<_> = openapi.paths.paths.keys().map(String::as_str).collect();
    for path in [
        "/v1/inspections",
        "/v1/inspections/{inspection_id}",
        "/v1/parts",
        "/v1/parts/{part}",
        "/v1/reports",
        "/v1/reports/{report_id}",
        "/v1/artifacts/{artifact_id}",
        "/healthz",
        "/readyz",
    ] {
        assert!(paths.contains(&path), "{path} is missing from {paths:?}");
    }
}

#[tokio::test]
async fn the_explorer_loads_nothing_from_elsewhere() {
    let world = World::without_read_models(crate::QueryApiConfig::default()).await;
    for path in ["/graphiql", "/graphiql/explorer.js", "/graphiql/explorer.css"] {
        let answer = world.get_with(path, &[("authorization", "")]).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{policy}");
        let text = String::from_utf8(answer.body.clone()).unwrap();
        assert!(!text.is_empty(), "{path}");
        for elsewhere in ["https://", "http://", "src=\"//", "@import"] {
            let text = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains(elsewhere), "{path} names {elsewhere}");
        }
    }
}
