//! A way to a server that can fall silent: what is sent is swallowed, and nothing is ever reset.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// A port of this machine that leads to another one.
pub struct Gateway {
    port: u16,
    state: watch::Sender<State>,
    accepted: Arc<AtomicU64>,
    /// One for each client that has not closed its connection.
    open: Arc<()>,
    _accepting: AbortOnDropHandle<()>,
}

/// What becomes of what is sent.
#[derive(Debug, Clone, Copy)]
struct State {
    /// Connections up to this one are silent for ever.
    silent_up_to: u64,
    /// Whether later ones are led to the server.
    is_open: bool,
}

impl Gateway {
    /// Leads to `port` of this machine. Call it inside a tokio runtime.
    ///
    /// # Panics
    /// When there is no port to be had.
    pub async fn to_port(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.unwrap_or_else(|error| panic!("no port: {error}"));
        let own_port = listener.local_addr().map_or(0, |address| address.port());
        let state = watch::Sender::new(State { silent_up_to: 0, is_open: true });
        let accepted = Arc::<AtomicU64>::default();
        let open = Arc::new(());
        let counts = (Arc::clone(&accepted), Arc::clone(&open));
        let accepting = accept(listener, port, state.clone(), counts);
        let _accepting = AbortOnDropHandle::new(tokio::spawn(accepting));
        Self { port: own_port, state, accepted, open, _accepting }
    }

    /// `url`, which names a server of this machine, by way of a gateway to it.
    ///
    /// # Panics
    /// When the URL names no port.
    pub async fn before_url(url: &str) -> (Self, String) {
        let authority = url.rsplit('@').next().unwrap_or_default();
        let place = authority.split(['/', '?']).next().unwrap_or_default();
        let port = place.rsplit(':').next().and_then(|port| port.parse().ok());
        let gateway = Self::to_port(port.unwrap_or_else(|| panic!("{place} names no port"))).await;
        let through = url.replace(place, &format!("127.0.0.1:{}", gateway.port));
        (gateway, through)
    }

    /// From now on the server is away: whoever is connected is not told, and whoever connects is not
    /// answered. What had reached the server ends there.
    pub fn fall_silent(&self) {
        let silent_up_to = self.accepted.load(Ordering::SeqCst);
        self.state.send_replace(State { silent_up_to, is_open: false });
    }

    /// Another server has taken the place of the one that fell silent: whoever connects reaches it.
    pub fn lead_on(&self) {
        let silent_up_to = self.accepted.load(Ordering::SeqCst);
        self.state.send_replace(State { silent_up_to, is_open: true });
    }

    /// How many connections it has ever been asked for.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }

    /// How many connections its clients hold now, silent ones among them.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        // One is held here, one by whoever accepts.
        Arc::strong_count(&self.open) - 2
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    state: watch::Sender<State>,
    (accepted, open): (Arc<AtomicU64>, Arc<()>),
) {
    while let Ok((client, _)) = listener.accept().await {
        let number = accepted.fetch_add(1, Ordering::SeqCst) + 1;
        let is_open = state.borrow().is_open;
        let (state, counted) = (state.subscribe(), Arc::clone(&open));
        tokio::spawn(async move {
            lead(client, is_open.then_some(port), number, state).await;
            drop(counted);
        });
    }
}

/// Leads a connection to the port until it falls silent; from then on what the client sends is swallowed
/// for as long as the client sends it.
async fn lead(
    mut client: TcpStream,
    port: Option<u16>,
    number: u64,
    mut state: watch::Receiver<State>,
) {
    if let Some(port) = port {
        let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
        let _ = server.set_nodelay(true).and(client.set_nodelay(true));
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = state.wait_for(|state| number <= state.silent_up_to) => {}
        }
    }
    let mut swallowed = [0; 4_096];
    while client.read(&mut swallowed).await.is_ok_and(|bytes| bytes > 0) {}
}
