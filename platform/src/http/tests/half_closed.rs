//! Clients that shut their sending side down after a request, and clients that are gone: both look the same
//! until something is written to them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::routing::{get, post};
use futures::{StreamExt as _, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::connections::{PATIENCE, Told, connect, limits, serve_router};

/// All that is answered, until the connection ends.
async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it stays open").unwrap();
    String::from_utf8(answer).unwrap()
}

/// Answers only when it is told to, and says when it was asked.
fn answer_when_told() -> (Router, Arc<Notify>, mpsc::Receiver<usize>) {
    let (asked, asks) = mpsc::channel(8);
    let told = Arc::new(Notify::new());
    let go_on = Arc::clone(&told);
    let answer = move |body: Bytes| async move {
        asked.send(body.len()).await.unwrap();
        go_on.notified().await;
        body
    };
    (Router::new().route("/echo", post(answer.clone()).get(answer)), told, asks)
}

#[tokio::test]
async fn who_has_said_all_and_shuts_its_sending_side_down_gets_its_answer() {
    let (router, told, mut asked) = answer_when_told();
    let (server, _) = serve_router(router, limits()).await;
    let post = "POST /echo HTTP/1.1\r\nHost: localhost\r\n";
    for request in [
        "GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        format!("{post}Content-Length: 4\r\n\r\nbody"),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"),
    ] {
        let mut client = connect(server, &request).await;
        client.shutdown().await.unwrap();
        let length = timeout(PATIENCE, asked.recv()).await.expect("it was not asked").unwrap();
        // Time for the connection to see the end.
        tokio::time::sleep(Duration::from_millis(50)).await;
        told.notify_one();
        let answer = read_to_end(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{request}: {answer:?}");
        assert!(answer.ends_with(&"body"[..length]), "{answer}");
    }
}

#[tokio::test]
async fn a_body_that_comes_in_pieces_with_the_end_right_behind_it_is_read_whole() {
    let length = async |body: Body| {
        // In a task of its own, as commands are: it looks when it likes.
        let read = tokio::spawn(async move { axum::body::to_bytes(body, 1 << 20).await });
        read.await.unwrap().map_or(0, |body| body.len()).to_string()
    };
    let router = Router::new().route("/length", post(length));
    let (server, _) = serve_router(router, limits()).await;
    for _ in 0..50 {
        let head = "POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n";
        let mut client = connect(server, head).await;
        client.write_all(&[7; 12_000]).await.unwrap();
        tokio::task::yield_now().await;
        client.write_all(&[7; 8_000]).await.unwrap();
        client.shutdown().await.unwrap();
        let answer = read_to_end(&mut client).await;
        assert!(answer.ends_with("\r\n\r\n20000"), "{answer:?}");
    }
}

#[tokio::test]
async fn whoever_reads_a_body_is_told_that_the_rest_of_it_never_comes() {
    let (read, mut ends) = mpsc::channel(8);
    let upload = move |body: Body| async move {
        let whole = axum::body::to_bytes(body, 1 << 20).await.is_ok();
        read.send(whole).await.unwrap();
        StatusCode::BAD_REQUEST
    };
    let router = Router::new().route("/upload", post(upload));
    let (server, _) = serve_router(router, limits()).await;
    let head = "POST /upload HTTP/1.1\r\nHost: localhost\r\n";
    for cut in [
        "Content-Length: 10\r\n\r\n",
        "Content-Length: 10\r\n\r\n12345",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        // In the middle of what belongs to no piece.
        "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n1",
    ] {
        let mut client = connect(server, &format!("{head}{cut}")).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.shutdown().await.unwrap();
        let whole = timeout(PATIENCE, ends.recv()).await;
        assert_eq!(whole.unwrap_or_else(|_| panic!("{cut:?}: it waits for more")), Some(false));
        drop(client);
    }
}

#[tokio::test]
async fn a_feed_goes_on_for_who_only_listens_and_ends_for_who_is_gone() {
    let (sender, mut dropped) = mpsc::channel(1);
    let feed = move || {
        let told = Told(sender.clone());
        let pieces = stream::unfold(told, |told| async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b": alive\n\n")), told))
        });
        async { Body::from_stream(pieces.boxed()) }
    };
    let router = Router::new().route("/feed", get(feed));
    let (server, _) = serve_router(router, limits()).await;
    let mut client = connect(server, "GET /feed HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    client.shutdown().await.unwrap();
    let mut pieces = vec![0; 1_000];
    timeout(PATIENCE, client.read_exact(&mut pieces)).await.expect("it ended").unwrap();
    assert!(dropped.try_recv().is_err());
    drop(client);
    timeout(PATIENCE, dropped.recv()).await.expect("the feed goes on for nobody");
}
