//! Forgetting keys in batches, at any size of the table. Claims and answers: `platform/tests/idempotency.rs`.

use sqlx::Executor as _;

use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::test_support::{TestDatabase, fresh_database};

fn store_on(database: &TestDatabase) -> IdempotencyStore {
    let pool = database.pool();
    IdempotencyStore::new(pool.clone(), Arc::new(PostgresEventLog::new(pool)))
}

/// So many answers that were given, and claims that ended unanswered, so many days ago.
async fn insert_keys(pool: &Pool, days: i32, answers: i32, claims: i32) {
    let sql = "INSERT INTO idempotency_keys
                   (principal, key, fingerprint, claim, claimed_until, answer, answered_at)
               SELECT 'demo', $1 || '-' || n, '', gen_random_uuid(), at,
                      CASE WHEN n <= $2 THEN '{}'::jsonb END, CASE WHEN n <= $2 THEN at END
               FROM generate_series(1, $2 + $3) AS n,
                    (SELECT now() - make_interval(days => $1) AS at) AS dated";
    sqlx::query(sql).bind(days).bind(answers).bind(claims).execute(pool).await.unwrap();
}

#[tokio::test]
async fn what_has_expired_is_forgotten_in_batches_and_the_rest_is_kept() {
    let database = fresh_database().await;
    let (keys, pool) = (store_on(&database), database.pool());
    insert_keys(&pool, 8, 2_500, 1_200).await;
    insert_keys(&pool, 6, 20, 10).await;
    let mut batches = Vec::new();
    while batches.last() != Some(&0) {
        batches.push(keys.forget_expired().await.unwrap());
    }
    assert_eq!(batches, [2_000, 1_200, 500, 0], "at most a thousand of each kind at once");
    let kept: i64 =
        sqlx::query_scalar("SELECT count(*) FROM idempotency_keys").fetch_one(&pool).await.unwrap();
    assert_eq!(kept, 30);
}

#[tokio::test]
async fn a_batch_is_found_by_an_index_however_many_keys_there_are() {
    let database = fresh_database().await;
    let pool = database.pool();
    insert_keys(&pool, 1, 60_000, 2_000).await;
    insert_keys(&pool, 8, 3_000, 2_000).await;
    pool.execute("ANALYZE idempotency_keys").await.unwrap();
    for sql in [FORGET_ANSWERS, FORGET_CLAIMS] {
        let plan: Vec<String> = sqlx::query_scalar(&format!("EXPLAIN {sql}"))
            .bind(ANSWER_RETENTION.as_secs_f64())
            .bind(FORGOTTEN_AT_ONCE)
            .fetch_all(&pool)
            .await
            .unwrap();
        let plan = plan.join("\n");
        assert!(plan.contains("idempotency_keys_cleanup"), "{plan}");
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
}
