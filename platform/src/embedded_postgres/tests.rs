//! Real clusters in temporary folders, killed and started again.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal, getpid, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::pid_file::{PidFile, is_there};
use super::*;

/// A folder that the server's account may enter.
fn folder() -> (TempDir, EmbeddedPostgresConfig) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let config = EmbeddedPostgresConfig::new(folder.path().join("postgres"));
    (folder, config)
}

async fn connect(postgres: &EmbeddedPostgres) -> PgConnection {
    PgConnection::connect(&postgres.owner_url(DATABASE)).await.unwrap()
}

/// Waits while the supervisor brings the server back.
async fn connect_patiently(postgres: &EmbeddedPostgres) -> PgConnection {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        match PgConnection::connect(&postgres.owner_url(DATABASE)).await {
            Ok(connection) => return connection,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn write(postgres: &EmbeddedPostgres) {
    let mut connection = connect(postgres).await;
    connection.execute("CREATE TABLE kept AS SELECT 42 AS n").await.unwrap();
}

async fn read(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT n FROM kept").fetch_one(connection).await.unwrap()
}

/// The server that wrote the pid file, if it is still there.
fn find_server(config: &EmbeddedPostgresConfig) -> Option<Pid> {
    match PidFile::read(&config.data_dir.join(cluster::CLUSTER)).unwrap() {
        PidFile::Server { pid, .. } => Some(pid).filter(|pid| is_there(*pid)),
        PidFile::Missing | PidFile::Illegible => None,
    }
}

fn server_pid(config: &EmbeddedPostgresConfig) -> Pid {
    find_server(config).expect("a server runs")
}

fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}

/// As after kill -9 of the owner: the lock is free, the server runs.
async fn abandon(mut postgres: EmbeddedPostgres) {
    let server = postgres.supervisor.take().unwrap().stop_watching().await;
    server.unwrap().let_go();
}

#[tokio::test]
async fn a_stopped_cluster_starts_again_with_its_data_on_its_port_and_a_draft_does_no_harm() {
    let (_folder, config) = folder();
    // What a start that was killed during initdb leaves behind.
    let draft = config.data_dir.join("cluster.new-0000");
    std::fs::create_dir_all(&draft).unwrap();
    std::fs::write(draft.join("PG_VERSION"), "half").unwrap();

    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    assert!(!draft.exists());
    let port = postgres.port();
    write(&postgres).await;
    postgres.stop().await.unwrap();

    let postgres = EmbeddedPostgres::start(config).await.unwrap();
    assert_eq!(read(&mut connect(&postgres).await).await, 42);
    assert_eq!(postgres.port(), port);
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_cluster_that_outlived_its_owner_is_adopted_and_one_that_was_killed_too_is_recovered() {
    let (_folder, config) = folder();
    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    write(&postgres).await;
    let pid = server_pid(&config);
    abandon(postgres).await;

    let adopted = EmbeddedPostgres::start(config.clone()).await.unwrap();
    assert_eq!(server_pid(&config), pid);
    assert_eq!(read(&mut connect(&adopted).await).await, 42);
    abandon(adopted).await;
    kill(pid);

    let recovered = EmbeddedPostgres::start(config.clone()).await.unwrap();
    assert_ne!(server_pid(&config), pid);
    assert_eq!(read(&mut connect(&recovered).await).await, 42);
    recovered.stop().await.unwrap();
    assert_eq!(find_server(&config), None);
}

#[tokio::test]
async fn a_server_that_is_killed_under_us_comes_back_on_the_same_port_with_its_data() {
    let (_folder, config) = folder();
    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    write(&postgres).await;
    for _ in 0..2 {
        kill(server_pid(&config));
        // Until the dead server's remains are gone, connections may still be refused.
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(read(&mut connect_patiently(&postgres).await).await, 42);
    }
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_owner_is_refused_and_a_lost_password_is_explained() {
    let (_folder, config) = folder();
    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    let second = EmbeddedPostgres::start(config.clone()).await.unwrap_err();
    assert!(matches!(second, EmbeddedPostgresError::InUse(_)), "{second}");

    abandon(postgres).await;
    let password = config.data_dir.join("password");
    let right = std::fs::read(&password).unwrap();
    std::fs::write(&password, "wrong").unwrap();
    let refused = EmbeddedPostgres::start(config.clone()).await.unwrap_err();
    assert!(matches!(refused, EmbeddedPostgresError::PasswordRefused { .. }), "{refused}");

    std::fs::write(&password, right).unwrap();
    stop_cluster(&config).await.unwrap();
}

#[tokio::test]
async fn only_loopback_is_listened_on_and_a_password_is_asked_for() {
    let (_folder, config) = folder();
    let postgres = EmbeddedPostgres::start(config).await.unwrap();
    let mut connection = connect(&postgres).await;
    let listen: String =
        sqlx::query_scalar("SHOW listen_addresses").fetch_one(&mut connection).await.unwrap();
    assert_eq!(listen, "127.0.0.1");
    let sockets: String = sqlx::query_scalar("SHOW unix_socket_directories")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(sockets, "");
    let stranger = format!("postgres://chipq:wrong@127.0.0.1:{}/chipq", postgres.port());
    assert!(PgConnection::connect(&stranger).await.is_err());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn services_are_no_superusers_and_nobody_else_can_hold_the_lock() {
    let (_folder, config) = folder();
    std::fs::create_dir_all(&config.data_dir).unwrap();
    let lock = config.data_dir.join("lock");
    std::fs::write(&lock, "").unwrap();
    std::fs::set_permissions(&lock, std::fs::Permissions::from_mode(0o644)).unwrap();
    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    assert_eq!(std::fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o600);
    let mut service = PgConnection::connect(&postgres.service_url(DATABASE)).await.unwrap();
    let privileged: bool = sqlx::query_scalar(
        "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(&mut service)
    .await
    .unwrap();
    assert!(!privileged);
    postgres.stop().await.unwrap();

    // A password that was lost is made anew, as the owner's cannot be.
    std::fs::remove_file(config.data_dir.join("service-password")).unwrap();
    let postgres = EmbeddedPostgres::start(config).await.unwrap();
    PgConnection::connect(&postgres.service_url(DATABASE)).await.unwrap();
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_ends_with_whoever_holds_it_and_with_a_start_that_fails_or_is_given_up() {
    let (_folder, config) = folder();
    let making = EmbeddedPostgres::start(config.clone());
    let drafted = async {
        let is_draft = |entry: std::fs::DirEntry| entry.path().join("base").exists();
        let any = |entries: std::fs::ReadDir| entries.flatten().any(is_draft);
        while !std::fs::read_dir(&config.data_dir).is_ok_and(any) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! { _ = making => panic!("initdb was not seen"), () = drafted => {} }
    let left = std::fs::read_dir(&config.data_dir).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("cluster")).collect();
    assert!(left.is_empty(), "{left:?}");

    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    assert!(find_server(&config).is_some());
    drop(postgres);
    assert_eq!(find_server(&config), None, "it was dropped");

    let password = config.data_dir.join("password");
    let right = std::fs::read(&password).unwrap();
    std::fs::write(&password, "wrong").unwrap();
    let refused = EmbeddedPostgres::start(config.clone()).await.unwrap_err();
    assert!(matches!(refused, EmbeddedPostgresError::PasswordRefused { .. }), "{refused}");
    assert_eq!(find_server(&config), None, "it was launched and refused us");

    std::fs::remove_file(&password).unwrap();
    let lost = EmbeddedPostgres::start(config.clone()).await.unwrap_err();
    assert!(matches!(lost, EmbeddedPostgresError::PasswordLost { .. }), "{lost}");
    assert!(!password.exists(), "no other password is invented");
    write_private_again(&password, &right);
    EmbeddedPostgres::start(config).await.unwrap().stop().await.unwrap();
}

fn write_private_again(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_pid_file_that_nobody_answers_for_keeps_no_server_from_starting() {
    let (_folder, config) = folder();
    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    write(&postgres).await;
    let port = postgres.port();
    postgres.stop().await.unwrap();
    let cluster = config.data_dir.join(cluster::CLUSTER);
    let us = getpid().as_raw_nonzero();
    let of_another_program = format!("{us}\n{}\n1700000000\n{port}\n", cluster.display());
    for left in ["", "\0\0\0\0\0\0\0\0", &of_another_program] {
        let file = cluster.join("postmaster.pid");
        std::fs::write(&file, left).unwrap();
        if rustix::process::geteuid().is_root() {
            let owner = std::fs::metadata(&cluster).unwrap();
            std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let postgres = EmbeddedPostgres::start(config.clone()).await.expect(left);
        assert_eq!(read(&mut connect(&postgres).await).await, 42);
        postgres.stop().await.unwrap();
    }
}

/// Everything in a folder, with its owners, as a backup of a running platform has it.
fn copy_folder(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

#[tokio::test]
async fn a_copy_of_a_running_folder_is_its_own_and_a_moved_one_starts_again_where_it_is() {
    let (folder, config) = folder();
    let postgres = EmbeddedPostgres::start(config.clone()).await.unwrap();
    write(&postgres).await;
    // A name of bytes that are no text, and of two lines.
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"copied \xff\n5432");
    let copy = EmbeddedPostgresConfig::new(folder.path().join(name));
    copy_folder(&config.data_dir, &copy.data_dir);
    let copied = EmbeddedPostgres::start(copy.clone()).await.unwrap();
    assert_ne!(copied.port(), postgres.port());
    for server in [&postgres, &copied] {
        assert_eq!(read(&mut connect(server).await).await, 42);
    }
    abandon(copied).await;
    let adopted = EmbeddedPostgres::start(copy).await.unwrap();
    adopted.stop().await.unwrap();

    abandon(postgres).await;
    let moved = EmbeddedPostgresConfig::new(folder.path().join("moved"));
    std::fs::rename(&config.data_dir, &moved.data_dir).unwrap();
    let postgres = EmbeddedPostgres::start(moved.clone()).await.unwrap();
    let mut connection = connect(&postgres).await;
    let runs_on: String =
        sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await.unwrap();
    assert_eq!(Path::new(&runs_on), moved.data_dir.join(cluster::CLUSTER));
    assert_eq!(read(&mut connection).await, 42);
    postgres.stop().await.unwrap();
}
