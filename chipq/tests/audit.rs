//! An auditor at the command line, against somebody with superuser rights on the database and the pictures.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::platform::test_support::{TestDatabase, fresh_database};
use platform::{Platform, chipq, finished, folder};

/// How long something may take that is to happen, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An installation on a database that the test rules.
struct Installation {
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Installation {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = chipq(arguments);
        command.env("CHIPQ_DATABASE_URL", self.database.url());
        let (code, said, error) = finished(command.arg("--data").arg(self.path("data")));
        (code, format!("{said}{error}"))
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let (code, said) = self.run(arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said
    }

    /// What `arguments` say of something that is not as it should be.
    fn differs(&self, arguments: &[&str]) -> String {
        let (code, said) = self.run(arguments);
        assert_eq!(code, 1, "{arguments:?}: {said}");
        said
    }

    async fn tamper(&self, statements: &str) {
        let sql = format!(
            "ALTER TABLE events DISABLE TRIGGER events_append_only; {statements};
             ALTER TABLE events ENABLE TRIGGER events_append_only"
        );
        sqlx::raw_sql(&sql).execute(&self.database.pool()).await.unwrap();
    }

    async fn ask(&self, sql: &str) -> String {
        sqlx::query_scalar(sql).fetch_one(&self.database.pool()).await.unwrap()
    }
}

/// Every picture in the folder of the store.
fn pictures(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pictures(&path));
        } else if std::fs::metadata(&path).unwrap().len() > 1_000 {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn offline(arguments: &[&str]) -> (i32, String) {
    let (code, said, error) = finished(&mut chipq(arguments));
    (code, format!("{said}{error}"))
}

/// An inspected board, with everything signed.
async fn inspected() -> Installation {
    let installation = Installation { database: fresh_database().await, folder: folder() };
    std::fs::create_dir(installation.path("witness")).unwrap();
    installation.succeed(&["demo", "--once", "--count", "1", "--listen", "127.0.0.1:0"]);
    let witness = installation.path("witness").display().to_string();
    let url = installation.database.url().to_owned();
    let environment = [("CHIPQ_DATABASE_URL", &*url), ("CHIPQ_WITNESS", &*witness)];
    let serving = Platform::start_with(&installation.path("data"), 0, &environment);
    let begun = Instant::now();
    loop {
        let (code, said) = installation.run(&["audit", "verify", "--heads", &witness]);
        if code == 0 && !said.contains("no tree head covers") && !said.contains("not in the tree") {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    serving.stop();
    installation
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_was_is_proved_here_and_elsewhere_and_every_change_is_named() {
    let installation = inspected().await;
    let name = |name: &str| installation.path(name).display().to_string();
    let (export, key, witness) = (name("log.jsonl"), name("public.pem"), name("witness"));
    installation.succeed(&["audit", "export", "--out", &export]);
    let keys = name("data");
    let (code, said) = offline(&["audit", "key", "--data", &keys, "--out", &key]);
    assert_eq!(code, 0, "{said}");
    let verify = ["audit", "verify", "--export", &export, "--key", &key, "--heads", &witness];
    let (code, said) = offline(&verify);
    assert!(code == 0 && said.contains("proved: events 1 to "), "{said}");

    // The export, one byte at a time; cut off; by another key.
    let bytes = std::fs::read(&export).unwrap();
    for at in [20, bytes.len() / 3, bytes.len() / 2, bytes.len() - 20] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        std::fs::write(&export, &changed).unwrap();
        let (code, said) = offline(&verify);
        assert!(code == 1 && said.starts_with("not as it should be: line "), "{at}: {said}");
    }
    std::fs::write(&export, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(offline(&verify).0, 1);
    std::fs::write(&export, &bytes).unwrap();
    let other = folder();
    let other_key = other.path().join("other.pem").display().to_string();
    let elsewhere = other.path().display().to_string();
    let made = offline(&["audit", "key", "--create", "--data", &elsewhere, "--out", &other_key]);
    assert_eq!(made.0, 0, "{}", made.1);
    let (code, said) = offline(&["audit", "verify", "--export", &export, "--key", &other_key]);
    assert!(code == 1 && said.contains("signed by another key"), "{said}");

    // The proof of the report.
    let judged = "SELECT aggregate_id FROM events WHERE event_type = 'InspectionJudged'";
    let (inspection, proof) = (installation.ask(judged).await, name("proof.json"));
    installation.succeed(&["audit", "prove", "--report", &inspection, "--out", &proof]);
    let (code, said) = offline(&["audit", "check", &proof, "--key", &key]);
    assert!(
        code == 0 && said.contains(&format!("the report of inspection {inspection}")),
        "{said}"
    );
    let bytes = std::fs::read(&proof).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 20) {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        std::fs::write(&proof, &changed).unwrap();
        let (code, said) = offline(&["audit", "check", &proof, "--key", &key]);
        assert_eq!(code, 1, "byte {at}: {said}");
    }
    let unknown = uuid::Uuid::nil().to_string();
    let (code, said) = installation.run(&["audit", "prove", "--report", &unknown, "--out", &proof]);
    assert!(code == 64 && said.contains("there is no report"), "{said}");

    the_database_is_changed(&installation, &witness).await;
    the_pictures_are_changed(&installation);
}

async fn the_database_is_changed(installation: &Installation, witness: &str) {
    installation.tamper("CREATE TABLE kept AS SELECT * FROM events").await;
    let at = "SELECT event_id::text FROM events WHERE event_type = 'InspectionJudged'";
    let id = installation.ask(at).await;
    for (change, expected) in [
        (
            "UPDATE events SET payload = jsonb_set(payload, '{judgement}', '\"pass\"') || '{\"x\": 1}'
                WHERE event_type = 'InspectionJudged'",
            format!("the event {id} at position "),
        ),
        ("DELETE FROM events WHERE event_type = 'InspectionJudged'", format!("the event {id} at position ")),
        ("DELETE FROM events WHERE position > 3", "the log is truncated: the event".to_owned()),
    ] {
        installation.tamper(change).await;
        let said = installation.differs(&["audit", "verify"]);
        assert!(said.contains(&expected), "{change}: {said}");
        installation.tamper("DELETE FROM events; INSERT INTO events SELECT * FROM kept").await;
        installation.succeed(&["audit", "verify"]);
    }
    // Heads that another log's signer kept.
    let heads = std::fs::read_dir(witness).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(&heads).unwrap();
    std::fs::write(&heads, text.replacen("\nposition ", "\nposition 9", 1)).unwrap();
    let said = installation.differs(&["audit", "verify", "--heads", witness]);
    assert!(said.contains("is not believed"), "{said}");
    std::fs::write(&heads, text).unwrap();
}

fn the_pictures_are_changed(installation: &Installation) {
    let found = pictures(&installation.path("data").join("artifacts"));
    let (first, second) = (&found[0], &found[1]);
    let bytes = std::fs::read(first).unwrap();
    std::fs::copy(second, first).unwrap();
    let said = installation.differs(&["audit", "verify"]);
    assert!(
        said.contains("the picture ") && said.contains("was altered: its SHA-256 is"),
        "{said}"
    );
    std::fs::remove_file(first).unwrap();
    let said = installation.differs(&["audit", "verify"]);
    assert!(said.contains("is missing in the store, and no event says"), "{said}");
    let said = installation.succeed(&["audit", "verify", "--without-artifacts"]);
    assert!(said.contains("which were not read"), "{said}");
    std::fs::write(first, &bytes).unwrap();
    installation.succeed(&["audit", "verify"]);
}
