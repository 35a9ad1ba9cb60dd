//! A server that crashes, loses its model or drains: nothing is answered wrongly, and work goes on by
//! itself when the server is back.

use std::sync::Arc;

use inference::engine::EngineError;

use super::client::{crops, impatient, models, patient, persist, shipped, until};
use super::repository::Repository;
use super::server::TritonServer;

const SLOWLY: &str = "import time; time.sleep(0.3)";
const AT_ONCE: &str = "";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_a_batch_is_unavailable_until_it_is_back() {
    let repository = Repository::new();
    repository.observe();
    let server = TritonServer::start(&repository);
    let (hasty, waiting) = (models(&server, &impatient()), models(&server, &patient()));
    let gives_up = shipped(&hasty).await.unwrap();
    let waits = shipped(&waiting).await.unwrap();
    let expected = waits.infer(crops(3)).await.unwrap();

    repository.on_execute(SLOWLY);
    let before = repository.executions();
    let given_up = tokio::spawn(async move { (gives_up.infer(crops(3)).await, gives_up) });
    let waited = {
        let waits = Arc::clone(&waits);
        tokio::spawn(async move { persist(&waits, crops(3)).await })
    };
    until("a batch is executed", || repository.executions() > before).await;
    let ports = server.kill();

    let (outcome, gives_up) = given_up.await.unwrap();
    assert!(matches!(outcome, Err(EngineError::Unavailable { .. })), "{outcome:?}");
    assert!(matches!(hasty.ready().await, Err(EngineError::Unavailable { .. })));
    assert!(!waited.is_finished(), "it has patience, and nobody has answered");

    repository.on_execute(AT_ONCE);
    let _server = tokio::task::block_in_place(|| TritonServer::restart(&repository, ports));
    assert_eq!(waited.await.unwrap().unwrap(), expected);
    assert_eq!(persist(&gives_up, crops(3)).await.unwrap(), expected);
    hasty.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_whose_process_was_killed_is_restarted() {
    let repository = Repository::new();
    repository.observe();
    let server = TritonServer::start(&repository);
    let engine = shipped(&models(&server, &patient())).await.unwrap();
    let expected = engine.infer(crops(3)).await.unwrap();

    repository.on_execute(SLOWLY);
    let before = repository.executions();
    let asked = {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.infer(crops(3)).await })
    };
    until("a batch is executed", || repository.executions() > before).await;
    repository.on_execute(AT_ONCE);
    server.kill_stubs();

    assert_eq!(asked.await.unwrap().unwrap(), expected);
    assert_eq!(engine.infer(crops(3)).await.unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_end_finishes_what_it_works_on_and_the_rest_waits_for_the_next() {
    let repository = Repository::new();
    repository.observe();
    let server = TritonServer::start(&repository);
    let hasty = shipped(&models(&server, &impatient())).await.unwrap();
    let waits = shipped(&models(&server, &patient())).await.unwrap();
    let expected = waits.infer(crops(3)).await.unwrap();

    repository.on_execute(SLOWLY);
    let before = repository.executions();
    let in_flight = tokio::spawn(async move { (hasty.infer(crops(3)).await, hasty) });
    until("a batch is executed", || repository.executions() > before).await;
    server.terminate();
    let (finished, hasty) = in_flight.await.unwrap();
    assert_eq!(finished.unwrap(), expected);

    // Draining, then gone: at no time is anything wrong with the crops, or with the model.
    let outcome = hasty.infer(crops(3)).await;
    assert!(matches!(outcome, Err(EngineError::Unavailable { .. })), "{outcome:?}");
    let waited = tokio::spawn(async move { persist(&waits, crops(3)).await });
    let ports = server.ports();
    tokio::task::block_in_place(|| server.wait());
    let _next = tokio::task::block_in_place(|| TritonServer::restart(&repository, ports));
    assert_eq!(waited.await.unwrap().unwrap(), expected);
}
