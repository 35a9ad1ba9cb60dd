//! cqrs-es and postgres-es, unmodified, on our table; and cqrs-es's framework on our event store.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "support/two_step_log.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod two_step_log;

use std::collections::HashMap;
use std::sync::Arc;

use cqrs_es::persist::PersistedEventStore;
use cqrs_es::{AggregateContext as _, AggregateError, CqrsFramework, EventStore as _};
use domain::{Part, PartCommand, PartEvent, PartNumber};
use platform::event_log::cqrs::CqrsEventStore;
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{
    Append, EventLog, EventMetadata, LogPlace, NewEvent, Position, StreamId,
};
use platform::execute::{ExecuteError, Request, execute, load};
use platform::idempotency::{Answer, Claimed, Fingerprint, IdempotencyKey, IdempotencyStore};
use platform::test_support::fresh_database;
use postgres_es::PostgresEventRepository;
use two_step_log::TwoSteps;

fn register(part: &str) -> PartCommand {
    PartCommand::RegisterPart { part: PartNumber::new(part).unwrap() }
}

fn request(part: &str) -> Request<Part> {
    Request {
        aggregate_id: part.into(),
        command: register(part),
        is_new: false,
        if_match: None,
        metadata: EventMetadata::by_service("test"),
    }
}

#[tokio::test]
async fn the_stock_postgres_es_crate_reads_and_appends_the_same_table() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    execute(&*log, request("OURS")).await.unwrap();

    let stock_pool = sqlx::PgPool::connect(database.url()).await.unwrap();
    let repository = PostgresEventRepository::new(stock_pool);
    let stock = PersistedEventStore::<_, Part>::new_event_store(repository);
    let ours = stock.load_events("OURS").await.unwrap();
    assert_eq!((ours.len(), ours[0].sequence), (1, 1));
    assert!(ours[0].metadata.contains_key("occurred_at"));

    let framework = CqrsFramework::<Part, _>::new(stock, vec![], ());
    framework.execute("THEIRS", register("THEIRS")).await.unwrap();
    let loaded = load::<Part>(&*log, "THEIRS").await.unwrap();
    assert_eq!((loaded.version, loaded.position), (1, Position(2)));
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn the_cqrs_es_framework_runs_on_our_event_store() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    let store = CqrsEventStore::<Part>::new(Arc::clone(&log));
    let framework = CqrsFramework::new(store, vec![], ());
    let metadata = HashMap::from([("actor_subject".to_owned(), "demo".to_owned())]);
    framework.execute_with_metadata("P-1", register("P-1"), metadata).await.unwrap();
    assert!(framework.execute("P-1", register("P-1")).await.is_err(), "registered already");

    let recorded =
        log.read_stream(&StreamId::for_aggregate::<Part>("P-1"), 0).await.unwrap().events;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].metadata.actor.as_ref().unwrap().subject, "demo");
}

#[tokio::test]
async fn events_and_answer_of_a_cqrs_es_commit_are_kept_together_or_not_at_all() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    let keys = IdempotencyStore::new(database.pool(), Arc::clone(&log));
    let key = IdempotencyKey::parse("k").unwrap();
    let fingerprint = Fingerprint::for_request("POST", "/", None, None, b"");
    let Claimed::Fresh(claim) = keys.claim("demo", &key, fingerprint).await.unwrap() else {
        panic!("the key is free");
    };
    let answer = Answer {
        status: 201,
        headers: vec![],
        body: serde_json::json!({}),
        place: LogPlace::default(),
    };
    let store = CqrsEventStore::<Part>::new(Arc::clone(&log));
    let commit = async |part: &str| {
        let kept = answer.clone();
        let completion = claim.complete_with(move |_| kept.clone());
        let mut context = store.load_aggregate(part).await.unwrap().keeping(completion);
        let events = domain::Aggregate::decide(context.aggregate(), register(part)).unwrap();
        store.commit(events, context, HashMap::new()).await
    };
    commit("P-1").await.unwrap();
    let Claimed::Answered(kept) = keys.claim("demo", &key, fingerprint).await.unwrap() else {
        panic!("the answer is kept");
    };
    // Where the command ended, only the log knew.
    let place = log.end().await.unwrap();
    assert_eq!(kept, Answer { place, ..answer.clone() });
    assert!(commit("P-2").await.is_err(), "the claim is answered already");
    assert_eq!(load::<Part>(&*log, "P-2").await.unwrap().version, 0);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_after_it_has_succeeded_all_the_same() {
    let database = fresh_database().await;
    let log =
        Arc::new(TwoSteps::over(Arc::new(PostgresEventLog::new(database.pool())), database.pool()));
    let keys = IdempotencyStore::new(database.pool(), Arc::clone(&log) as _);
    let key = IdempotencyKey::parse("k").unwrap();
    let fingerprint = Fingerprint::for_request("POST", "/", None, None, b"");
    let Claimed::Fresh(claim) = keys.claim("demo", &key, fingerprint).await.unwrap() else {
        panic!("the key is free");
    };
    let answer = Answer {
        status: 201,
        headers: vec![],
        body: serde_json::json!({}),
        place: LogPlace::default(),
    };
    let store = CqrsEventStore::<Part>::new(Arc::clone(&log) as _);
    let completion = claim.complete_with(move |_| answer.clone());
    let mut context = store.load_aggregate("P-1").await.unwrap().keeping(completion);
    let events = domain::Aggregate::decide(context.aggregate(), register("P-1")).unwrap();
    log.lose_the_next_answer();
    let committed = store.commit(events, context, HashMap::new()).await.unwrap();
    assert_eq!(committed.len(), 1);
    assert_eq!(load::<Part>(&*log, "P-1").await.unwrap().version, 1);
}

#[tokio::test]
async fn an_event_that_a_newer_version_wrote_is_not_read_as_an_older_one() {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    execute(&*log, request("P-1")).await.unwrap();
    let stream = StreamId::for_aggregate::<Part>("P-1");
    let written = log.read_stream(&stream, 0).await.unwrap().events.remove(0);
    let version: u32 = written.event_version.parse().unwrap();
    let newer = NewEvent {
        event_type: PartEvent::PART_REGISTERED.to_owned(),
        event_version: (version + 1).to_string(),
        payload: written.payload.value().unwrap().clone(),
        labels: domain::EventLabels::default(),
    };
    let append = Append::new(stream, 1, vec![newer], EventMetadata::by_service("test"));
    log.append(append).await.unwrap();

    let says_what_to_do = |error: &dyn std::error::Error| {
        let message = error.to_string();
        let event = format!("PartRegistered version {} at position 2", version + 1);
        for part in [event, format!("up to {version}"), "run that version".to_owned()] {
            assert!(message.contains(&part), "{message}");
        }
    };
    match load::<Part>(&*log, "P-1").await {
        Err(ExecuteError::Unreadable(error)) => says_what_to_do(&error),
        other => panic!("{other:?}"),
    }
    match execute(&*log, request("P-1")).await {
        Err(ExecuteError::Unreadable(error)) => says_what_to_do(&error),
        other => panic!("{other:?}"),
    }
    let store = CqrsEventStore::<Part>::new(Arc::clone(&log));
    match store.load_events("P-1").await {
        Err(AggregateError::UnexpectedError(error)) => says_what_to_do(&*error),
        other => panic!("{other:?}"),
    }
    assert_eq!(log.read_all(Position(0), 10).await.unwrap().events.len(), 2, "nothing is appended");
}
