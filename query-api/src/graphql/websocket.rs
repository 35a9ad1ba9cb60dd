//! `GET /graphql/ws`: the graphql-transport-ws protocol
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>), with its close codes.
//!
//! Invariants: for a connection whose last message has not left, each operation is at most one answer ahead.
//! An operation goes on whether or not its answer is taken, so that none that waits holds what others need. A
//! message that does not leave in time ends the connection; every item carries the cursor to go on
//! from. Whatever the server closes a connection for, its subscriptions end first, each with its cursor.

mod message;

use std::error::Error;
use std::num::NonZeroU32;
use std::time::Duration;

use async_graphql::Response as Answer;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use futures::stream::{BoxStream, iter, once};
use platform::http::{
    AttemptNotes, ClientAddress, JSON_BODY_MAX_BYTES, Problem, ProblemType, parse_json, read_json,
};
use platform::shutdown::Shutdown;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval};
use tokio_stream::StreamMap;
use tokio_stream::wrappers::ReceiverStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tracing::Instrument as _;

use super::execute_stream;
use super::request_body::GraphqlRequest;
use crate::QueryApi;
use crate::concurrency_limit::ConcurrencyPermit;
use crate::session::Session;
use message::{FromClient, ToClient, token_of};

const PROTOCOL: &str = "graphql-transport-ws";
/// How long a client may take to send `connection_init`.
const INIT_TIMEOUT: Duration = Duration::from_secs(3);
/// How often an idle connection is pinged, so that nobody in between gives it up.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long the last frame of a connection may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Operations that run at once on one connection.
const OPERATIONS_MAX: usize = 32;

/// Upgrades the connection. A token in the `Authorization` header must be good when there is one;
/// without one, it comes in the payload of `connection_init` as `Authorization` or `token`.
pub(super) async fn upgrade_connection(
    State(api): State<QueryApi>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let session = match parts.headers.contains_key(AUTHORIZATION) {
        true => Some(Session::from_request_parts(&mut parts, &api).await?),
        false => None,
    };
    let Ok(client) = ClientAddress::from_request_parts(&mut parts, &api).await;
    let Ok(notes) = AttemptNotes::from_request_parts(&mut parts, &api).await;
    let upgrade = upgrade.map_err(|error| {
        Problem::new(ProblemType::WebsocketExpected, error.body_text()).with_status(error.status())
    })?;
    let offered = parts.headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    if !offered.any(|protocol| protocol.trim() == PROTOCOL) {
        let detail = format!("offer the WebSocket protocol {PROTOCOL}");
        return Err(Problem::new(ProblemType::WebsocketProtocol, detail));
    }
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(JSON_BODY_MAX_BYTES)
        .max_frame_size(JSON_BODY_MAX_BYTES);
    Ok(upgrade
        .on_upgrade(move |socket| {
            WebSocketConnection::new(api, socket, session, (client, notes)).run()
        })
        .into_response())
}

/// Why a connection ends, as the protocol's close code and reason; `None` when the client went.
struct CloseReason(Option<(u16, &'static str)>);

const GOING_AWAY: CloseReason = CloseReason(Some((1001, "Going away")));
const PROTOCOL_ERROR: CloseReason = CloseReason(Some((1002, "Protocol error")));
const INVALID_TEXT: CloseReason = CloseReason(Some((1007, "Text that is not UTF-8")));
const TOO_LARGE: CloseReason = CloseReason(Some((1009, "Message too large")));
const INVALID_MESSAGE: CloseReason = CloseReason(Some((4400, "Invalid message")));
const UNAUTHORIZED: CloseReason = CloseReason(Some((4401, "Unauthorized")));
const FORBIDDEN: CloseReason = CloseReason(Some((4403, "Forbidden")));
const INIT_TOO_LATE: CloseReason = CloseReason(Some((4408, "Connection initialisation timeout")));
const DUPLICATE_ID: CloseReason = CloseReason(Some((4409, "Subscriber already exists")));
const TOO_MANY: CloseReason = CloseReason(Some((4429, "Too many operations on one connection")));
const TOO_MANY_CONNECTIONS: CloseReason = CloseReason(Some((4429, "Too many connections")));
const TOO_MANY_INITS: CloseReason = CloseReason(Some((4429, "Too many initialisation requests")));
const TOO_SLOW: CloseReason =
    CloseReason(Some((4408, "Too slow: go on after the last cursor received")));
const GONE: CloseReason = CloseReason(None);

impl CloseReason {
    /// What a client is told that did not keep to the protocol (RFC 6455, 7.4.1).
    fn from_failure(error: &(dyn Error + Send + Sync + 'static)) -> Self {
        match error.downcast_ref() {
            Some(tungstenite::Error::Utf8(_)) => INVALID_TEXT,
            Some(tungstenite::Error::Capacity(_)) => TOO_LARGE,
            Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => GONE,
            Some(tungstenite::Error::Protocol(_)) => PROTOCOL_ERROR,
            _ => GONE,
        }
    }
}

struct WebSocketConnection {
    api: QueryApi,
    socket: WebSocket,
    /// From the header; used up by `connection_init`.
    from_header: Option<Session>,
    /// From where it is, and who hears of what is refused.
    opened_by: (ClientAddress, AttemptNotes),
    session: Option<Session>,
    /// Among the connections of its principal, once that is known.
    permit: Option<ConcurrencyPermit>,
    /// `None` is the end of an operation.
    operations: StreamMap<String, BoxStream<'static, Option<Answer>>>,
    ping: Interval,
    /// Ends the subscriptions of this connection.
    closing: Shutdown,
}

impl WebSocketConnection {
    fn new(
        api: QueryApi,
        socket: WebSocket,
        from_header: Option<Session>,
        opened_by: (ClientAddress, AttemptNotes),
    ) -> Self {
        let ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        let (closing, operations) = (api.context().shutdown.child(), StreamMap::new());
        let (session, permit) = (None, None);
        Self { api, socket, from_header, opened_by, session, permit, operations, ping, closing }
    }

    async fn run(mut self) {
        let CloseReason(reason) = match self.serve().await {
            Err(closed) => closed,
            Ok(never) => match never {},
        };
        if let Some((code, reason)) = reason {
            self.end_operations().await;
            let frame = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
            // Whoever takes nothing does not get this either.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.socket.send(frame)).await;
        }
        // The other half of the closing handshake (RFC 6455, 5.5.1): a frame of the client's is answered, and
        // that to ours waited for. What cannot be read any more is left unread, and the connection is then
        // reset: so a client that still sends has the time to read why.
        let answered = async {
            while let Some(received) = self.socket.recv().await {
                if received.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, answered).await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, CloseReason> {
        let init_by = Instant::now() + INIT_TIMEOUT;
        let shutdown = self.api.context().shutdown.clone();
        loop {
            tokio::select! {
                () = shutdown.requested() => return Err(GOING_AWAY),
                received = self.socket.recv() => self.handle_message(received).await?,
                Some((id, answer)) = self.operations.next(), if !self.operations.is_empty() => {
                    self.send_answer(id, answer).await?;
                }
                () = tokio::time::sleep_until(init_by), if self.session.is_none() => {
                    return Err(INIT_TOO_LATE);
                }
                _ = self.ping.tick() => self.send_message(Message::Ping(Vec::new().into())).await?,
            }
        }
    }

    /// Subscriptions end when they are asked to, each with its cursor to go on from.
    async fn end_operations(&mut self) {
        self.closing.request();
        let ended = async {
            while let Some((id, answer)) = self.operations.next().await {
                if self.send_answer(id, answer).await.is_err() {
                    break;
                }
            }
        };
        // Whoever takes nothing does not get these either.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
    }

    async fn handle_message(
        &mut self,
        received: Option<Result<Message, axum::Error>>,
    ) -> Result<(), CloseReason> {
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            Some(Ok(Message::Binary(_))) => return Err(INVALID_MESSAGE),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Err(error)) => return Err(CloseReason::from_failure(&*error.into_inner())),
            Some(Ok(Message::Close(_))) | None => return Err(GONE),
        };
        match parse_json(text.as_bytes()).map_err(|_| INVALID_MESSAGE)? {
            FromClient::ConnectionInit { payload } => self.init(payload.as_ref()).await,
            FromClient::Ping { payload } => {
                self.send_json(&ToClient::Pong { payload: payload.as_ref() }).await
            }
            FromClient::Pong { .. } => Ok(()),
            FromClient::Subscribe { id, payload } => {
                let request: GraphqlRequest = read_json(&payload).map_err(|_| INVALID_MESSAGE)?;
                self.start_operation(id, request.into())
            }
            FromClient::Complete { id } => {
                self.operations.remove(&id);
                Ok(())
            }
        }
    }

    async fn init(&mut self, payload: Option<&serde_json::Value>) -> Result<(), CloseReason> {
        if self.session.is_some() {
            return Err(TOO_MANY_INITS);
        }
        let session = match (payload.and_then(token_of), self.from_header.take()) {
            (Some(token), _) => {
                let verifier = std::sync::Arc::clone(self.api.token_verifier());
                verifier.await_key_of(token).await;
                Session::open(verifier, token, self.opened_by.clone()).map_err(|_| FORBIDDEN)?
            }
            (None, Some(session)) => session,
            (None, None) => return Err(FORBIDDEN),
        };
        let permit = self.api.context().sockets.acquire_permit(session.principal());
        self.permit = Some(permit.map_err(|_| TOO_MANY_CONNECTIONS)?);
        self.session = Some(session);
        self.send_json(&ToClient::ConnectionAck {}).await
    }

    fn start_operation(
        &mut self,
        id: String,
        request: async_graphql::Request,
    ) -> Result<(), CloseReason> {
        // As the caller is now, which may be limited otherwise than when it connected.
        let session = self.session.as_ref().ok_or(UNAUTHORIZED)?;
        let session = session.renewed().map_err(|_| FORBIDDEN)?;
        if self.operations.contains_key(&id) {
            return Err(DUPLICATE_ID);
        }
        if self.operations.len() >= OPERATIONS_MAX {
            return Err(TOO_MANY);
        }
        let counted = session.count_reads(&self.api.context().rate, NonZeroU32::MIN);
        let answers = match counted {
            Ok(()) => execute_stream(&self.api, session, request.data(self.closing.clone())),
            Err(refused) => iter([Answer::from_errors(vec![refused.into()])]).boxed(),
        };
        let answers = run_apart(answers).map(Some).chain(once(async { None }));
        self.operations.insert(id, answers.boxed());
        Ok(())
    }

    /// An answer without data is the operation's end, by protocol an `error`.
    async fn send_answer(&mut self, id: String, answer: Option<Answer>) -> Result<(), CloseReason> {
        match answer {
            Some(answer) if answer.is_err() && answer.data == async_graphql::Value::Null => {
                self.operations.remove(&id);
                self.send_json(&ToClient::Error { id: &id, payload: &answer.errors }).await
            }
            Some(answer) => self.send_json(&ToClient::Next { id: &id, payload: &answer }).await,
            None => {
                self.operations.remove(&id);
                self.send_json(&ToClient::Complete { id: &id }).await
            }
        }
    }

    async fn send_json(&mut self, message: &ToClient<'_>) -> Result<(), CloseReason> {
        let text = serde_json::to_string(message).map_err(|error| {
            tracing::error!(%error, "an answer has no JSON shape");
            CloseReason(Some((1011, "Internal error")))
        })?;
        self.send_message(Message::Text(text.into())).await
    }

    async fn send_message(&mut self, message: Message) -> Result<(), CloseReason> {
        let limit = self.api.context().config.send_timeout();
        match tokio::time::timeout(limit, self.socket.send(message)).await {
            Ok(sent) => sent.map_err(|_| GONE),
            Err(_) => {
                tracing::info!(limit_s = limit.as_secs(), "a subscriber takes nothing and is cut");
                Err(TOO_SLOW)
            }
        }
    }
}

/// `answers`, each made in a task of its own once the one before was taken. The connection polls nothing while
/// a message does not leave, and what is not polled keeps what it has: a connection of the database, or a turn.
fn run_apart(mut answers: BoxStream<'static, Answer>) -> ReceiverStream<Answer> {
    let (sender, receiver) = mpsc::channel(1);
    let running = async move {
        while let Ok(room) = sender.reserve().await {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                () = sender.closed() => None,
            };
            match answer {
                Some(answer) => room.send(answer),
                None => break,
            }
        }
    };
    tokio::spawn(running.in_current_span());
    ReceiverStream::new(receiver)
}
