//! A log, its idempotency keys, and a command to execute.

use std::sync::Arc;

use domain::{Part, PartCommand, PartNumber, Reach};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{EventLog, EventMetadata, Position};
use platform::execute::{Executed, Request, execute_once};
use platform::idempotency::{
    Answer, Claim, ClaimError, Claimed, Fingerprint, IdempotencyKey, IdempotencyStore,
};
use platform::test_support::{TestDatabase, fresh_database};
use serde_json::json;

use crate::two_step_log::{TwoStepLog, TwoSteps};

pub(crate) struct Stage {
    pub(crate) database: TestDatabase,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) keys: IdempotencyStore,
}

impl Stage {
    pub(crate) async fn in_one_transaction() -> Self {
        let database = fresh_database().await;
        let log = Arc::new(PostgresEventLog::new(database.pool()));
        Self::on(database, log)
    }

    pub(crate) async fn in_two_steps() -> (Self, Arc<TwoStepLog>) {
        let database = fresh_database().await;
        let postgres = Arc::new(PostgresEventLog::new(database.pool()));
        let log = Arc::new(TwoSteps::over(postgres, database.pool()));
        (Self::on(database, Arc::clone(&log) as _), log)
    }

    pub(crate) fn on(database: TestDatabase, log: Arc<dyn EventLog>) -> Self {
        let keys = IdempotencyStore::new(database.pool(), Arc::clone(&log));
        Self { database, log, keys }
    }

    pub(crate) async fn claim(&self, key: &str, body: &str) -> Result<Claimed, ClaimError> {
        let key = IdempotencyKey::parse(key).unwrap();
        let fingerprint =
            Fingerprint::for_request("POST", "/v1/parts", None, None, body.as_bytes());
        self.keys.claim("demo", &key, fingerprint).await
    }

    pub(crate) async fn fresh(&self, key: &str, body: &str) -> Claim {
        match self.claim(key, body).await.unwrap() {
            Claimed::Fresh(claim) => claim,
            Claimed::Answered(answer) => panic!("answered already: {answer:?}"),
        }
    }

    pub(crate) async fn run(&self, part: &str, claim: &Claim) -> Result<Answer, String> {
        execute_once(&*self.log, request(part), (claim, &Reach::everywhere()), answer)
            .await
            .map_err(|e| e.to_string())
    }

    /// Executes without a claim; or tells what was answered before, or why it is refused.
    pub(crate) async fn run_at_once(
        &self,
        part: &str,
        (key, body): (&str, &str),
    ) -> Result<Answer, String> {
        let key = IdempotencyKey::parse(key).unwrap();
        let fingerprint =
            Fingerprint::for_request("POST", "/v1/parts", None, None, body.as_bytes());
        let claim = self.keys.begin("demo", &key, fingerprint).await.unwrap();
        let by = (&claim, &Reach::everywhere());
        match execute_once(&*self.log, request(part), by, answer).await {
            Ok(answer) => Ok(answer),
            Err(refused) => match self.keys.find_answer(&claim).await {
                Ok(Some(answer)) => Ok(answer),
                Ok(None) => Err(refused.to_string()),
                Err(error) => Err(error.to_string()),
            },
        }
    }

    pub(crate) async fn end_leases(&self) {
        sqlx::query("UPDATE idempotency_keys SET claimed_until = now() - interval '1 second'")
            .execute(&self.database.pool())
            .await
            .unwrap();
    }

    /// For how many seconds the key is still held; `None` when nobody has claimed it.
    pub(crate) async fn claim_held(&self, key: &str) -> Option<f64> {
        let sql = "SELECT extract(epoch FROM claimed_until - now())::float8
                   FROM idempotency_keys WHERE key = $1";
        sqlx::query_scalar(sql).bind(key).fetch_optional(&self.database.pool()).await.unwrap()
    }

    pub(crate) async fn head(&self) -> Position {
        self.log.head().await.unwrap()
    }
}

pub(crate) fn request(part: &str) -> Request<Part> {
    Request {
        aggregate_id: part.into(),
        command: PartCommand::RegisterPart { part: PartNumber::new(part).unwrap() },
        is_new: false,
        if_match: None,
        metadata: EventMetadata::by_service("test"),
    }
}

pub(crate) fn answer(executed: &Executed<Part>) -> Answer {
    Answer {
        status: 201,
        headers: vec![("etag".into(), executed.version.to_string())],
        body: json!({ "version": executed.version }),
        place: executed.place(),
    }
}
