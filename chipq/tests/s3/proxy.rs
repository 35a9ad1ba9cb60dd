//! A proxy between the platform and the store that spoils what pictures are read: what comes behind the head of an
//! answer to a `GET`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What is done to answers that bring an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Fault {
    None,
    /// A bit of the body is turned.
    Corrupt,
    /// The connection ends within the body.
    Truncate,
    /// Nothing more comes after some of the body.
    Stall,
}

const FAULTS: [Fault; 4] = [Fault::None, Fault::Corrupt, Fault::Truncate, Fault::Stall];

/// As far into a body: behind the header of a picture.
const SPOILED_AT: usize = 60;

pub(crate) struct Proxy {
    port: u16,
    state: Arc<ProxyState>,
}

struct ProxyState {
    fault: AtomicU8,
    /// How many answers more are spoiled.
    left: AtomicUsize,
}

impl ProxyState {
    /// The fault of an answer that begins, which counts as one.
    fn take_fault(&self) -> Fault {
        let fault = FAULTS[usize::from(self.fault.load(Ordering::SeqCst))];
        let one_less = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less) {
            Ok(_) => fault,
            Err(_) => Fault::None,
        }
    }
}

impl Proxy {
    /// In front of the store at `port`.
    pub(crate) async fn start(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let state = Arc::new(ProxyState { fault: AtomicU8::new(0), left: AtomicUsize::new(0) });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                tokio::spawn(pass(client, server, Arc::clone(&shared)));
            }
        });
        Self { port: own_port, state }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Does that to the next `answers` that bring an object.
    pub(crate) fn spoil(&self, fault: Fault, answers: usize) {
        self.state.fault.store(fault as u8, Ordering::SeqCst);
        self.state.left.store(answers, Ordering::SeqCst);
    }
}

async fn pass(client: TcpStream, server: TcpStream, state: Arc<ProxyState>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let is_get = Arc::new(AtomicU8::new(0));
    let up = tokio::spawn(pass_requests(from_client, to_server, Arc::clone(&is_get)));
    pass_answers(from_server, to_client, &state, &is_get).await;
    up.abort();
}

/// One request at a time is under way on a connection; it begins a piece.
async fn pass_requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, is_get: Arc<AtomicU8>) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let begin = &piece[..length];
        let is_listing = begin.windows(10).any(|bytes| bytes == b"list-type=");
        let is_object = begin.starts_with(b"GET ") && !is_listing;
        is_get.store(u8::from(is_object), Ordering::SeqCst);
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

async fn pass_answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: &ProxyState,
    is_get: &AtomicU8,
) {
    let mut piece = vec![0; 64 << 10];
    // Where in the body of a spoiled answer the next byte is.
    let mut spoiled: Option<(Fault, usize)> = None;
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let mut given = piece[..length].to_vec();
        let mut body = 0;
        if given.starts_with(b"HTTP/1.1 ") {
            spoiled = None;
            let is_success = given.starts_with(b"HTTP/1.1 20");
            if is_success && is_get.load(Ordering::SeqCst) == 1 {
                let end = given.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
                body = end + 4;
                spoiled = Some((state.take_fault(), 0));
            }
        }
        if let Some((fault, passed)) = &mut spoiled {
            let at = (body + SPOILED_AT).saturating_sub(*passed);
            let is_here = *passed <= SPOILED_AT && at < given.len();
            *passed += given.len() - body;
            match (*fault, is_here) {
                (Fault::Corrupt, true) => given[at] ^= 0x10,
                (Fault::Truncate, true) => {
                    let _ = to.write_all(&given[..at]).await;
                    return;
                }
                (Fault::Stall, true) => {
                    let _ = to.write_all(&given[..at]).await;
                    std::future::pending::<()>().await;
                }
                _ => {}
            }
        }
        if to.write_all(&given).await.is_err() {
            return;
        }
    }
}
