//! Whatever machine it lands on: signals, what a process inherits, whose files they are.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use platform::{CHIPQ, Platform, chipq, chipq_at, finished, folder, postmaster, send};
use sqlx::{Connection as _, Executor as _, PgConnection};

/// How long something may take that a busy machine does in between.
const PATIENCE: Duration = Duration::from_secs(120);
/// A user without any rights of its own, on every machine.
const NOBODY: u32 = 65_534;

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn spawn(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Sends the signal, and insists on an end with this exit code and without an error's words.
fn interrupt(process: Child, signal: &str, code: i32) {
    send(signal, process.id());
    let Output { status, stderr, .. } = process.wait_with_output().unwrap();
    let said = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{signal}: {:?} {said}", status.signal());
    assert!(!said.contains("error") && !said.contains("panicked"), "{signal}: {said}");
}

/// A command that does not inherit signals that are switched off, as those of a background job.
fn with_signals(program: &str) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal").arg(program).env_remove("CHIPQ_DATA");
    command.env_remove("DATABASE_URL").env_remove("CHIPQ_DATABASE_URL");
    command
}

#[test]
fn every_signal_that_ends_a_platform_ends_its_postgresql_too() {
    let folder = folder();
    let data = folder.path().join("data");
    for signal in ["-TERM", "-INT", "-HUP", "-QUIT"] {
        Platform::start_by(with_signals(CHIPQ), &data, 0, &[]).stop_by(signal);
    }
}

#[test]
fn a_start_that_is_interrupted_is_quiet_and_leaves_nothing() {
    let folder = folder();
    let data = folder.path().join("data");
    let making = |data: &Path| {
        let is_made = |entry: std::fs::DirEntry| entry.path().join("base").exists();
        let postgres = std::fs::read_dir(data.join("postgres"));
        postgres.is_ok_and(|entries| entries.flatten().any(is_made))
    };
    for (signal, code) in [("-INT", 130), ("-TERM", 143), ("-HUP", 129), ("-QUIT", 131)] {
        let process = spawn(with_signals(CHIPQ).args(["migrate", "--data"]).arg(&data));
        wait_until("initdb runs", || making(&data));
        interrupt(process, signal, code);
        assert!(!data.exists(), "{signal}: what a first start has begun stays");
    }
    let demo = ["demo", "--once", "--count", "1", "--listen", "127.0.0.1:0"];
    let process = spawn(with_signals(CHIPQ).args(demo).env("TMPDIR", folder.path()));
    let temporary = || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    wait_until("PostgreSQL runs", || temporary().any(|data| postmaster(&data).is_some()));
    interrupt(process, "-HUP", 129);
    assert_eq!(temporary().count(), 0, "the demo leaves nothing");

    assert_eq!(finished(chipq(&["migrate", "--data"]).arg(&data)).0, 0);
    let process = spawn(with_signals(CHIPQ).args(["verify", "--data"]).arg(&data));
    wait_until("PostgreSQL runs", || postmaster(&data).is_some());
    interrupt(process, "-INT", 130);
    assert_eq!(postmaster(&data), None, "a command that looks leaves a server");
}

#[test]
fn variables_of_postgresql_reach_the_private_one_in_no_way() {
    let folder = folder();
    for options in ["-c default_transaction_read_only=on", "-c search_path=nowhere"] {
        let mut command = chipq(&["migrate", "--data"]);
        command.arg(folder.path().join("data")).env("PGOPTIONS", options);
        command.env("PGDATESTYLE", "nonsense").env("PGHOST", "192.0.2.1").env("PGPORT", "1");
        command.env("PGSSLMODE", "require").env("PGDATA", "/nowhere").env("PGUSER", "nobody");
        let (code, said, errors) = finished(command.env("PGTZ", "Mars/Olympus"));
        assert_eq!(code, 0, "{errors}");
        assert!(said.contains("newest shape"), "{said}");
    }
}

#[test]
fn a_command_that_looks_makes_no_installation() {
    let folder = folder();
    let data = folder.path().join("mistyped");
    let commands: [&[&str]; 5] = [
        &["verify"],
        &["projections", "list"],
        &["projections", "history"],
        &["rebuild", "yield"],
        &["model", "list"],
    ];
    for command in commands {
        let (code, _, said) = finished(chipq(command).arg("--data").arg(&data));
        assert_eq!(code, 66, "{command:?}: {said}");
        assert!(said.contains("no installation in") && said.contains("--data"), "{said}");
        assert!(!data.exists(), "{command:?}");
    }
}

#[tokio::test]
async fn a_database_that_nobody_has_migrated_is_left_alone_and_said_to_be_so() {
    let database = ::platform::test_support::fresh_database().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()::text")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let empty = format!("{name}_empty");
    let create = format!("CREATE DATABASE \"{empty}\" TEMPLATE template0");
    connection.execute(create.as_str()).await.unwrap();
    let url = database.url().replace(&name, &empty);
    let folder = folder();
    let commands: [&[&str]; 6] = [
        &["verify"],
        &["projections", "list"],
        &["command-api", "--listen", "0"],
        &["query-api", "--listen", "0"],
        &["projectors"],
        &["inference-worker"],
    ];
    for command in commands {
        let mut process = chipq(command);
        process.env("CHIPQ_DATABASE_URL", &url).env("CHIPQ_DATA", folder.path());
        let (code, _, said) = finished(&mut process);
        assert_eq!(code, 69, "{command:?}: {said}");
        assert!(said.contains("run `chipq migrate`"), "{command:?}: {said}");
    }
    let mut looking = PgConnection::connect(&url).await.unwrap();
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
            .fetch_one(&mut looking)
            .await
            .unwrap();
    looking.close().await.unwrap();
    connection.execute(format!("DROP DATABASE \"{empty}\"").as_str()).await.unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn any_mask_will_do() {
    let folder = folder();
    for mask in ["0777", "0077", "0000"] {
        let data = folder.path().join(mask);
        let script = format!("umask {mask}; exec {CHIPQ} migrate --data {}", data.display());
        let (code, _, said) = finished(with_signals("sh").args(["-c", &script]));
        assert_eq!(code, 0, "umask {mask}: {said}");
        assert_eq!(std::fs::metadata(data).unwrap().mode() & 0o777, 0o711);
    }
}

/// Whether this test may act as other users; says so when it cannot.
fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: only root can act as another user");
    }
    is_root
}

/// The executable where every user reaches it: what was built may lie in one user's home.
fn executable_for_everybody(folder: &Path) -> PathBuf {
    let executable = folder.join("chipq");
    std::fs::copy(CHIPQ, &executable).unwrap();
    std::fs::set_permissions(&executable, Permissions::from_mode(0o755)).unwrap();
    executable
}

#[test]
fn a_folder_belongs_to_one_user_and_who_else_comes_is_told_what_to_do() {
    if !is_root() {
        return;
    }
    let folder = folder();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let data = home.join("data");
    let executable = executable_for_everybody(folder.path());
    let migrate = |user: Option<u32>| {
        let mut command = chipq_at(&executable);
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        finished(command.args(["migrate", "--data"]).arg(&data))
    };
    let (code, _, said) = migrate(Some(NOBODY));
    assert_eq!(code, 0, "{said}");
    let (code, _, said) = migrate(None);
    assert!(code != 0 && said.contains("sudo -u '#65534'"), "{said}");
    assert_eq!(migrate(Some(NOBODY)).0, 0, "root has left nothing");
    chown(data.join("private-postgres-url"), Some(0), Some(0)).unwrap();
    let (code, _, said) = migrate(Some(NOBODY));
    assert!(code != 0 && said.contains("chown -R 65534"), "{said}");
    chown(data.join("private-postgres-url"), Some(NOBODY), None).unwrap();
    chown(data.join("postgres/cluster"), Some(0), Some(0)).unwrap();
    let (code, _, said) = migrate(Some(NOBODY));
    assert!(code != 0 && said.contains("chown -R 65534"), "{said}");
}

#[test]
fn too_few_threads_are_said_before_anything_is_started() {
    if !is_root() {
        return;
    }
    let folder = folder();
    let executable = executable_for_everybody(folder.path());
    let script = format!("ulimit -u 8; exec {} rebuild nonsense", executable.display());
    let mut command = with_signals("bash");
    let (code, _, said) = finished(command.args(["-c", &script]).uid(NOBODY).gid(NOBODY));
    assert_eq!(code, 69, "{said}");
    assert!(said.contains("too few") && said.contains("ulimit -u"), "{said}");
}
