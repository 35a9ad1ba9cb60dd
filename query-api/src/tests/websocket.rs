//! graphql-transport-ws as a client sees it: the handshake, its refusals, and several operations.

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use platform::http::{ConnectionLimits, JSON_BODY_MAX_BYTES};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::world::World;

/// How long a test waits for one message.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// A connection to a served world, without a handshake.
    pub(super) async fn connect(base: &str, headers: &[(&str, &str)]) -> Result<Self, Error> {
        let mut request = format!("{base}/graphql/ws").into_client_request()?;
        for (name, value) in headers {
            let name: axum::http::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        Ok(Self(connect_async(request).await?.0))
    }

    /// A connection whose token was believed.
    pub(super) async fn open(base: &str, token: &str) -> Self {
        let protocol = ("sec-websocket-protocol", "graphql-transport-ws");
        let mut client = Self::connect(base, &[protocol]).await.unwrap();
        let payload = json!({"Authorization": format!("Bearer {token}")});
        client.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(client.receive().await, json!({"type": "connection_ack"}));
        client
    }

    pub(super) async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    pub(super) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({"query": query, "variables": variables});
        self.send(json!({"type": "subscribe", "id": id, "payload": payload})).await;
    }

    /// Sends bytes past the protocol.
    async fn send_raw(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    /// How many bytes the server has sent that were not read, once there are some.
    pub(super) async fn bytes_to_read(&mut self) -> usize {
        let MaybeTlsStream::Plain(socket) = self.0.get_ref() else { panic!("not plain") };
        socket.peek(&mut vec![0; 16 << 20]).await.unwrap()
    }

    async fn next(&mut self) -> Message {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("no message");
            match message.expect("the connection ended").unwrap() {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(super) async fn receive(&mut self) -> Value {
        match self.next().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a message: {other:?}"),
        }
    }

    pub(super) async fn closed(&mut self) -> u16 {
        match self.next().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("not closed: {other:?}"),
        }
    }
}

impl World {
    /// Serves the router on a port of its own and gives the base of its WebSocket URLs.
    pub(super) async fn serve(&self) -> String {
        self.serve_within(ConnectionLimits::default()).await
    }

    /// The same, with these limits of its connections.
    pub(super) async fn serve_within(&self, limits: ConnectionLimits) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("ws://{}", listener.local_addr().unwrap());
        let (router, shutdown) = (self.router.clone(), self.shutdown.clone());
        tokio::spawn(platform::http::serve(listener, router, limits, shutdown));
        base
    }
}

pub(super) const PROTOCOL: (&str, &str) = ("sec-websocket-protocol", "graphql-transport-ws");

#[tokio::test]
async fn a_token_in_the_header_is_enough() {
    let world = World::new().await;
    let base = world.serve().await;
    let bearer = format!("Bearer {}", world.token());
    let mut client = Client::connect(&base, &[PROTOCOL, ("authorization", &bearer)]).await.unwrap();
    client.send(json!({"type": "connection_init"})).await;
    assert_eq!(client.receive().await["type"], "connection_ack");
    client.send(json!({"type": "ping", "payload": {"n": 1}})).await;
    assert_eq!(client.receive().await, json!({"type": "pong", "payload": {"n": 1}}));
    client.subscribe("q", "{ parts { nodes { part } } }", json!({})).await;
    let answer = client.receive().await;
    assert_eq!(answer["payload"]["data"], json!({"parts": {"nodes": []}}));
    assert_eq!(client.receive().await, json!({"type": "complete", "id": "q"}));
}

#[tokio::test]
async fn a_bad_token_is_refused_before_anything_else() {
    let world = World::new().await;
    let base = world.serve().await;
    let refused = Client::connect(&base, &[PROTOCOL, ("authorization", "Bearer x")]).await;
    let Err(Error::Http(response)) = refused.map(|_| ()) else { panic!("let in") };
    assert_eq!(response.status(), 401);

    for payload in
        [json!({"Authorization": "Bearer x"}), json!({"token": 5}), json!({}), json!(null)]
    {
        let mut client = Client::connect(&base, &[PROTOCOL]).await.unwrap();
        client.send(json!({"type": "connection_init", "payload": payload})).await;
        assert_eq!(client.closed().await, 4403, "{payload}");
    }
}

#[tokio::test]
async fn the_protocol_s_mistakes_have_the_protocol_s_codes() {
    let world = World::new().await;
    let base = world.serve().await;
    let other = Client::connect(&base, &[("sec-websocket-protocol", "graphql-ws")]).await;
    let Err(Error::Http(response)) = other.map(|_| ()) else { panic!("let in") };
    assert_eq!(response.status(), 400);

    let mut early = Client::connect(&base, &[PROTOCOL]).await.unwrap();
    early.subscribe("a", "{ __typename }", json!({})).await;
    assert_eq!(early.closed().await, 4401);

    let mut silent = Client::connect(&base, &[PROTOCOL]).await.unwrap();
    assert_eq!(silent.closed().await, 4408);

    let token = world.token();
    let mut twice = Client::open(&base, &token).await;
    twice.send(json!({"type": "connection_init", "payload": {"token": token}})).await;
    assert_eq!(twice.closed().await, 4429);

    let query = "{ parts { nodes { part } } }";
    for nonsense in [
        json!({"type": "start"}),
        json!([]),
        json!({"type": "subscribe", "id": 1}),
        json!(["subscribe", "a", {"query": query}]),
        json!({"type": "subscribe", "id": "a", "payload": [query, null, {}, {}]}),
        json!({"type": "subscribe", "id": "a", "payload": {"query": query, "variable": {}}}),
        json!({"type": "subscribe", "id": "a", "payload": {"query": query}, "colour": 1}),
    ] {
        let mut client = Client::open(&base, &token).await;
        client.send(nonsense).await;
        assert_eq!(client.closed().await, 4400);
    }

    let mut same = Client::open(&base, &token).await;
    for _ in 0..2 {
        same.subscribe("a", "subscription { inspectionChanged { cursor } }", json!({})).await;
    }
    while same.receive().await["type"] != "error" {}
    assert_eq!(same.closed().await, 4409);
}

/// A client's frame (RFC 6455, 5.2) with a mask of zeros, which leaves the payload as it is.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first_byte, 0x80 | 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

#[tokio::test]
async fn what_breaks_the_websocket_protocol_is_closed_with_its_codes_and_feeds_say_where_to_go_on()
{
    let world = World::new().await;
    let base = world.serve().await;
    // Of these, each with the last bit of a message where there is one.
    let (end, text, more) = (0x80, 0x01, 0x00);
    let half = vec![b' '; JSON_BODY_MAX_BYTES / 2 + 1];
    let unmasked = vec![end | text, 0];
    let cases = [
        (1002, frame(end | 0x03, b"?")),
        (1002, frame(end | 0x0b, b"?")),
        (1002, frame(end | 0x40 | text, b"?")),
        (1002, frame(end | more, b"of nothing")),
        (1002, [frame(text, b"{"), frame(end | text, b"}")].concat()),
        (1002, frame(0x09, b"a ping in pieces")),
        (1002, unmasked),
        (1007, frame(end | text, b"\xff\xfe")),
        (1007, [frame(text, b"\"\xe2\x82"), frame(end | more, b"\"")].concat()),
        (1009, frame(end | text, &vec![b' '; JSON_BODY_MAX_BYTES + 1])),
        (1009, [frame(text, &half), frame(more, &half), frame(end | more, b"{}")].concat()),
        (1009, [frame(text, b" "), frame(more, b" ").repeat(JSON_BODY_MAX_BYTES)].concat()),
        // Its head alone says so; nothing of the rest is read.
        (1009, frame(end | text, &vec![b' '; JSON_BODY_MAX_BYTES + 1])[..14].to_vec()),
    ];
    for (code, bytes) in cases {
        let mut client = Client::open(&base, &world.token()).await;
        client.subscribe("a", "subscription { inspectionChanged { cursor } }", json!({})).await;
        let first = client.receive().await;
        client.send_raw(&bytes).await;
        let end = client.receive().await;
        assert_eq!(
            end["payload"][0]["extensions"]["cursor"],
            first["payload"]["data"]["inspectionChanged"]["cursor"],
            "{code}: {end:#}"
        );
        assert_eq!(client.closed().await, code);
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let world = World::new().await;
    let base = world.serve().await;
    let mut client = Client::open(&base, &world.token()).await;
    client.0.send(Message::Close(None)).await.unwrap();
    assert!(matches!(client.next().await, Message::Close(_)));
}

#[tokio::test]
async fn a_refused_operation_leaves_the_others_alone() {
    let world = World::new().await;
    let base = world.serve().await;
    let mut client = Client::open(&base, &world.token()).await;
    client.subscribe("live", "subscription { inspectionChanged { position } }", json!({})).await;
    assert_eq!(client.receive().await["payload"]["data"]["inspectionChanged"]["position"], "0");
    client.subscribe("bad", "subscription { nothing }", json!({})).await;
    let refusal = client.receive().await;
    assert_eq!((&refusal["type"], &refusal["id"]), (&json!("error"), &json!("bad")));
    assert_eq!(refusal["payload"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");

    let position = world.append(uuid::Uuid::now_v7(), 0, "InspectionCreated").await;
    world.reach(position.0).await;
    let item = client.receive().await;
    assert_eq!((&item["type"], &item["id"]), (&json!("next"), &json!("live")));
    client.send(json!({"type": "complete", "id": "live"})).await;
    client.subscribe("live", "{ __typename }", json!({})).await;
    assert_eq!(client.receive().await["payload"]["data"]["__typename"], "Query");
}
