//! Abusive queries are refused before any SQL runs; whoever may not is told so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{Duration, Utc};
use serde_json::json;
use tracing::Instrument as _;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use super::world::World;

/// The span of what is counted: on the same thread others may be at work, such as who begins to listen.
const COUNTED: &str = "counted";

/// Counts the statements that sqlx logs.
struct Statements(Arc<AtomicUsize>);

impl<S: tracing::Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Statements {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        let mut scope = context.event_scope(event).into_iter().flatten();
        if event.metadata().target() == "sqlx::query" && scope.any(|span| span.name() == COUNTED) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// How many statements `work` runs on this thread.
pub(super) async fn statements<T>(work: impl Future<Output = T>) -> (usize, T) {
    let count = Arc::new(AtomicUsize::new(0));
    let subscriber = tracing_subscriber::registry().with(Statements(Arc::clone(&count)));
    let _guard = tracing::subscriber::set_default(subscriber);
    let done = work.instrument(tracing::info_span!(COUNTED)).await;
    (count.load(Ordering::SeqCst), done)
}

#[tokio::test]
async fn too_deep_too_large_and_too_costly_queries_run_no_sql() {
    let world = World::new().await;
    let nested =
        |n: usize| format!("{{ {}x{} }}", "report { inspection { ".repeat(n), "} } ".repeat(n));
    let deep = format!("{{ reports {{ nodes {} }} }}", nested(8).replace(" x ", " id "));
    let bomb: String = (0..40)
        .map(|n| format!("fragment f{n} on Query {{ ...f{0} ...f{0} }} ", n + 1))
        .chain(["fragment f40 on Query { __typename } { ...f0 }".to_owned()])
        .collect();
    let wide =
        format!("{{ {} }}", (0..1001).map(|n| format!("a{n}: __typename ")).collect::<String>());
    let costly = "{ inspections(first: 200) { nodes { id artifacts { id sha256 width height state
        modelName modelVersion reason detail url } defects { number class grade confidence lot part
        station position box { x y width height } } timeline { sequence position eventType
        occurredAt recordedAt actor } rules { text } } } }";
    let costly = format!("{{ a: {0} b: {0} }}", &costly[1..costly.len() - 1]);
    let cases = [
        (deep.as_str(), "QUERY_TOO_DEEP"),
        (&"{a".repeat(20_000), "QUERY_TOO_DEEP"),
        (
            &format!("{{ parts(filter: {}1) {{ nodes {{ part }} }} }}", "[".repeat(30_000)),
            "QUERY_TOO_DEEP",
        ),
        (&bomb, "QUERY_TOO_COMPLEX"),
        (&wide, "QUERY_TOO_COMPLEX"),
        (&costly, "QUERY_TOO_COMPLEX"),
        (
            "fragment a on Query { ...b } fragment b on Query { ...a } { ...a }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("{ parts", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { inspectionChanged { cursor } }", "BAD_USER_INPUT"),
        ("{ parts(first: 201) { nodes { part } } }", "BAD_USER_INPUT"),
        ("{ inspections(first: 1, last: 1) { nodes { id } } }", "BAD_USER_INPUT"),
        ("{ inspections(filter: {lot: \"\"}) { nodes { id } } }", "BAD_USER_INPUT"),
        ("{ inspection(id: \"x\") { id } }", "BAD_USER_INPUT"),
    ];
    for (query, code) in cases {
        let shown = &query[..query.len().min(80)];
        let (count, got) = statements(world.graphql_code(query, json!({}))).await;
        assert_eq!((count, got.as_str()), (0, code), "{shown}");
    }
}

#[tokio::test]
async fn brackets_in_strings_and_comments_are_not_nesting() {
    let world = World::new().await;
    let brackets = "{".repeat(100);
    let query = format!(
        "{{ # {brackets}\n part(part: \"{brackets}\\\"\") {{ part }} \
         b: part(part: \"\"\"\\\"\"\" {} x\"\"\") {{ part }} }}",
        "[".repeat(100)
    );
    let answer = world.ask(&query, json!({})).await;
    let codes: Vec<_> =
        answer["errors"].as_array().unwrap().iter().map(|e| &e["extensions"]["code"]).collect();
    assert_eq!(codes, ["BAD_USER_INPUT"; 2], "{answer:#}");
}

#[tokio::test]
async fn a_body_that_is_no_request_is_a_problem() {
    let world = World::new().await;
    let token = world.token();
    let large = json!({"query": "#".repeat(70_000)});
    assert_eq!(world.post_graphql(&token, &large).await.problem().0, 413);
    assert_eq!(world.post_graphql(&token, &json!("{ parts }")).await.problem().0, 422);
    assert_eq!(world.post_graphql(&token, &json!({"query": 5})).await.problem().0, 422);
    let parts = "{ parts { nodes { part } } }";
    for wrong in [
        json!({"query": parts, "variable": {}}),
        json!({"query": parts, "variables": []}),
        json!({"operationName": "a"}),
        json!([parts, null, {}]),
    ] {
        assert_eq!(world.post_graphql(&token, &wrong).await.problem().0, 422, "{wrong}");
    }
    let complete =
        json!({"query": parts, "operationName": null, "variables": null, "extensions": {"a": 1}});
    assert_eq!(world.post_graphql(&token, &complete).await.status, 200);
}

#[tokio::test]
async fn every_read_needs_a_token_that_is_good() {
    let world = World::new().await;
    let expired = format!("Bearer {}", world.token_for(Duration::seconds(-5)));
    let foreign = format!("Bearer {}", World::new().await.token());
    let id = uuid::Uuid::now_v7();
    for path in [
        "/v1/inspections".to_owned(),
        format!("/v1/inspections/{id}"),
        "/v1/parts".into(),
        "/v1/parts/x".into(),
        "/v1/reports".into(),
        format!("/v1/reports/{id}"),
        format!("/v1/artifacts/{id}"),
    ] {
        for token in ["", "Bearer x", "Basic eDp5", &expired, &foreign] {
            let (count, answer) =
                statements(world.get_with(&path, &[("authorization", token)])).await;
            assert_eq!((count, answer.problem()), (0, (401, "unauthorized".into())), "{path}");
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{path}");
        }
    }
    assert_eq!(world.post_graphql("x", &json!({"query": "{ __typename }"})).await.problem().0, 401);
}

#[tokio::test]
async fn every_field_needs_its_scope() {
    let world = World::new().await;
    let id = world.insert_inspection(1, 1).await;
    let station = world.token_of(&["station"], Utc::now());
    let nobody = world.token_of(&[], Utc::now());
    let ask = async |token: &str, query: &str| {
        let answer = world.post_graphql(token, &json!({"query": query})).await.json();
        answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(ask(&station, "{ inspections { nodes { id } } }").await, "none");
    assert_eq!(ask(&station, "{ reports { nodes { id } } }").await, "FORBIDDEN");
    assert_eq!(ask(&station, "{ projections { name } }").await, "FORBIDDEN");
    let through = format!("{{ inspection(id: \"{id}\") {{ report {{ id }} }} }}");
    assert_eq!(ask(&station, &through).await, "FORBIDDEN");
    for query in [
        "{ inspections { nodes { id } } }",
        "{ defects { nodes { number } } }",
        "{ defectPareto { total } }",
        "{ parts { nodes { part } } }",
        "{ yieldSeries { formula } }",
    ] {
        assert_eq!(ask(&nobody, query).await, "FORBIDDEN", "{query}");
    }
    let bearer = format!("Bearer {station}");
    let forbidden = world.get_with("/v1/reports", &[("authorization", &bearer)]).await;
    assert_eq!(forbidden.problem(), (403, "missing-scope".into()));
    assert_eq!(forbidden.json()["scope"], "reports:read");
    let bearer = format!("Bearer {nobody}");
    let path = format!("/v1/artifacts/{id}");
    let forbidden = world.get_with(&path, &[("authorization", &bearer)]).await;
    assert_eq!(forbidden.problem(), (403, "missing-scope".into()));
}
