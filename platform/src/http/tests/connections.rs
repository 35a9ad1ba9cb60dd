//! A server among clients that send half a head, nothing at all, or take no answer: real sockets.

use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::http::serve::LINGER_PAUSE;
use crate::http::{ConnectionLimits, HttpConfig, serve, wrap};
use crate::shutdown::Shutdown;

/// How long a test waits for what has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// A limit that no test reaches.
const NEVER: Duration = Duration::from_secs(3600);
/// A limit that a test waits for.
const SOON: Duration = Duration::from_millis(200);
const PIECE: Bytes = Bytes::from_static(&[7; 65_536]);

pub(super) fn limits() -> ConnectionLimits {
    ConnectionLimits { head: NEVER, idle: NEVER, stalled: NEVER, most: 100 }
}

pub(super) async fn serve_router(
    router: Router,
    limits: ConnectionLimits,
) -> (SocketAddr, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let router = wrap(router, &HttpConfig::default());
    tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    (address, shutdown)
}

pub(super) async fn connect(to: SocketAddr, said: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(said.as_bytes()).await.unwrap();
    stream
}

/// What is sent until the end of the connection, or of the answer's head when that is all.
pub(super) async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if body.len() >= length.unwrap_or("0").parse::<usize>().unwrap() {
                    return text;
                }
            }
            match stream.read(&mut piece).await.unwrap() {
                0 => return text,
                n => answer.extend_from_slice(&piece[..n]),
            }
        }
    };
    timeout(PATIENCE, read).await.expect("no answer")
}

async fn ask_path(to: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    read_answer(&mut connect(to, &request).await).await
}

/// Waits until the server has closed the connection.
async fn wait_for_end(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // An end is an end, in good order or not.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it stays open");
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}

fn routes() -> Router {
    Router::new()
        .route("/healthz", get(async || "alive"))
        .route("/here", get(async || "here"))
        .route("/busy", get(async || pending::<()>().await))
}

#[tokio::test]
async fn whoever_says_nothing_or_half_a_head_is_closed_and_who_waits_for_an_answer_is_not() {
    let (server, _) = serve_router(routes(), ConnectionLimits { head: SOON, ..limits() }).await;
    let mut busy = connect(server, "GET /busy HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    for said in ["", "GET /here HTTP/1.1\r\nHost: loc"] {
        wait_for_end(&mut connect(server, said).await).await;
    }
    let mut byte = [0];
    let answered = timeout(SOON * 3, busy.read(&mut byte)).await;
    assert!(answered.is_err(), "a request under way is not overdue: {answered:?}");
}

#[tokio::test]
async fn a_head_that_begins_on_an_idle_connection_has_the_time_of_a_head() {
    let (server, _) = serve_router(routes(), ConnectionLimits { head: SOON, ..limits() }).await;
    let mut stream = connect(server, "GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"));
    tokio::time::sleep(SOON * 3).await;
    stream.write_all(b"GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200"), "idle is something else");
    stream.write_all(b"GET /here HTTP/1.1\r\n").await.unwrap();
    wait_for_end(&mut stream).await;
}

#[tokio::test]
async fn connections_on_which_nothing_is_asked_do_not_keep_a_server_from_ending() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, shutdown) = (listener.local_addr().unwrap(), Shutdown::new());
    let router = wrap(routes(), &HttpConfig::default());
    let server = tokio::spawn(serve(listener, router, limits(), shutdown.clone()));
    let silent = connect(address, "").await;
    let half = connect(address, "GET /here HTTP/1.1\r\n").await;
    // Accepted after both.
    let mut idle = connect(address, "GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(read_answer(&mut idle).await.ends_with("here"));
    let asked = tokio::time::Instant::now();
    shutdown.request();
    timeout(PATIENCE, server).await.expect("it goes on").unwrap();
    // Neither as long as an answer is waited with, nor as a request may take.
    assert!(asked.elapsed() < LINGER_PAUSE, "it took {:?}", asked.elapsed());
    wait_for_end(&mut idle).await;
    drop((silent, half));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (server, _) = serve_router(routes(), ConnectionLimits { idle: SOON, ..limits() }).await;
    let mut stream = connect(server, "GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(read_answer(&mut stream).await.ends_with("here"));
    wait_for_end(&mut stream).await;
}

#[tokio::test]
async fn silent_connections_give_way_to_whoever_asks_something() {
    let (server, _) = serve_router(routes(), ConnectionLimits { most: 8, ..limits() }).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(connect(server, "GET /he").await);
        assert!(ask_path(server, "/here").await.ends_with("here"));
    }
    wait_for_end(&mut silent[0]).await;
}

#[tokio::test]
async fn who_does_not_send_a_body_or_take_an_answer_gives_way_too() {
    let endless = async || Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(PIECE)));
    let length = async |body: Bytes| body.len().to_string();
    let routes = routes().route("/length", post(length)).route("/endless", get(endless));
    let most = 8;
    let (server, _) = serve_router(routes, ConnectionLimits { most, ..limits() }).await;
    let head = "POST /length HTTP/1.1\r\nHost: localhost\r\n";
    let unfinished = [
        &format!("{head}Content-Length: 10\r\n\r\n12345"),
        &format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"),
        "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ];
    let mut open = Vec::new();
    for said in unfinished {
        for _ in 0..2 * most {
            open.push(connect(server, said).await);
        }
        let asked = async { while !ask_path(server, "/here").await.ends_with("here") {} };
        // Before a request that stands still is given up on in any case.
        timeout(PATIENCE / 3, asked).await.expect("nobody gives way");
    }
}

#[tokio::test]
async fn while_every_place_is_taken_by_a_request_only_probes_are_answered() {
    let (server, _) = serve_router(routes(), ConnectionLimits { most: 2, ..limits() }).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        busy.push(connect(server, "GET /busy HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
    }
    // Until both requests have come; till then one that is only expected gives way.
    let refused = async {
        loop {
            let answer = ask_path(server, "/here").await;
            if !answer.starts_with("HTTP/1.1 200") {
                return answer;
            }
        }
    };
    let refused = timeout(PATIENCE, refused).await.expect("nobody is refused");
    assert!(refused.starts_with("HTTP/1.1 503") && refused.contains("connection: close"));
    assert!(refused.contains("retry-after: 1") && refused.contains("too many connections"));
    for _ in 0..50 {
        assert!(ask_path(server, "/healthz").await.ends_with("alive"));
    }
    busy.pop();
    let again = async { while !ask_path(server, "/here").await.ends_with("here") {} };
    timeout(PATIENCE, again).await.expect("a place that is free again is not given");
}

/// Tells when it is dropped.
pub(super) struct Told(pub(super) mpsc::Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}

#[tokio::test]
async fn who_takes_no_answer_is_closed() {
    let (sender, mut dropped) = mpsc::channel(1);
    let endless = move || {
        let pieces = stream::unfold(Told(sender.clone()), |told| async {
            Some((Ok::<_, std::io::Error>(Bytes::from_static(&[7; 65_536])), told))
        });
        async { Body::from_stream(pieces) }
    };
    let router = Router::new().route("/endless", get(endless));
    let (server, _) = serve_router(router, ConnectionLimits { stalled: SOON, ..limits() }).await;
    let silent = connect(server, "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    timeout(PATIENCE, dropped.recv()).await.expect("the answer is still being sent");
    drop(silent);
}
