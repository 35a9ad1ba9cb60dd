//! Where a request comes from: decided once for each, before anything that asks.
//!
//! Invariant: whoever logs, limits or records addresses means the same one. Absent: who is believed about it
//! (`trusted_proxies`).

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::Extensions;
use axum::http::request::Parts;

use super::ProxyConfig;
use super::trusted_proxies::has_forwarding_headers;

/// Where a request comes from. As an extractor it never fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientAddress {
    /// The client's address; absent where nobody knows it.
    pub address: Option<IpAddr>,
    /// Whether a proxy stands in between, or somebody says so.
    is_forwarded: bool,
}

impl ClientAddress {
    /// The request with these extensions.
    pub(crate) fn of_request(extensions: &Extensions) -> Self {
        let peer = || extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let unproxied = || Self { address: peer(), is_forwarded: false };
        extensions.get().copied().unwrap_or_else(unproxied)
    }

    /// Whether whoever asks is on this machine: with nobody in between who might ask for somebody elsewhere.
    #[must_use]
    pub fn is_on_this_machine(&self) -> bool {
        let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
        !self.is_forwarded && self.address.is_some_and(is_loopback)
    }

    /// The IPv4 address, or the /64 that one IPv6 subscriber has to itself: what is limited as one.
    #[must_use]
    pub fn network(&self) -> String {
        match self.address.map(|address| address.to_canonical()) {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(address)) => address.to_string(),
            Some(IpAddr::V6(address)) => format!("{:x?}", &address.segments()[..4]),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of_request(&parts.extensions))
    }
}

/// Finds out where the request comes from, and notes it there.
pub(super) fn note_client_address(proxies: &ProxyConfig, mut request: Request) -> Request {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let headers = request.headers();
    let address = peer.map(|peer| proxies.find_client(peer.to_canonical(), headers));
    let is_forwarded = has_forwarding_headers(headers);
    request.extensions_mut().insert(ClientAddress { address, is_forwarded });
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> ClientAddress {
        ClientAddress { address: Some(address.parse().unwrap()), is_forwarded: false }
    }

    #[test]
    fn only_who_asks_directly_from_loopback_is_on_this_machine() {
        for local in ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"] {
            assert!(from(local).is_on_this_machine(), "{local}");
            let through_a_proxy = ClientAddress { is_forwarded: true, ..from(local) };
            assert!(!through_a_proxy.is_on_this_machine(), "{local}");
        }
        assert!(!from("192.0.2.1").is_on_this_machine());
        assert!(!ClientAddress::default().is_on_this_machine(), "nobody knows");
    }

    #[test]
    fn what_one_subscriber_has_counts_as_one() {
        assert_eq!(from("2001:db8::1").network(), from("2001:db8::ffff:1").network());
        assert_ne!(from("2001:db8::1").network(), from("2001:db8:0:1::1").network());
        assert_eq!(from("::ffff:192.0.2.1").network(), "192.0.2.1");
    }
}
