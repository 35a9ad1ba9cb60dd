//! Which proxies are believed when they say for whom they ask, and what they say.
//!
//! Invariant: what somebody else than a trusted proxy has written decides nothing. Headers are read from the right,
//! where the nearest proxy has written, and no further than that is believed; whatever a client sends stands left of
//! it.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderName, header};

/// The most proxies that are looked back through.
const HOPS_MAX: usize = 16;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What a proxy adds to a request; any of them says that there is one.
const ADDED_BY_PROXIES: [&str; 7] =
    ["forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "fly-client-ip", "cdn-loop"];
/// What the names of others begin with that proxies add.
const BEGINNINGS_OF_ADDED: [&str; 4] = ["x-forwarded-", "x-original-", "x-envoy-", "cf-"];

/// Whom to believe about the addresses of clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct ProxyConfig {
    /// Networks of the proxies in front, with commas between them, such as `10.0.0.0/8,192.0.2.7`: what they say in
    /// `Forwarded`, else `X-Forwarded-For`, of their clients is believed; nobody's by default.
    #[arg(
        long = "trusted-proxies",
        env = "CHIPQ_TRUSTED_PROXIES",
        value_delimiter = ',',
        value_name = "CIDR"
    )]
    pub trusted_proxies: Vec<TrustedNetwork>,
}

/// A network as CIDR writes it (RFC 4632, RFC 4291), or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedNetwork {
    address: IpAddr,
    prefix: u32,
}

impl FromStr for TrustedNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let like = "write it like 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32";
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("{address:?} is no address; {like}"))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = match prefix {
            None => longest,
            Some(text) => text
                .parse()
                .ok()
                .filter(|prefix| (1..=longest).contains(prefix))
                .ok_or_else(|| format!("/{text} is no length from 1 to {longest}; {like}"))?,
        };
        let network = Self { address, prefix };
        if network.has_bits_beyond_prefix() {
            return Err(format!("{text} has bits beyond its length; {like}"));
        }
        Ok(network)
    }
}

impl TrustedNetwork {
    fn includes(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let beyond = 32 - self.prefix;
                network.to_bits().checked_shr(beyond) == address.to_bits().checked_shr(beyond)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let beyond = 128 - self.prefix;
                network.to_bits().checked_shr(beyond) == address.to_bits().checked_shr(beyond)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    fn has_bits_beyond_prefix(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => address.to_bits().trailing_zeros() < 32 - self.prefix,
            IpAddr::V6(address) => address.to_bits().trailing_zeros() < 128 - self.prefix,
        }
    }
}

impl ProxyConfig {
    /// The address of the client that `peer` asks for: the rightmost one in what the proxies say that is none of
    /// theirs, else `peer`. What cannot be read ends the search where it stands, and so does what two headers say
    /// differently, of which a client may have written one.
    pub(super) fn find_client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let forwarded = self.walk(peer, headers, &header::FORWARDED, read_forwarded);
        let for_alone = self.walk(peer, headers, &X_FORWARDED_FOR, read_address);
        match (forwarded, for_alone) {
            (Some(one), Some(other)) if one != other => peer,
            (found, other) => found.or(other).unwrap_or(peer),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.includes(address))
    }

    /// `None` without such a header.
    fn walk(
        &self,
        peer: IpAddr,
        headers: &HeaderMap,
        name: &HeaderName,
        read: fn(&str) -> Option<IpAddr>,
    ) -> Option<IpAddr> {
        // Several lines are one list (RFC 9110, section 5.3).
        let mut lines = headers.get_all(name).iter().rev().peekable();
        lines.peek()?;
        // No address has a comma; one within quotes is of somebody who wants to be misunderstood.
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
        let mut nearest = peer;
        for hop in hops.take(HOPS_MAX) {
            // What a client wrote before may be no text at all: it is left of what the proxy says.
            let Some(address) = std::str::from_utf8(hop).ok().and_then(read) else { break };
            nearest = address;
            if !self.trusts(address) {
                break;
            }
        }
        Some(nearest)
    }
}

/// Whether the request has come through a proxy, or says so.
pub(super) fn has_forwarding_headers(headers: &HeaderMap) -> bool {
    headers.keys().map(HeaderName::as_str).any(|name| {
        ADDED_BY_PROXIES.contains(&name)
            || BEGINNINGS_OF_ADDED.iter().any(|beginning| name.starts_with(beginning))
    })
}

/// The `for` of one element of `Forwarded` (RFC 7239, section 4); `None` where it names no address.
fn read_forwarded(element: &str) -> Option<IpAddr> {
    let mut found = element.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let value = found.next()?;
    if found.next().is_some() {
        return None;
    }
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    read_address(unquoted.unwrap_or(value))
}

/// An address, which may have a port and, in version 6, brackets.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = || text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|socket| socket.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    bare().or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn proxies(list: &str) -> ProxyConfig {
        let networks = list.split(',').map(|network| network.parse().unwrap());
        ProxyConfig { trusted_proxies: networks.collect() }
    }

    fn client(peer: &str, lines: &[(&'static str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let proxies = proxies("10.0.0.0/8,2001:db8:1::/48,192.0.2.7");
        proxies.find_client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        for (header, value, found) in [
            ("x-forwarded-for", "198.51.100.9", "198.51.100.9"),
            ("x-forwarded-for", "1.1.1.1, 198.51.100.9, 10.2.3.4", "198.51.100.9"),
            ("x-forwarded-for", "198.51.100.9:4711", "198.51.100.9"),
            ("x-forwarded-for", "2001:db8:2::9", "2001:db8:2::9"),
            ("x-forwarded-for", "[2001:db8:2::9]:80", "2001:db8:2::9"),
            ("x-forwarded-for", "::ffff:198.51.100.9", "198.51.100.9"),
            ("forwarded", "for=198.51.100.9", "198.51.100.9"),
            ("forwarded", "For=\"[2001:db8:2::9]:4711\";proto=https", "2001:db8:2::9"),
            ("forwarded", "for=1.1.1.1, proto=http;for=198.51.100.9;by=10.0.0.1", "198.51.100.9"),
            ("forwarded", "for=198.51.100.9, for=192.0.2.7", "198.51.100.9"),
        ] {
            assert_eq!(client(PROXY, &[(header, value)]), found, "{header}: {value}");
        }
        let two = [("x-forwarded-for", "198.51.100.9"), ("x-forwarded-for", "10.2.3.4")];
        assert_eq!(client(PROXY, &two), "198.51.100.9", "two lines are one list");
        assert_eq!(client(PROXY, &[]), PROXY);
    }

    #[test]
    fn a_client_that_lies_about_its_address_is_known_by_where_it_is() {
        let lies = [("forwarded", "for=203.0.113.1"), ("x-forwarded-for", "203.0.113.1")];
        assert_eq!(client("198.51.100.9", &lies), "198.51.100.9", "it is no proxy");
        // Behind a proxy, its own words stand left of the proxy's.
        for lie in
            ["203.0.113.1", "unknown", "\"", "for=\"203.0.113.1", "ä", "10.0.0.1", &"a,".repeat(99)]
        {
            let said = format!("{lie}, 198.51.100.9");
            assert_eq!(client(PROXY, &[("x-forwarded-for", &said)]), "198.51.100.9", "{said}");
            let said = format!("for={lie}, for=198.51.100.9");
            assert_eq!(client(PROXY, &[("forwarded", &said)]), "198.51.100.9", "{said}");
        }
        // The proxy writes one of the two headers, and passes the other one on.
        let other = [("forwarded", "for=203.0.113.1"), ("x-forwarded-for", "198.51.100.9")];
        assert_eq!(client(PROXY, &other), PROXY);
    }

    #[test]
    fn what_any_proxy_adds_says_that_there_is_one() {
        let has = |name: &'static str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static(name), "x".parse().unwrap())]);
            has_forwarding_headers(&headers)
        };
        for added in [
            "via",
            "forwarded",
            "x-forwarded-server",
            "cf-connecting-ip",
            "x-envoy-external-address",
        ] {
            assert!(has(added), "{added}");
        }
        assert!(!has("user-agent") && !has("x-request-id"));
    }

    #[test]
    fn what_cannot_be_read_leaves_the_nearest_proxy() {
        for (header, value) in [
            ("x-forwarded-for", ""),
            ("x-forwarded-for", "unknown"),
            ("x-forwarded-for", "198.51.100.9, "),
            ("x-forwarded-for", "198.51.100.300"),
            ("forwarded", "for=_hidden"),
            ("forwarded", "proto=https"),
            ("forwarded", "for=198.51.100.9;for=203.0.113.1"),
            ("forwarded", "198.51.100.9"),
        ] {
            assert_eq!(client(PROXY, &[(header, value)]), PROXY, "{header}: {value}");
        }
        let nearest = [("x-forwarded-for", "unknown, 10.2.3.4")];
        assert_eq!(client(PROXY, &nearest), "10.2.3.4");
        let chain = format!("198.51.100.9{}", ", 10.2.3.4".repeat(HOPS_MAX + 1));
        assert_eq!(client(PROXY, &[("x-forwarded-for", &chain)]), "10.2.3.4", "there is an end");
    }

    #[test]
    fn networks_are_taken_as_people_write_them_and_refused_with_what_to_write() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::1", "::1", "::2"),
            ("127.0.0.0/8", "127.0.0.1", "::1"),
        ] {
            let network: TrustedNetwork = network.parse().unwrap();
            assert!(network.includes(inside.parse().unwrap()), "{network:?}");
            assert!(!network.includes(outside.parse().unwrap()), "{network:?}");
        }
        for bad in ["", "10.0.0.0/0", "10.0.0.0/33", "10.0.0.1/8", "::1/64", "proxy", "*", "10/8"] {
            let refused = bad.parse::<TrustedNetwork>().unwrap_err();
            assert!(refused.contains("write it like 10.0.0.0/8"), "{bad:?}: {refused}");
        }
    }
}
