//! Versions come, serve and go while others work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use domain::inspection::ModelIdentity;
use inference::engine::{Engine, EngineError, TritonConfig};

use super::client::{crops, impatient, models, patient, shipped, until};
use super::repository::Repository;
use super::server::TritonServer;

const CLIENTS: usize = 4;
/// Answers to see before the next step, so that every step happens under load.
const ANSWERS: usize = 20;

/// Clients that ask without a pause until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    clients: Vec<tokio::task::JoinHandle<Result<(), EngineError>>>,
}

impl Load {
    fn start(engine: &Arc<dyn Engine>) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let client = |_| {
            let (stop, answers) = (Arc::clone(&stop), Arc::clone(&answers));
            let (engine, crops) = (Arc::clone(engine), crops(2));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    engine.infer(crops.clone()).await?;
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, answers, clients }
    }

    async fn goes_on(&self) {
        let seen = self.answers.load(Ordering::Relaxed) + ANSWERS;
        let failed = || self.clients.iter().any(tokio::task::JoinHandle::is_finished);
        let answered = || self.answers.load(Ordering::Relaxed) >= seen;
        until("more answers", || failed() || answered()).await;
        assert!(!failed(), "a client got an error");
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_version_is_loaded_under_load_without_a_failed_request() {
    let repository = Repository::new();
    let server = TritonServer::start(&repository);
    let models = models(&server, &patient());
    let first = shipped(&models).await.unwrap();
    let second = ModelIdentity { version: "2".to_owned(), ..first.model().clone() };
    let hasty = super::client::models(&server, &impatient());
    let missing = hasty.engine_for(&second).await.err().unwrap();
    assert!(matches!(missing, EngineError::Model { .. }), "{missing}");

    let load = Load::start(&first);
    load.goes_on().await;
    repository.add_version(2);
    tokio::task::block_in_place(|| server.load()).unwrap();
    load.goes_on().await;

    let second = models.engine_for(&second).await.unwrap();
    let on_second = Load::start(&second);
    on_second.goes_on().await;
    load.goes_on().await;
    load.end().await;
    on_second.end().await;
    assert_eq!(server.versions(), ["1 READY", "2 READY"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_load_leaves_the_old_one_answering() {
    let repository = Repository::new();
    let server = TritonServer::start(&repository);
    let models = models(&server, &impatient());
    let first = shipped(&models).await.unwrap();
    let load = Load::start(&first);
    load.goes_on().await;

    repository.add_changed_version(2, |folder| {
        std::fs::write(folder.join("model.onnx"), "not a network").unwrap();
    });
    repository.declare();
    let why = tokio::task::block_in_place(|| server.load()).unwrap_err();
    assert!(why.contains("failed"), "{why}");
    load.goes_on().await;
    load.end().await;

    let second = ModelIdentity { version: "2".to_owned(), ..first.model().clone() };
    let refused = models.engine_for(&second).await.err().unwrap();
    assert!(matches!(refused, EngineError::Model { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_with_another_digest_than_asked_for_is_refused() {
    let repository = Repository::new();
    let server = TritonServer::start(&repository);
    let models = models(&server, &impatient());
    let other = ModelIdentity {
        sha256: domain::Sha256::digest_of(b"another network"),
        ..models.shipped_model().clone()
    };
    let refused = models.engine_for(&other).await.err().unwrap();
    assert!(matches!(refused, EngineError::Model { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_stops_answering_when_its_version_becomes_another_network() {
    let repository = Repository::new();
    repository.add_version(2);
    let server = TritonServer::start(&repository);
    let config = TritonConfig { triton_recheck_ms: 0, ..impatient() };
    let models = models(&server, &config);
    let second = ModelIdentity { version: "2".to_owned(), ..models.shipped_model().clone() };
    let engine = models.engine_for(&second).await.unwrap();
    engine.infer(crops(1)).await.unwrap();

    // The same network in a file of another digest: one more entry in ONNX's list of metadata.
    let file = repository.model().join("2/model.onnx");
    let network = std::fs::read(&file).unwrap();
    std::fs::write(&file, [network, vec![0x72, 0x02, 0x0a, 0x00]].concat()).unwrap();
    repository.declare();
    tokio::task::block_in_place(|| server.load()).unwrap();

    let refused = engine.infer(crops(1)).await.unwrap_err();
    assert!(matches!(refused, EngineError::Model { .. }), "{refused}");
}
