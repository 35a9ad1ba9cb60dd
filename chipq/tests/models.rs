//! `chipq model` against a real Triton server: a version is loaded, compared, routed to and taken out of
//! service by the commands that people type, while others ask the old one without a pause.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "../../inference-worker/inference/tests/triton/http.rs"]
mod http;
#[path = "support/network.rs"]
mod network;
#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;
#[path = "../../inference-worker/inference/tests/triton/repository.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod repository;
#[path = "../../inference-worker/inference/tests/triton/server.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod server;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use inference::engine::{EmbeddedModels, Engine, EngineError, EngineUrl, Models, TritonConfig};
use serde_json::Value;
use vision::CropBatch;

use platform::{chipq, finished, folder};
use repository::Repository;
use server::TritonServer;

/// A small set: what is measured here is the commands.
const SET: [&str; 6] = ["--flawed", "4", "--clean", "2", "--photographs", "1"];

/// The commands of one Triton server and one database.
struct Commands {
    engine: String,
    database: String,
    data: tempfile::TempDir,
}

impl Commands {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = chipq(&["model"]);
        command.args(arguments).args(["--engine", &self.engine, "--database-url", &self.database]);
        command.arg("--data").arg(self.data.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        finished(&mut self.command(arguments))
    }

    /// What a command that succeeds prints.
    fn said(&self, arguments: &[&str]) -> String {
        let (code, said, errors) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}\n{errors}");
        said
    }

    /// A command that is refused with this code, for this reason.
    fn refused(&self, arguments: &[&str], code: i32, why: &str) {
        let (ended, said, errors) = self.run(arguments);
        assert_eq!(ended, code, "{arguments:?}: {said}\n{errors}");
        assert!(errors.contains(why) && errors.contains("  next: "), "{errors}");
    }

    fn list(&self) -> Value {
        serde_json::from_str(&self.said(&["list", "--json"])).unwrap()
    }

    fn ready(&self) -> Vec<String> {
        let list = self.list();
        let ready = list["versions"].as_array().unwrap().iter().filter(|v| v["state"] == "READY");
        ready.map(|version| version["version"].as_str().unwrap().to_owned()).collect()
    }
}

/// Somebody who asks an engine without a pause.
struct Load {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicUsize>,
    client: tokio::task::JoinHandle<Result<(), EngineError>>,
}

impl Load {
    fn start(engine: Arc<dyn Engine>) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answers));
        let mut crops = CropBatch::default();
        crops.pad_to(3);
        let client = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                engine.infer(crops.clone()).await?;
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { stop, answers, client }
    }

    /// Ends it; every request was answered.
    async fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.client.await.unwrap().unwrap();
        self.answers.load(Ordering::Relaxed)
    }
}

async fn start() -> (Repository, TritonServer, Commands, ::platform::test_support::TestDatabase) {
    let repository = Repository::new();
    let server = TritonServer::start(&repository);
    let database = ::platform::test_support::fresh_database().await;
    let commands =
        Commands { engine: server.url(), database: database.url().to_owned(), data: folder() };
    (repository, server, commands, database)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_comes_into_service_and_the_old_one_goes_without_a_failed_request() {
    let (repository, server, commands, _database) = start().await;
    let models = server.url().parse::<EngineUrl>().unwrap().connect(&TritonConfig::default());
    let models: Arc<dyn Models> = models.unwrap();
    let load = Load::start(models.engine_for(models.shipped_model()).await.unwrap());
    let list = commands.list();
    assert_eq!(list["routing"]["model"]["version"], "1");
    assert_eq!(list["routed_version_serves"], true);

    repository.add_changed_version(2, |folder| network::renamed(&folder.join("model.onnx")));
    repository.declare();
    commands.refused(&["route", "2", "--reason", "too early"], 65, "is not loaded");
    let said = commands.said(&["load", "2"]);
    assert!(said.contains("golden-compare version 2 is loaded"), "{said}");
    let said = commands.said(&[&["compare", "2"], &SET[..]].concat());
    assert!(
        said.contains("verdict: not worse") && said.contains("judged differently: 0"),
        "{said}"
    );

    let route = ["route", "2", "--reason", "a trial of the reins", "--actor", "ada"];
    let said = commands.said(&[&route, &SET[..]].concat());
    assert!(said.contains("routed to 2") && said.contains("instead of 1"), "{said}");
    commands.refused(&[&route, &SET[..]].concat(), 64, "routed to already");
    let routed = &commands.list()["routing"];
    assert_eq!(routed["model"]["version"], "2");
    assert_eq!(routed["routed"]["actor"], "ada");
    assert_eq!(routed["routed"]["reason"], "a trial of the reins");

    assert!(load.end().await > 10);
    commands.refused(&["unload", "2"], 69, "is routed to");
    assert!(commands.said(&["unload", "1"]).contains("serving: 2"));
    assert_eq!(commands.ready(), ["2"]);
    commands.refused(&["unload", "1"], 64, "is not loaded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_sees_less_is_routed_to_only_when_that_is_accepted() {
    let (repository, _server, commands, _database) = start().await;
    repository.add_changed_version(2, |folder| network::blinded(&folder.join("model.onnx")));
    repository.declare();
    commands.said(&["load", "2"]);
    let route = [&["route", "2", "--reason", "cheaper"], &SET[..]].concat();
    let (code, said, errors) = commands.run(&route);
    assert_eq!(code, 1, "{said}\n{errors}");
    // What it sees it spreads over all classes: that is not nothing any more, and rightly named is little of it.
    assert!(said.contains("verdict: worse") && errors.contains("fewer-rightly-named"), "{errors}");
    assert!(errors.contains("--accept-differences"), "{errors}");
    assert_eq!(commands.list()["routing"]["model"]["version"], "1");

    commands.said(&[&route[..], &["--accept-differences"]].concat());
    let list = commands.list();
    assert_eq!(list["routing"]["model"]["version"], "2");
    let accepted = list["routing"]["routed"]["accepted"].to_string();
    assert!(accepted.contains("fewer-rightly-named"), "{accepted}");

    // Back to the shipped network, from a place that does not have version 2 to compare with.
    let embedded = Commands { engine: "embedded:".to_owned(), ..commands };
    let back = ["route", "1", "--reason", "back"];
    embedded.refused(&back, 69, "cannot be compared");
    embedded.said(&[&back[..], &["--accept-differences"]].concat());
    assert_eq!(embedded.list()["routing"]["model"]["version"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_does_not_load_says_why_and_the_old_one_goes_on() {
    let (repository, _server, commands, _database) = start().await;
    commands.refused(&["load", "7"], 65, "7");
    repository.add_changed_version(2, |folder| {
        std::fs::write(folder.join("model.onnx"), "not a network").unwrap();
    });
    commands.refused(&["load", "2"], 65, "declares no sha256.2");
    repository.declare();
    commands.refused(&["load", "2"], 65, "2");
    assert_eq!(commands.ready(), ["1"]);
    commands.refused(&["unload", "1"], 69, "is routed to");
}

#[test]
fn a_server_that_is_not_there_is_named_with_what_to_do() {
    let nowhere =
        ["--engine", "grpc://127.0.0.1:1", "--database-url", "postgres://a:b@127.0.0.1:1/c"];
    let place = folder();
    for arguments in [&["list"][..], &["load", "2"], &["unload", "2"]] {
        let mut command = chipq(&["model"]);
        command.args(arguments).args(nowhere).arg("--data").arg(place.path());
        let (code, _, said) = finished(&mut command);
        assert_eq!(code, 69, "{said}");
        assert!(said.contains("127.0.0.1:1") && said.contains("check that Triton runs"), "{said}");
    }
}

#[tokio::test]
async fn the_embedded_model_is_listed_and_cannot_be_loaded_or_routed_to_again() {
    let database = ::platform::test_support::fresh_database().await;
    let engine = "embedded:".to_owned();
    let commands = Commands { engine, database: database.url().to_owned(), data: folder() };
    let said = commands.said(&["list"]);
    let shipped = EmbeddedModels::load().unwrap().shipped_model().sha256.to_string();
    assert!(said.contains(&shipped) && said.contains("nobody routed"), "{said}");
    commands.refused(&["load", "2"], 64, "the embedded model is always loaded");
    commands.refused(&["route", "1", "--reason", "again"], 64, "routed to already");
    commands.refused(&["route", "2", "--reason", "none"], 65, "is not loaded");
    commands.refused(&["unload", "1"], 69, "is routed to");
}

#[test]
fn an_argument_that_cannot_be_meant_is_refused_before_anything_starts() {
    for arguments in [
        &["load", "two"][..],
        &["route", "2"],
        &["route", "2", "--reason", " "],
        &["list", "--engine", "http://127.0.0.1:8000"],
        &["compare", "2", "--boards", "x", "--flawed", "3"],
    ] {
        let (code, _, said) = finished(chipq(&["model"]).args(arguments));
        assert_eq!(code, 64, "{arguments:?}: {said}");
    }
}
