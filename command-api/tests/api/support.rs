//! A command API with everything under it, and a client that says what it sends.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Extension, Router};
use chrono::Utc;
use command_api::{CommandApi, CommandApiConfig, Dependencies, router};
use domain::{
    AccessAttemptEvent, AccessAttempts, AccessControl, AccessControlEvent, Aggregate as _,
    MediaType, PrincipalKind, PrincipalName, Reach,
};
use platform::access::{AccessAdministration, CredentialStore, Sessions};
use platform::access_attempts::{AttemptRecorder, NotedAttempts, record_attempts};
use platform::artifact_store::{ArtifactStore, UploadLimits};
use platform::auth::{
    AccessRegister, Actor, InstallationKeys, KeyRing, RoleScopes, SigningKey, TokenConfig,
    TokenIssuer, Users,
};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, Position, Recorded, StreamVersion};
use platform::health::Probe;
use platform::http::{HttpConfig, ProxyConfig};
use platform::idempotency::IdempotencyStore;
use platform::picture_memory::PictureMemory;
use platform::postgres::Pool;
use platform::shutdown::Shutdown;
use platform::test_support::{TestDatabase, artifact_store_in, fresh_database, put_stream};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt as _;
use uuid::Uuid;

pub(crate) struct TestApi {
    pub(crate) router: Router,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) pool: Pool,
    pub(crate) artifacts: ArtifactStore,
    pub(crate) issuer: Arc<TokenIssuer>,
    pub(crate) register: AccessRegister,
    pub(crate) token: String,
    pub(crate) probe: Arc<dyn Probe>,
    pub(crate) data: TempDir,
    pub(crate) database: TestDatabase,
    noted: NotedAttempts,
}

/// Where proxies are that are believed.
pub(crate) const PROXY: &str = "10.0.0.1";

impl TestApi {
    pub(crate) async fn start() -> Self {
        Self::start_with(CommandApiConfig::default(), |log| log).await
    }

    /// With another configuration, and with a log that may misbehave.
    pub(crate) async fn start_with(
        config: CommandApiConfig,
        wrap_log: impl FnOnce(Arc<dyn EventLog>) -> Arc<dyn EventLog>,
    ) -> Self {
        Self::start_where((TokenConfig::default(), RoleScopes::default()), config, wrap_log).await
    }

    /// By another issuer, or where roles allow something else.
    pub(crate) async fn start_where(
        (tokens, roles): (TokenConfig, RoleScopes),
        config: CommandApiConfig,
        wrap_log: impl FnOnce(Arc<dyn EventLog>) -> Arc<dyn EventLog>,
    ) -> Self {
        let database = fresh_database().await;
        let pool = database.pool();
        let data = tempfile::tempdir().unwrap();
        let log = wrap_log(Arc::new(PostgresEventLog::new(pool.clone())));
        let keys = KeyRing::open(data.path(), Utc::now()).unwrap();
        let keys = InstallationKeys::new(&keys);
        let issuer = Arc::new(TokenIssuer::on_keys(&keys, tokens));
        let artifacts = artifact_store_in(data.path());
        let register = AccessRegister::new().with_roles(roles);
        register.publish(AccessControl::default());
        let on = Dependencies {
            idempotency: IdempotencyStore::new(pool.clone(), log.clone()),
            log: log.clone(),
            artifacts: artifacts.clone(),
            memory: PictureMemory::default(),
            verifier: Arc::new(issuer.verifier().with_register(register.clone())),
            issuer: issuer.clone(),
            users: Users::demo(),
            register: register.clone(),
            credentials: CredentialStore::new(pool.clone()),
            signing_key: SigningKey::new(&keys),
            sessions: Sessions::new(log.clone(), pool.clone()),
        };
        let api = CommandApi::new(on, &config);
        let probe = api.probe();
        let proxies = ProxyConfig { trusted_proxies: vec![PROXY.parse().unwrap()] };
        let http = HttpConfig { proxies, ..config.http() };
        let (attempts, noted) = AttemptRecorder::new();
        let router = platform::http::wrap(router(api), &http).layer(Extension(attempts));
        let demo = Actor::with_roles("demo", &["engineer"]);
        let token = issuer.issue(&demo, Utc::now()).unwrap().token;
        Self { router, log, pool, artifacts, issuer, register, token, probe, data, database, noted }
    }

    /// What is recorded in the end of who was let in and refused.
    pub(crate) async fn recorded_attempts(self) -> Vec<AccessAttemptEvent> {
        let stop = Shutdown::new();
        stop.request();
        record_attempts(self.noted, Arc::clone(&self.log), "command-api", stop).await;
        let events = self.log.read_all(Position(0), 1_000).await.unwrap().events;
        let is_attempt =
            |event: &&Arc<Recorded>| event.stream.aggregate_type == AccessAttempts::TYPE;
        let attempts = events.iter().filter(is_attempt);
        attempts.map(|event| event.decode::<AccessAttempts>().unwrap()).collect()
    }

    /// A token of an account that there is from now on.
    pub(crate) fn token_of(&self, subject: &str, roles: &[&str]) -> String {
        self.token_within(Reach::everywhere(), subject, roles)
    }

    /// The same, of an account that is limited to `reach`.
    pub(crate) fn token_within(&self, reach: Reach, subject: &str, roles: &[&str]) -> String {
        let (name, role) = (subject.parse::<PrincipalName>().unwrap(), roles[0].parse().unwrap());
        let mut access = AccessControl::clone(&self.register.current().unwrap());
        access.evolve(&AccessControlEvent::PrincipalCreated {
            name: name.clone(),
            kind: PrincipalKind::Account,
            display_name: None,
            role,
            reach,
            credential: Uuid::nil(),
            reason: "a test".to_owned(),
        });
        let actor =
            Actor::for_principal(&name, access.principal(&name).unwrap(), &RoleScopes::default());
        self.register.publish(access);
        self.issuer.issue(&actor, Utc::now()).unwrap().token
    }

    /// Accounts and clients, to be changed beside the API.
    pub(crate) fn administration(&self) -> AccessAdministration {
        AccessAdministration::new(self.log.clone(), self.pool.clone())
    }

    /// Makes the process believe what the log says of accounts and clients.
    pub(crate) async fn follow_access(&self) {
        self.register.publish(self.administration().read().await.unwrap());
    }

    /// Goes on after everybody's connections were ended: the first to use one is told so.
    pub(crate) async fn reconnect(&self) {
        for _ in 0..20 {
            if sqlx::query("SELECT 1").execute(&self.pool).await.is_ok() {
                return;
            }
        }
        panic!("the database does not come back")
    }

    /// The entity tag of a resource that has had so many events.
    pub(crate) async fn tag(&self, number: u64) -> String {
        let incarnation = self.log.end().await.unwrap().incarnation;
        StreamVersion { incarnation, number }.entity_tag()
    }

    pub(crate) async fn head(&self) -> Position {
        self.log.head().await.unwrap()
    }

    pub(crate) async fn events(&self) -> Vec<Recorded> {
        let page = self.log.read_all(Position(0), 1_000).await.unwrap();
        page.events.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    pub(crate) async fn event_types(&self) -> Vec<String> {
        self.events().await.into_iter().map(|event| event.event_type).collect()
    }

    /// Pictures at rest, and uploads that were not cleaned up.
    pub(crate) fn stored_files(&self) -> usize {
        count_files(&self.data.path().join("artifacts"))
    }

    /// A `POST` with a token and a key of its own.
    pub(crate) fn post(&self, path: impl Into<String>) -> Call {
        static KEYS: AtomicUsize = AtomicUsize::new(0);
        let key = format!("key-{}", KEYS.fetch_add(1, Ordering::Relaxed));
        Call::new(self, "POST", path.into())
            .header("authorization", &format!("Bearer {}", self.token))
            .header("idempotency-key", &key)
    }

    /// A `PUT` to an absolute upload URL, without anything else.
    pub(crate) fn put(&self, url: &str, bytes: Vec<u8>) -> Call {
        let path = url.strip_prefix("http://chipq.test").expect("an URL of this server");
        Call::new(self, "PUT", path.to_owned()).body(bytes)
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        Call::new(self, "GET", path.to_owned())
    }

    /// Puts a JPEG to rest without a word, as a crash between store and append leaves it.
    pub(crate) async fn put_to_rest(&self, artifact: &str, jpeg: Vec<u8>) {
        let body = futures::stream::iter([Ok::<_, std::io::Error>(bytes::Bytes::from(jpeg))]);
        let (id, limits) = (artifact.parse().unwrap(), UploadLimits::default());
        put_stream(&self.artifacts, id, body, (&limits, MediaType::Jpeg)).await.unwrap();
    }

    /// The file of a picture at rest.
    pub(crate) fn file_of(&self, artifact: &str) -> std::path::PathBuf {
        let folder = self.data.path().join("artifacts/artifacts");
        folder.join(&artifact[artifact.len() - 2..]).join(artifact)
    }

    pub(crate) async fn register_part(&self, part: &str) {
        let reply = self.post("/v1/parts").json(json!({ "part": part })).send().await;
        assert_eq!(reply.status, 201, "{reply:?}");
    }

    pub(crate) async fn create(&self) -> String {
        let reply = self.post("/v1/inspections").json(board()).send().await;
        assert_eq!(reply.status, 201, "{reply:?}");
        reply.text("inspection_id")
    }

    /// Announces a JPEG: its id and upload URL.
    pub(crate) async fn reserve(&self, inspection: &str) -> (String, String) {
        let path = format!("/v1/inspections/{inspection}/artifacts?type=image/jpeg");
        let reply = self.post(path).send().await;
        assert_eq!(reply.status, 201, "{reply:?}");
        (reply.text("artifact_id"), reply.text("upload_url"))
    }
}

pub(crate) fn board() -> Value {
    json!({ "lot": "LOT-1", "part": "PCB-1", "station": "AOI-1" })
}

fn count_files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count_files(&path) } else { 1 }).sum()
}

/// A request in the making.
#[derive(Clone)]
pub(crate) struct Call {
    router: Router,
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Where it comes from.
    peer: SocketAddr,
}

impl Call {
    fn new(api: &TestApi, method: &'static str, path: String) -> Self {
        let headers = vec![("host".to_owned(), "chipq.test".to_owned())];
        let (router, peer) = (api.router.clone(), SocketAddr::from(([127, 0, 0, 1], 4711)));
        Self { router, method, path, headers, body: Vec::new(), peer }
    }

    /// With this header instead of an earlier one of that name.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        let mut call = self.without(name);
        call.headers.push((name.to_owned(), value.to_owned()));
        call
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    pub(crate) fn sent_from(self, address: &str) -> Self {
        let peer = SocketAddr::new(address.parse().unwrap(), self.peer.port());
        Self { peer, ..self }
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) async fn send(mut self) -> Reply {
        let body = Body::from(std::mem::take(&mut self.body));
        self.send_body(body).await
    }

    /// Sends a body that comes as it likes.
    pub(crate) async fn send_body(self, body: Body) -> Reply {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(name, value.as_bytes());
        }
        let request = request.extension(ConnectInfo(self.peer)).body(body).unwrap();
        let response = self.router.oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status: parts.status.as_u16(), headers: parts.headers, bytes, json }
    }
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    pub(crate) json: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self, field: &str) -> String {
        self.json[field].as_str().unwrap_or_else(|| panic!("no {field} in {self:?}")).to_owned()
    }

    /// Status and problem name; every problem must be complete.
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let kind = self.text("type");
        let name = kind.strip_prefix("urn:chipq:problem:").expect("a problem of ours");
        assert_eq!(self.json["status"], self.status, "{self:?}");
        assert!(self.json["detail"].is_string() && self.json["trace_id"].is_string(), "{self:?}");
        (self.status, name.to_owned())
    }

    pub(crate) fn is_replay(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let status = StatusCode::from_u16(self.status).unwrap();
        write!(f, "{status} {:?} {}", self.headers, String::from_utf8_lossy(&self.bytes))
    }
}
