//! The tree and its heads, on a real database, against somebody who rules it.

mod tampering;
mod witnesses;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use platform::auth::{KeyPlace, TreeHeadKey};
use platform::event_log::postgres::PostgresEventLog;
use platform::event_log::{Append, EventLog, EventMetadata, NewEvent, StreamId};
use platform::follower::{Followers, LogReactorFollower, LogTail, run_follower};
use platform::shutdown::Shutdown;
use platform::test_support::{DatabaseBackup, TestDatabase, fresh_database};
use serde_json::json;
use transparency::SignedTreeHead;

use crate::head_folder::HeadFolder;
use crate::origins::{begin_origin, list_origins};
use crate::reactor::TreeBuilder;
use crate::signer::Signer;
use crate::tree_tables::load_tree;
use crate::troubles::ProofTroubles;
use crate::verify::{LogVerdict, verify_log};
use crate::{BelievedHeads, believe_heads};

/// How long something may take that is to happen, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

struct World {
    database: TestDatabase,
    log: Arc<PostgresEventLog>,
    folder: tempfile::TempDir,
    troubles: Arc<ProofTroubles>,
}

impl World {
    async fn new() -> Self {
        let (database, folder) = (fresh_database().await, tempfile::tempdir().unwrap());
        let log = Arc::new(PostgresEventLog::new(database.pool()));
        Self { database, log, folder, troubles: Arc::default() }
    }

    /// A log of so many events that are in the tree and signed.
    async fn with_events(count: usize) -> Self {
        let world = Self::new().await;
        world.append_events(count).await;
        world.build_tree().await;
        world.signer().sign_growth().await.unwrap().unwrap();
        world
    }

    fn place(&self) -> KeyPlace {
        KeyPlace::in_data(self.folder.path())
    }

    fn heads_path(&self) -> std::path::PathBuf {
        self.folder.path().join("tree-heads")
    }

    fn signer(&self) -> Signer {
        Signer {
            pool: self.database.pool(),
            key: TreeHeadKey::open(&self.place()).unwrap(),
            without_key: String::new(),
            folder: HeadFolder::new(self.heads_path()),
            witness: None,
            troubles: Arc::clone(&self.troubles),
        }
    }

    /// Streams of three events each.
    async fn append_events(&self, count: usize) {
        let mut left = count;
        while left > 0 {
            let (id, now) = (uuid::Uuid::new_v4(), left.min(3));
            let new = (0..now).map(|n| NewEvent {
                event_type: "Tested".to_owned(),
                event_version: "1".to_owned(),
                payload: json!({"type": "Tested", "n": n, "share": 0.125}),
                labels: Default::default(),
            });
            let stream =
                StreamId { aggregate_type: "test".to_owned(), aggregate_id: id.to_string() };
            let metadata = EventMetadata::by_service("test").with_command_id(id);
            let append = Append::new(stream, 0, new.collect(), metadata);
            // Connections may have been closed under it.
            while let Err(error) = self.log.append(append.clone()).await {
                assert!(error.to_string().contains("unavailable"), "{error}");
            }
            left -= now;
        }
    }

    /// Runs the builder until it has every event of the log.
    async fn build_tree(&self) {
        let pool = self.database.pool();
        let (log, signer) = (self.log.clone(), Arc::new(Signer { key: None, ..self.signer() }));
        let reactor = TreeBuilder { pool: pool.clone(), log, signer, troubles: Arc::default() };
        let tail = LogTail::new(self.log.clone());
        let follower = LogReactorFollower { reactor, pool, tail, page_events: 100 };
        let (status, stop) = (Followers::new().register(crate::LOG_PROOF), Shutdown::new());
        let task = tokio::spawn(run_follower(follower, status, stop.child()));
        let head = self.log.head().await.unwrap();
        let built = async {
            while load_tree(&self.database.pool()).await.unwrap().position < head {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, built).await.expect("the tree is not built");
        stop.request();
        task.await.unwrap();
    }

    async fn find_heads(&self) -> Result<BelievedHeads, String> {
        let key = TreeHeadKey::open(&self.place()).unwrap().unwrap();
        let notes = HeadFolder::new(self.heads_path()).read_all().unwrap();
        let origins = list_origins(&self.database.pool()).await.unwrap();
        believe_heads(notes, &[*key.public_key()], &origins)
    }

    async fn verify(&self) -> LogVerdict {
        let heads = self.find_heads().await.unwrap();
        verify_log((&self.database.pool(), &*self.log), heads, &mut |_| ()).await.unwrap()
    }

    /// What verifying says of a log that is not as it was.
    async fn difference(&self) -> String {
        self.verify().await.expect_err("nothing differs")
    }

    /// Until every connection that a restore closed was found to be closed.
    async fn wait_for_connections(&self) {
        let mut good = 0;
        while good < 40 {
            let asked = sqlx::raw_sql("SELECT 1").execute(&self.database.pool()).await;
            good = if asked.is_ok() { good + 1 } else { 0 };
        }
    }

    /// As a superuser, past the trigger that refuses to.
    async fn tamper(&self, statements: &str) {
        let sql = format!(
            "ALTER TABLE events DISABLE TRIGGER events_append_only; {statements};
             ALTER TABLE events ENABLE TRIGGER events_append_only"
        );
        sqlx::raw_sql(&sql).execute(&self.database.pool()).await.unwrap();
    }

    async fn id_at(&self, position: i64) -> String {
        let sql = "SELECT event_id::text FROM events WHERE position = $1";
        sqlx::query_scalar(sql).bind(position).fetch_one(&self.database.pool()).await.unwrap()
    }
}

fn sizes(heads: &[SignedTreeHead]) -> Vec<u64> {
    heads.iter().map(|signed| signed.head.size).collect()
}

#[tokio::test]
async fn every_event_is_in_the_tree_once_and_every_head_fits() {
    let world = World::with_events(300).await;
    world.append_events(400).await;
    world.build_tree().await;
    assert!(world.signer().sign_growth().await.unwrap().is_some());
    assert!(world.signer().sign_growth().await.unwrap().is_none(), "nothing is new");
    // Given again from the beginning, as after a crash before the checkpoint was saved.
    let again = "UPDATE follower_leases SET position = 0 WHERE follower = 'log-proof'";
    sqlx::raw_sql(again).execute(&world.database.pool()).await.unwrap();
    world.append_events(5).await;
    world.build_tree().await;
    let verified = world.verify().await.unwrap();
    assert_eq!((verified.events, verified.heads, verified.proved.0), (705, 2, 700));
    assert_eq!(verified.beyond, 0);
    world.append_events(2).await;
    assert_eq!(world.verify().await.unwrap().beyond, 2);
    assert_eq!(sizes(&world.find_heads().await.unwrap().0), [300, 700]);
}

#[tokio::test]
async fn the_private_half_of_the_key_is_not_in_the_database_and_a_stranger_signs_nothing() {
    let world = World::with_events(3).await;
    let stranger = tempfile::tempdir().unwrap();
    let key = TreeHeadKey::open(&KeyPlace::in_data(stranger.path())).unwrap().unwrap();
    let notes = HeadFolder::new(world.heads_path()).read_all().unwrap();
    let origins = list_origins(&world.database.pool()).await.unwrap();
    let refused = believe_heads(notes.clone(), &[*key.public_key()], &origins).unwrap_err();
    assert!(refused.contains("signed by another key"), "{refused}");
    let other = World::with_events(3).await;
    assert!(list_origins(&World::new().await.database.pool()).await.unwrap().is_empty());
    let others = list_origins(&other.database.pool()).await.unwrap();
    let own = TreeHeadKey::open(&world.place()).unwrap().unwrap();
    let refused = believe_heads(notes, &[*own.public_key()], &others).unwrap_err();
    assert!(refused.contains("is of another log: chipq/"), "{refused}");
}

#[tokio::test]
async fn a_log_that_was_put_back_gets_nothing_signed_until_it_has_another_name() {
    let world = World::with_events(10).await;
    let backup = DatabaseBackup::take(&world.database).await;
    world.append_events(10).await;
    world.build_tree().await;
    world.signer().sign_growth().await.unwrap().unwrap();
    backup.restore().await;
    world.wait_for_connections().await;
    let refused = world.signer().sign_growth().await.unwrap_err();
    assert!(
        refused.contains("its tree has 10 events, and a tree head of 20 was signed"),
        "{refused}"
    );
    let truncated = world.difference().await;
    assert!(truncated.contains("the log is truncated: it has 10 events"), "{truncated}");
    world.append_events(15).await;
    world.build_tree().await;
    let refused = world.signer().sign_growth().await.unwrap_err();
    assert!(refused.contains("its first 20 events are not those"), "{refused}");
    let differs = world.difference().await;
    assert!(differs.contains("not those of the tree head of 20 events"), "{differs}");

    let origin = begin_origin(&world.database.pool(), "ada", "restored").await.unwrap();
    world.build_tree().await;
    let signed = world.signer().sign_growth().await.unwrap().unwrap();
    assert_eq!((&signed.head.origin, signed.head.size), (&origin, 25));
    let verified = world.verify().await.unwrap();
    assert_eq!((verified.heads, verified.given_up), (1, (1, 1)));
}

/// A machine that takes over has no heads in its own folder.
#[tokio::test]
async fn who_takes_over_goes_on_from_what_the_database_knows_was_signed() {
    let world = World::with_events(10).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let signer =
        |path: &Path| Signer { folder: HeadFolder::new(path.to_owned()), ..world.signer() };
    assert!(signer(elsewhere.path()).sign_growth().await.unwrap().is_none());
    world.tamper("UPDATE events SET metadata = '{}' WHERE position = 5").await;
    let rebuild = "DELETE FROM proof_tiles; UPDATE follower_leases SET position = 0;
        UPDATE proof_tree SET size = 0, position = 0, chain = decode(repeat('00', 32), 'hex')";
    sqlx::raw_sql(rebuild).execute(&world.database.pool()).await.unwrap();
    world.append_events(1).await;
    world.build_tree().await;
    let refused = signer(elsewhere.path()).sign_growth().await.unwrap_err();
    assert!(refused.contains("its first 10 events are not those"), "{refused}");
}
