//! Serving until asked to finish, and finishing within a bound. HTTP/1 only: a proxy in front speaks the rest.
//!
//! Invariant: whatever one client does with its connections, another one is still answered. A connection has
//! a time to send a request's head, to stay idle and to take an answer ([`ConnectionLimits`]); when all
//! places are taken, the one that has waited longest for its client gives way, and while the server has to do
//! something for every one of them, probes are answered all the same. A client that is still sending when it is refused reads its
//! answer before the connection is reset.

mod activity;
mod connections;
mod lent_stream;
mod limits;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::Problem;
use crate::shutdown::Shutdown;
use activity::{Activity, Answering, RequestBody};
use connections::{ConnectionPlace, Connections};
use lent_stream::LentStream;

pub use limits::ConnectionLimits;

/// How long open requests may take after finishing was asked for; then they are cut.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How long a client that has its answer may go on sending; what it sends is thrown away.
const LINGER_LIMIT: Duration = Duration::from_secs(30);
/// How long it may pause meanwhile.
pub(super) const LINGER_PAUSE: Duration = Duration::from_secs(5);
/// Bytes thrown away at a time.
const LINGER_BYTES: usize = 16 << 10;
/// The pause after no connection could be accepted, for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What is answered while every place is taken by a request under way.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Serves `router` until `shutdown`, then drains for at most [`DRAIN_LIMIT`].
/// Handlers can extract `ConnectInfo<SocketAddr>`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    shutdown: Shutdown,
) {
    let server = Server {
        // Once for all requests.
        router: router.with_state(()),
        connections: Arc::new(Connections::new(limits)),
        shutdown: shutdown.clone(),
        cut: CancellationToken::new(),
    };
    let tasks = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = shutdown.requested() => break,
            accepted = accept(&listener, &server.connections) => accepted,
        };
        // Without a place it is closed at once.
        if let Some(place) = server.connections.admit() {
            tasks.spawn(server.clone().serve_connection(stream, peer, place));
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(DRAIN_LIMIT, tasks.wait()).await.is_err() {
        tracing::warn!(limit_s = DRAIN_LIMIT.as_secs(), "requests were still open and are cut");
        server.cut.cancel();
    }
}

/// The next connection, however often there is none to be had.
async fn accept(listener: &TcpListener, connections: &Connections) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if went_away(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted; one that waits gives way");
                connections.close_longest_waiting();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client had gone before it was accepted.
fn went_away(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What all connections of a listener share.
#[derive(Clone)]
struct Server {
    router: Router,
    connections: Arc<Connections>,
    shutdown: Shutdown,
    /// Ends every connection at once.
    cut: CancellationToken,
}

impl Server {
    /// Serves one connection until its end, whoever makes it.
    async fn serve_connection(self, stream: TcpStream, peer: SocketAddr, place: ConnectionPlace) {
        let activity = Arc::clone(place.activity());
        let limits = self.connections.limits();
        let (cut, overdue) = (self.cut.clone(), Arc::clone(&activity));
        let served = async {
            let (lent, returned) = LentStream::new(stream, Arc::clone(&activity));
            let end = self.speak_http(lent, peer, &place).await;
            // After an upgrade only when that has ended.
            if let (Ok(stream), HttpEnd::Answered) = (returned.await, end) {
                linger(stream).await;
            }
        };
        tokio::select! {
            () = served => {}
            () = overdue.overdue(&limits) => {}
            () = overdue.evicted() => {}
            () = cut.cancelled() => {}
        }
    }

    async fn speak_http(
        &self,
        stream: LentStream,
        peer: SocketAddr,
        place: &ConnectionPlace,
    ) -> HttpEnd {
        let service = service_fn(|request: Request<Incoming>| {
            let answering = Activity::begin_answer(place.activity());
            let router = self.router.clone();
            let activity = Arc::clone(place.activity());
            let mut request = request.map(|body| Body::new(RequestBody::new(body, activity)));
            request.extensions_mut().insert(ConnectInfo(peer));
            if place.is_reserve() {
                request.extensions_mut().insert(InReserve);
            }
            async move { Ok::<_, Infallible>(answer(router, request, answering).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection.with_upgrades());
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.requested() => {
                if place.activity().is_asked_nothing() {
                    return HttpEnd::Unasked;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            // Clients come, go and send nonsense as they like.
            tracing::debug!(%error, "a connection ended early");
        }
        HttpEnd::Answered
    }
}

/// How HTTP on a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HttpEnd {
    /// The client may still be sending while it has its last answer to read.
    Answered,
    /// The server finishes, and nothing is under way that an answer is due to.
    Unasked,
}

async fn answer(
    router: Router,
    request: Request,
    answering: Answering,
) -> Response<activity::AnswerBody> {
    let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    response.map(|body| answering.until_sent(body, is_upgrade))
}

/// Reads what a client goes on sending, so that nothing is left unread when the connection is closed: that
/// would reset it, and take the answer from a client that has not read it yet.
async fn linger(mut stream: TcpStream) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let discard = async {
        let mut scratch = vec![0; LINGER_BYTES];
        let mut next = async || tokio::time::timeout(LINGER_PAUSE, stream.read(&mut scratch)).await;
        while let Ok(Ok(1..)) = next().await {}
    };
    // The end of patience is an end like any other.
    let _ = tokio::time::timeout(LINGER_LIMIT, discard).await;
}

/// Marks the requests of a connection that has no place of its own.
#[derive(Clone, Copy)]
struct InReserve;

/// Middleware: while every place is taken by a request under way, only probes are answered.
pub(super) async fn refuse_in_reserve(request: Request, next: Next) -> Response {
    if request.extensions().get::<InReserve>().is_none() {
        return next.run(request).await;
    }
    let mut response = if PROBES.contains(&request.uri().path()) {
        next.run(request).await
    } else {
        Problem::unavailable("too many connections are open", 1).into_response()
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
