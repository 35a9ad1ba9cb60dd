//! What the engine answers with: the same as the embedded one, many requests at once, nothing that is
//! not an answer.

use futures::future::join_all;
use inference::engine::{EmbeddedEngine, Engine as _, EngineError, TritonConfig};

use super::client::{boards, crops, impatient, models, patient, shipped, until};
use super::repository::Repository;
use super::server::TritonServer;

/// Two runtimes compute the same network in another order of additions.
const TOLERANCE: f32 = 1e-4;
const LARGEST: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn both_engines_find_the_same_on_the_same_boards() {
    let repository = Repository::new();
    let server = TritonServer::start(&repository);
    let triton = shipped(&models(&server, &patient())).await.unwrap();
    let embedded = EmbeddedEngine::load().unwrap();
    assert_eq!(triton.model(), embedded.model());

    for board in boards(4) {
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for start in (0..board.crops.len()).step_by(LARGEST) {
            let part = board.crops.sub_batch(start..start + LARGEST);
            here.extend(embedded.infer(part.clone()).await.unwrap());
            there.extend(triton.infer(part).await.unwrap());
        }
        for (a, b) in here.iter().zip(&there) {
            let pairs = a.probabilities.iter().zip(&b.probabilities);
            for (a, b) in pairs {
                assert!((a - b).abs() < TOLERANCE, "{a} here, {b} there");
            }
        }
        let [here, there] =
            [here, there].map(|outputs| board.merge_answers(&outputs).unwrap().defects);
        assert!(!here.is_empty(), "a board with flaws has findings");
        assert_eq!(here.len(), there.len());
        for (a, b) in here.iter().zip(&there) {
            assert_eq!((a.class, a.bounds), (b.class, b.bounds));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_the_model_are_executed_together() {
    const REQUESTS: usize = 24;
    let repository = Repository::new();
    repository.observe();
    let server = TritonServer::start(&repository);
    let engine = shipped(&models(&server, &patient())).await.unwrap();
    let expected = engine.infer(crops(REQUESTS)).await.unwrap();
    let warm = (repository.executions(), server.metric("nv_inference_request_success"));

    repository.on_execute("import time; time.sleep(0.4)");
    let crops = crops(REQUESTS);
    let asked = (0..REQUESTS).map(|index| engine.infer(crops.sub_batch(index..index + 1)));
    for (index, answer) in join_all(asked).await.into_iter().enumerate() {
        let answer = answer.unwrap().remove(0);
        let pairs = answer.probabilities.iter().zip(&expected[index].probabilities);
        for (alone, together) in pairs {
            assert!((alone - together).abs() < TOLERANCE, "request {index} got another's answer");
        }
    }
    // The first may go off alone; the rest meet behind them.
    let executions = repository.executions() - warm.0;
    assert!(executions <= 4, "{executions} executions of {REQUESTS} requests");
    // Triton counts a moment after it answers, so the first count may lack an earlier request.
    let all = warm.1 + REQUESTS as f64;
    until("every request counted", || server.metric("nv_inference_request_success") >= all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_numbers_is_an_error_and_so_is_a_failed_execution() {
    let repository = Repository::new();
    repository.observe();
    let server = TritonServer::start(&repository);
    let engine = shipped(&models(&server, &impatient())).await.unwrap();

    let empty = "model.run = lambda tensors: [o[:0] for o in type(model).run(model, tensors)]";
    repository.on_execute(empty);
    let error = engine.infer(crops(2)).await.unwrap_err();
    assert!(matches!(error, EngineError::Output { .. }), "{error}");

    repository.on_execute("raise RuntimeError('out of luck')");
    let error = engine.infer(crops(2)).await.unwrap_err();
    assert!(matches!(&error, EngineError::Backend { detail } if detail.contains("out of luck")));

    repository.on_execute("model.__dict__.pop('run', None)");
    assert_eq!(engine.infer(crops(2)).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_waited_for_and_fails_no_crops() {
    const REQUESTS: usize = 8;
    const CROPS: usize = 4;
    let repository = Repository::new();
    // The shipped configuration has no bound, another site's may.
    let bounded = "max_queue_delay_microseconds: 0 default_queue_policy { max_queue_size: 2 }";
    repository.configure("max_queue_delay_microseconds: 0", bounded);
    repository.configure("max_batch_size: 32", "max_batch_size: 4");
    repository.observe();
    let server = TritonServer::start(&repository);
    let engine = shipped(&models(&server, &patient())).await.unwrap();

    repository.on_execute("import time; time.sleep(0.05)");
    let answers = join_all((0..REQUESTS).map(|_| engine.infer(crops(CROPS)))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");

    // Triton's metrics do not count what a full queue refuses; who asks only once sees it.
    let once = TritonConfig { triton_attempts: 1, ..impatient() };
    let engine = shipped(&models(&server, &once)).await.unwrap();
    let answers = join_all((0..REQUESTS).map(|_| engine.infer(crops(CROPS)))).await;
    let refused = |answer: &&Result<_, _>| matches!(answer, Err(EngineError::Unavailable { .. }));
    let count = answers.iter().filter(refused).count();
    assert!(count > 0, "eight full batches and a queue of two");
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count() + count, REQUESTS);
}
