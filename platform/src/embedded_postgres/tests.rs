//! Real clusters in temporary folders, killed and started again.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use super::pid_file::{Occupant, find_occupant};
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

fn server_pid(config: &EmbeddedPostgresConfig) -> i32 {
    match find_occupant(&config.data_dir.join(cluster::CLUSTER)) {
        Occupant::Server(file) => file.pid,
        other => panic!("no server runs: {other:?}"),
    }
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
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
    // As after kill -9 of the owner: the lock is free, the server runs.
    drop(postgres);

    let adopted = EmbeddedPostgres::start(config.clone()).await.unwrap();
    assert_eq!(server_pid(&config), pid);
    assert_eq!(read(&mut connect(&adopted).await).await, 42);
    drop(adopted);
    kill(pid);

    let recovered = EmbeddedPostgres::start(config.clone()).await.unwrap();
    assert_ne!(server_pid(&config), pid);
    assert_eq!(read(&mut connect(&recovered).await).await, 42);
    recovered.stop().await.unwrap();
    assert_eq!(find_occupant(&config.data_dir.join(cluster::CLUSTER)), Occupant::Nobody);
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

    drop(postgres);
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
