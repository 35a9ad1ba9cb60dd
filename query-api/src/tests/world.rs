//! One test's own platform: database, log, pictures, tokens, and the router.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use chrono::{DateTime, Duration, Utc};
use domain::{ArtifactId, MediaType};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use platform::artifact_store::{ArtifactStore, UploadLimits};
use platform::auth::{
    AccessRegister, Actor, InstallationKeys, KeyRing, SigningKey, TokenConfig, TokenIssuer,
};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{
    Append, EventLog, EventMetadata, LogPlace, NewEvent, Position, StreamId, StreamVersion,
};
use platform::follower::LogTail;
use platform::http::HttpConfig;
use platform::picture_memory::PictureMemory;
use platform::postgres::Pool;
use platform::postgres::channel::PROJECTED_CHANNEL;
use platform::shutdown::Shutdown;
use platform::test_support::{
    CountedLog, TestDatabase, artifact_store_in, fresh_database, put_stream,
};
use serde_json::{Value, json};
use sqlx::Executor as _;
use tower::ServiceExt as _;
use uuid::Uuid;

pub(super) use super::answer::Answer;
use super::changes::CHANGES;
use super::tables::{TABLES, recipe_json};
use crate::session::Session;
use crate::{QueryApi, QueryApiConfig, QueryApiDependencies, router};

pub(super) struct World {
    pub(super) pool: Pool,
    pub(super) log: Arc<CountedLog>,
    pub(super) artifacts: ArtifactStore,
    pub(super) shutdown: Shutdown,
    pub(super) router: Router,
    api: QueryApi,
    issuer: TokenIssuer,
    _folder: tempfile::TempDir,
    pub(super) database: TestDatabase,
}

impl World {
    /// Read models that are there and empty.
    pub(super) async fn new() -> Self {
        Self::with(QueryApiConfig::default()).await
    }

    pub(super) async fn with(config: QueryApiConfig) -> Self {
        let world = Self::without_read_models(config).await;
        world.pool.execute(TABLES).await.unwrap();
        world
    }

    pub(super) async fn without_read_models(config: QueryApiConfig) -> Self {
        Self::started(config, None).await
    }

    /// Read models that are there and empty, read by whom `register` knows, as often as they like.
    pub(super) async fn with_register(register: AccessRegister) -> Self {
        let config = QueryApiConfig { read_rate_burst: NonZeroU32::MAX, ..Default::default() };
        let world = Self::started(config, Some(register)).await;
        world.pool.execute(TABLES).await.unwrap();
        world
    }

    async fn started(config: QueryApiConfig, register: Option<AccessRegister>) -> Self {
        let database = fresh_database().await;
        let folder = tempfile::tempdir().unwrap();
        let ring = KeyRing::open(folder.path(), Utc::now()).unwrap();
        let keys = InstallationKeys::new(&ring);
        let issuer = TokenIssuer::on_keys(&keys, TokenConfig::default());
        let pool = database.pool();
        let log = Arc::new(CountedLog::new(Arc::new(PostgresEventLog::new(pool.clone()))));
        let artifacts = artifact_store_in(folder.path());
        let shutdown = Shutdown::new();
        let on = QueryApiDependencies {
            pool: pool.clone(),
            tail: LogTail::new(log.clone()),
            artifacts: artifacts.clone(),
            memory: PictureMemory::default(),
            signing_key: SigningKey::new(&keys),
            verifier: Arc::new(match register {
                Some(register) => issuer.verifier().with_register(register),
                None => issuer.verifier(),
            }),
            fold_inspection: super::as_of::fold,
            shutdown: shutdown.clone(),
        };
        let api = QueryApi::new(on, &config);
        Self {
            router: platform::http::wrap(
                router(api.clone()).merge(platform::health::router(vec![api.probe()])),
                &HttpConfig::default(),
            ),
            api,
            pool,
            log,
            artifacts,
            shutdown,
            issuer,
            _folder: folder,
            database,
        }
    }

    pub(super) fn token(&self) -> String {
        self.token_of(&["engineer"], Utc::now())
    }

    pub(super) fn token_of(&self, roles: &[&str], issued_at: DateTime<Utc>) -> String {
        let actor = Actor::with_roles("somebody", roles);
        self.issuer.issue(&actor, issued_at).unwrap().token
    }

    /// A token that proves `actor`.
    pub(super) fn token_of_actor(&self, actor: &Actor) -> String {
        self.issuer.issue(actor, Utc::now()).unwrap().token
    }

    /// An engineer's token of this name.
    pub(super) fn token_for_subject(&self, subject: &str, issued_at: DateTime<Utc>) -> String {
        let actor = Actor::with_roles(subject, &["engineer"]);
        self.issuer.issue(&actor, issued_at).unwrap().token
    }

    /// A token that is believed for about `left` more.
    pub(super) fn token_for(&self, left: Duration) -> String {
        let (lifetime, leeway) = (Duration::minutes(15), Duration::seconds(30));
        self.token_of(&["engineer"], Utc::now() + left - lifetime - leeway)
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub(super) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::builder().uri(path);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token()));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post_graphql(&self, token: &str, body: &Value) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/graphql")
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        self.send(request).await
    }

    /// The whole GraphQL answer.
    pub(super) async fn ask(&self, query: &str, variables: Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        let answer = self.post_graphql(&self.token(), &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// The data of a GraphQL answer without errors.
    pub(super) async fn query(&self, query: &str, variables: Value) -> Value {
        let answer = self.ask(query, variables).await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"].clone()
    }

    /// The code of a GraphQL answer's only error.
    pub(super) async fn graphql_code(&self, query: &str, variables: Value) -> String {
        let answer = self.ask(query, variables).await;
        let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("no error: {answer:#}"));
        assert_eq!(errors.len(), 1, "{answer:#}");
        errors[0]["extensions"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The answers of the subscription, taken from the schema as fast as they are asked for.
    pub(super) fn changes(&self, variables: Value) -> BoxStream<'static, Value> {
        self.changes_with(&self.token(), variables)
    }

    /// The same for whoever has this token.
    pub(super) fn changes_with(&self, token: &str, variables: Value) -> BoxStream<'static, Value> {
        let verifier = Arc::clone(self.api.token_verifier());
        let session = Session::open(verifier, token, Default::default()).unwrap();
        let request = async_graphql::Request::new(CHANGES)
            .variables(async_graphql::Variables::from_json(variables))
            .data(session);
        let answers = self.api.graphql_schema().execute_stream(request);
        answers.map(|answer| serde_json::to_value(answer).unwrap()).boxed()
    }

    /// The same subscription as server-sent events.
    pub(super) async fn events(&self, variables: Value) -> BoxStream<'static, String> {
        let body = json!({"query": CHANGES, "variables": variables});
        let request = Request::builder()
            .method(Method::POST)
            .uri("/graphql")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token()))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "text/event-stream")
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        let pieces = response.into_body().into_data_stream();
        pieces.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap()).boxed()
    }

    /// Goes on after everybody's connections were ended: the first to use one is told so.
    pub(super) async fn reconnect(&self) {
        for _ in 0..20 {
            if self.pool.execute("SELECT 1").await.is_ok() {
                return;
            }
        }
        panic!("the database does not come back")
    }

    /// The place of this position in the history that the log has now, as clients are given it.
    pub(super) async fn place(&self, position: i64) -> String {
        let incarnation = self.log.end().await.unwrap().incarnation;
        LogPlace { incarnation, position: Position(position) }.to_string()
    }

    /// The entity tag of a resource that has had so many events.
    pub(super) async fn tag(&self, number: u64) -> String {
        let incarnation = self.log.end().await.unwrap().incarnation;
        StreamVersion { incarnation, number }.entity_tag()
    }

    pub(super) async fn execute(&self, sql: &str) {
        self.pool.execute(sql).await.unwrap();
    }

    /// Moves the checkpoint of every read model, and hints at it as projectors do.
    pub(super) async fn reach(&self, position: i64) {
        sqlx::query("UPDATE projection_checkpoints SET position = $1, updated_at = now()")
            .bind(position)
            .execute(&self.pool)
            .await
            .unwrap();
        let hint = sqlx::query("SELECT pg_notify($1, '')").bind(PROJECTED_CHANNEL);
        hint.execute(&self.pool).await.unwrap();
    }

    /// Appends an event to an inspection's stream and gives its position. No read model knows of
    /// it.
    pub(super) async fn append(
        &self,
        id: Uuid,
        expected_version: u64,
        event_type: &str,
    ) -> Position {
        let stream = StreamId::for_aggregate::<domain::Inspection>(id);
        self.append_to(stream, expected_version, event_type).await
    }

    pub(super) async fn append_to(
        &self,
        stream: StreamId,
        expected_version: u64,
        event_type: &str,
    ) -> Position {
        let event = NewEvent {
            event_type: event_type.into(),
            event_version: "1".into(),
            payload: json!({}),
            labels: domain::EventLabels::default(),
        };
        let metadata = EventMetadata::by_service("test");
        let append = Append::new(stream, expected_version, vec![event], metadata);
        self.log.append(append).await.unwrap().position.unwrap()
    }

    /// A judged inspection of lot `L<n % 3>`, part `P`, of the second `1.7e9 + n`, with `defects` findings on one picture.
    pub(super) async fn insert_inspection(&self, n: i64, defects: i32) -> Uuid {
        let id = inspection_id(n);
        let lot = format!("L{}", n % 3);
        let judgement = if defects > 0 { "fail" } else { "pass" };
        let rules = match defects {
            0 => json!([{"rule": "nothing-found"}]),
            _ => json!([{"rule": "defect", "class": "open", "count": defects}]),
        };
        sqlx::query(
            "INSERT INTO read.inspections VALUES ($1, $2, 'P', 'AOI-1', 'judged', $3, $4, $5, 3, $6, 0, 1,
                to_timestamp(1.7e9 + $7), to_timestamp(1.7e9 + $7), NULL, NULL, 5, $7, $7)",
        )
        .bind(id)
        .bind(&lot)
        .bind(judgement)
        .bind(rules)
        .bind(recipe_json(1))
        .bind(defects)
        .bind(n)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO read.artifacts (artifact_id, inspection_id, pixels_per_millimetre, state,
                media_type, sha256, bytes,
                width, height, announced_sequence, reserved_at, registration, coverage, differences)
             VALUES ($1, $2, 48.3, 'compared', 'image/png', repeat('ab', 32), 9, 640, 480, 2, now(),
                '{\"dx\": 0.1, \"dy\": -2, \"score\": 0.95, \"bend\": 1.25}', $3, $4)",
        )
        .bind(artifact_id(n))
        .bind(id)
        .bind(json!({"inspected_pixels": 307_200, "compared_pixels": 297_600,
            "uncovered": [{"x": 620, "y": 0, "width": 20, "height": 480}],
            "excluded_pixels": 102_400,
            "excluded": [{"x": 9, "y": 8, "width": 320, "height": 320}], "method": "levels"}))
        .bind(json!([{"kind": "joined", "strength": 1.5,
            "box": {"x": 5, "y": 6, "width": 7, "height": 8}}]))
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO read.timeline
             VALUES ($1, 1, $2, 'InspectionCreated', now(), now(), 'demo')",
        )
        .bind(id)
        .bind(n)
        .execute(&self.pool)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO read.defects
             SELECT $1, $2, number, 'open', 0.9, 'defect', 1, 2, 3, 4, 48.3, $3, 'P', 'AOI-1', 2,
                to_timestamp(1.7e9 + $4), $4
             FROM generate_series(1, $5) AS number",
        )
        .bind(id)
        .bind(artifact_id(n))
        .bind(lot)
        .bind(n)
        .bind(defects)
        .execute(&self.pool)
        .await
        .unwrap();
        id
    }

    /// Puts a PNG to rest.
    pub(super) async fn store(&self, id: Uuid, png: &[u8]) {
        let pieces = futures::stream::iter([Ok::<_, std::io::Error>(png.to_vec().into())]);
        let limits = UploadLimits::default();
        let expected = (&limits, MediaType::Png);
        put_stream(&self.artifacts, ArtifactId(id), pieces, expected).await.unwrap();
    }

    /// The report of an inspection, with this document.
    pub(super) async fn insert_report(&self, n: i64, document: &str) -> Uuid {
        let id = domain::ReportId::for_inspection(domain::InspectionId(inspection_id(n))).0;
        sqlx::query(
            "INSERT INTO read.reports
             VALUES ($1, $2, $3, 'P', 'AOI-1', 'fail', 1, to_timestamp(1.7e9 + $4), $4, $5::json)",
        )
        .bind(id)
        .bind(inspection_id(n))
        .bind(format!("L{}", n % 3))
        .bind(n)
        .bind(document)
        .execute(&self.pool)
        .await
        .unwrap();
        id
    }
}

pub(super) fn inspection_id(n: i64) -> Uuid {
    Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + (n + 1_000) as u128)
}

pub(super) fn artifact_id(n: i64) -> Uuid {
    Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + (n + 1_000) as u128)
}
