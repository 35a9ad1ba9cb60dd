//! The database goes away: 503, nothing half-written, and the same call succeeds afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::{Append, AppendError, Appended, EventLog, EventLogError};
use platform::test_support::{InterceptedLog, Interception};
use serde_json::json;

use crate::pictures::jpeg;
use crate::support::{TestApi, board};

/// Appends fail while `away` is set.
struct FailingAppends {
    away: Arc<AtomicBool>,
}

impl Interception for FailingAppends {
    fn append<'a>(
        &'a self,
        log: &'a dyn EventLog,
        append: Append,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        if self.away.load(Ordering::SeqCst) {
            let cause = "secret: postgres://user:password@host".into();
            return async { Err(EventLogError::Unavailable(cause).into()) }.boxed();
        }
        log.append(append)
    }
}

#[tokio::test]
async fn an_append_that_fails_stores_nothing_and_the_key_works_again() {
    let away = Arc::new(AtomicBool::new(false));
    let flag = away.clone();
    let api = TestApi::start_with(Default::default(), |log| {
        Arc::new(InterceptedLog::over(log, FailingAppends { away: flag })) as Arc<dyn EventLog>
    })
    .await;
    let id = api.create().await;
    let (artifact, url) = api.reserve(&id).await;
    let head = api.head().await;
    let create = api.post("/v1/inspections").json(board());
    let put = api.put(&url, jpeg(1));

    away.store(true, Ordering::SeqCst);
    for call in [create.clone(), put.clone()] {
        let reply = call.send().await;
        assert_eq!(reply.problem(), (503, "unavailable".into()));
        assert!(reply.header("retry-after").is_some());
        assert!(!String::from_utf8_lossy(&reply.bytes).contains("password"));
    }
    assert_eq!(api.head().await, head);

    away.store(false, Ordering::SeqCst);
    let created = create.send().await;
    assert_eq!((created.status, created.is_replay()), (201, false));
    let put = put.send().await;
    assert_eq!((put.status, put.text("artifact_id")), (201, artifact));
}

#[tokio::test]
async fn without_a_database_every_command_is_answered_with_503() {
    let api = TestApi::start().await;
    let id = api.create().await;
    let (_, url) = api.reserve(&id).await;
    let at = |rest: &str| api.post(format!("/v1/inspections/{id}/{rest}"));
    let calls = [
        api.post("/v1/parts").json(json!({ "part": "P" })),
        api.post("/v1/inspections").json(board()),
        at("artifacts?type=image/png"),
        at("infer"),
        at("void").json(json!({ "reason": "r" })),
        api.put(&url, jpeg(1)),
    ];
    api.pool.close().await;
    for call in calls {
        let reply = call.send().await;
        assert_eq!(reply.problem(), (503, "unavailable".into()), "{reply:?}");
        assert!(reply.header("retry-after").is_some());
    }
    assert_eq!(api.stored_files(), 0);
}

#[tokio::test]
async fn a_primary_that_was_demoted_is_away_and_no_fault_of_ours() {
    let api = TestApi::start().await;
    let create = api.post("/v1/inspections").json(board());
    // As a server that became a standby, or that others have fenced off: it answers, and only reads.
    let set = async |is_read_only: &str| {
        let mut server =
            <sqlx::PgConnection as sqlx::Connection>::connect(api.database.url()).await.unwrap();
        let statement = format!(
            "BEGIN READ WRITE;
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {is_read_only}',
                                        current_database()); END $$;
             COMMIT"
        );
        sqlx::raw_sql(&statement).execute(&mut server).await.unwrap();
        let cut = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        sqlx::raw_sql(cut).execute(&mut server).await.unwrap();
    };
    set("on").await;
    for _ in 0..3 {
        let reply = create.clone().send().await;
        assert_eq!(reply.problem(), (503, "unavailable".into()), "{reply:?}");
        assert!(reply.header("retry-after").is_some());
    }
    set("off").await;
    let mut reply = create.clone().send().await;
    for _ in 0..20 {
        if reply.status == 201 {
            break;
        }
        reply = create.clone().send().await;
    }
    assert_eq!(reply.status, 201, "its connections are not kept: {reply:?}");
}

#[tokio::test]
async fn a_database_whose_disk_is_full_is_not_ready_until_something_was_written() {
    let api = TestApi::start().await;
    let create = api.post("/v1/inspections").json(board());
    let readiness = async || {
        let checks = api.probe.checks().await;
        checks.into_iter().find(|check| check.name == "database-disk").unwrap()
    };
    assert!(readiness().await.ready);
    let fill = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON events EXECUTE FUNCTION refuse();
        CREATE FUNCTION refuse_table() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$;
        CREATE EVENT TRIGGER full_disk ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS')
            EXECUTE FUNCTION refuse_table()";
    sqlx::raw_sql(fill).execute(&api.pool).await.unwrap();
    assert_eq!(create.clone().send().await.problem(), (503, "unavailable".into()));
    let found = readiness().await;
    assert!(!found.ready && found.detail.as_deref().is_some_and(|text| text.contains("full")));
    let free = "DROP TRIGGER full_disk ON events; DROP EVENT TRIGGER full_disk";
    sqlx::raw_sql(free).execute(&api.pool).await.unwrap();
    // It is looked at once a second.
    while !readiness().await.ready {}
    assert_eq!(create.send().await.status, 201);
}

#[tokio::test]
async fn connections_that_are_cut_in_the_middle_lose_and_double_nothing() {
    let api = TestApi::start().await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let calls: Vec<_> = (0..40).map(|_| api.post("/v1/inspections").json(board())).collect();
    let mut admin =
        <sqlx::PgConnection as sqlx::Connection>::connect(api.database.url()).await.unwrap();
    let cutting = async {
        for _ in 0..5 {
            tokio::task::yield_now().await;
            sqlx::query(cut).execute(&mut admin).await.unwrap();
        }
    };
    let sending = futures::future::join_all(calls.iter().map(|call| call.clone().send()));
    let (_, replies) = tokio::join!(cutting, sending);
    for reply in &replies {
        assert!(matches!(reply.status, 201 | 503), "{reply:?}");
    }
    // Every client repeats what it has no answer for, until it has one.
    for call in &calls {
        let mut reply = call.clone().send().await;
        for _ in 0..1_000 {
            if reply.status == 201 {
                break;
            }
            // A claim that could not be released would end with its lease.
            let over = "UPDATE idempotency_keys SET claimed_until = now() - interval '1 s'";
            let _ = sqlx::query(over).execute(&api.pool).await;
            reply = call.clone().send().await;
        }
        assert_eq!(reply.status, 201, "{reply:?}");
    }
    assert_eq!(api.event_types().await.len(), calls.len());
}
