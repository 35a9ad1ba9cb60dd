//! Ports for servers that a test starts as processes of their own.

use std::net::TcpListener;
use std::process;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that systems take for outgoing connections (Linux: from 32768, IANA: from 49152):
/// a port from there may become a connection's own before the server listens, and a client that
/// waits for the server may even connect to itself.
const FIRST: u16 = 20_000;
const PORTS: u16 = 12_000;

/// A port of 127.0.0.1 that nobody listens on. The process gives out each port once, and processes
/// that run side by side begin at different ones; it is for servers that cannot bind port 0, or
/// that come back where they were.
///
/// # Panics
/// When none of 12,000 ports is free.
#[must_use]
pub fn free_port() -> u16 {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    // A prime far from a power of two spreads process ids that follow one another.
    let begin = process::id().wrapping_mul(7_919) % u32::from(PORTS);
    let begin = u16::try_from(begin).unwrap_or_default();
    for _ in 0..PORTS {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed) % PORTS;
        let port = FIRST + (begin + given) % PORTS;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of 127.0.0.1 from {FIRST} on is free")
}
