//! `run`: the API in a process of its own, over a real socket.

use std::time::Duration;

use command_api::{CommandApiConfig, RunConfig, run};
use platform::postgres::DatabaseConfig;
use platform::shutdown::Shutdown;
use platform::test_support::fresh_database;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[tokio::test]
async fn it_answers_until_it_is_asked_to_finish() {
    let (database, data) = (fresh_database().await, tempfile::tempdir().unwrap());
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let config = RunConfig {
        listen: free,
        data_dir: data.path().to_owned(),
        demo_user: true,
        database: DatabaseConfig::from_url(database.url()),
        api: CommandApiConfig::default(),
    };
    let shutdown = Shutdown::new();
    let serving = tokio::spawn(run(config, shutdown.clone()));
    let form = "username=demo&password=demo";
    let request = format!(
        "POST /v1/token HTTP/1.1\r\nHost: {free}\r\nConnection: close\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
        form.len()
    );
    let answer = tokio::time::timeout(Duration::from_secs(20), ask(free, &request)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains("access_token"), "{answer}");
    shutdown.request();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_demo_user_is_refused_beyond_loopback() {
    let config = RunConfig {
        listen: "0.0.0.0:0".parse().unwrap(),
        data_dir: "/nonexistent".into(),
        demo_user: true,
        database: DatabaseConfig::from_url("postgres://nobody@127.0.0.1:1/none"),
        api: CommandApiConfig::default(),
    };
    let error = run(config, Shutdown::new()).await.unwrap_err().to_string();
    assert!(error.contains("loopback only"), "{error}");
}

/// Asks as soon as somebody listens there.
async fn ask(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = loop {
        match TcpStream::connect(address).await {
            Ok(stream) => break stream,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
