//! Clients that are refused while they send: each sees its answer, and knows whether it may go on.

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::connections::{connect, read_answer, serve_router};
use crate::http::ConnectionLimits;

/// More than fits into the buffers of both sides.
const LARGE: usize = 40 << 20;

async fn server() -> std::net::SocketAddr {
    let routes = Router::new()
        .route("/refused", post(async || (StatusCode::UNAUTHORIZED, "who?")))
        .route("/upload", put(async |body: axum::body::Bytes| body.len().to_string()))
        .route("/here", get(async || "here"));
    serve_router(routes, ConnectionLimits::default()).await.0
}

fn head(method: &str, path: &str, headers: &str, length: usize) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n"
    )
}

async fn is_open(stream: &mut TcpStream) -> bool {
    stream.write_all(b"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    read_answer(stream).await.ends_with("here")
}

#[tokio::test]
async fn who_sends_all_of_it_before_he_reads_sees_that_it_is_too_large() {
    let server = server().await;
    for _ in 0..20 {
        let mut stream = connect(server, &head("PUT", "/upload", "", LARGE)).await;
        stream.write_all(&vec![0; LARGE]).await.expect("reset while it was sent");
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.expect("reset instead of closed");
    }
}

#[tokio::test]
async fn a_short_body_that_nobody_wanted_does_not_cost_the_connection() {
    let server = server().await;
    let mut stream = connect(server, &head("POST", "/refused", "", 60_000)).await;
    stream.write_all(&[b'x'; 60_000]).await.unwrap();
    let answer = read_answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 401") && !answer.contains("connection: close"));
    assert!(is_open(&mut stream).await);
}

#[tokio::test]
async fn who_waits_to_be_asked_for_the_body_is_refused_without_sending_it() {
    let server = server().await;
    let expects = head("POST", "/refused", "Expect: 100-continue\r\n", 60_000);
    let answer = read_answer(&mut connect(server, &expects).await).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for_and_one_that_was_read_costs_nothing() {
    let server = server().await;
    let answer = read_answer(&mut connect(server, &head("POST", "/refused", "", 9)).await).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let mut stream = connect(server, &(head("PUT", "/upload", "", 3) + "abc")).await;
    let answer = read_answer(&mut stream).await;
    assert!(answer.ends_with('3') && !answer.contains("connection: close"), "{answer}");
    assert!(is_open(&mut stream).await);
}

#[tokio::test]
async fn a_head_that_is_no_head_is_answered_before_the_end() {
    let server = server().await;
    let nonsense =
        format!("GET /here HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n", "x".repeat(1 << 20));
    let mut stream = connect(server, "").await;
    // It is cut off while it sends, and reads why.
    let _ = stream.write_all(nonsense.as_bytes()).await;
    let answer = read_answer(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}
