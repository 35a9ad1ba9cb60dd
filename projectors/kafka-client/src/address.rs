//! Where a broker listens.
//!
//! Invariants: the host is without brackets and not empty, and the port is not 0.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// Kafka's own.
const PORT_DEFAULT: u16 = 9092;

/// A host and its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    /// A name, an IPv4 or an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// The text is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an address is HOST:PORT, or [IPv6]:PORT")]
pub struct InvalidAddress;

impl Address {
    /// Whether it is this machine's, and nobody is on the way.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (ip, behind) = rest.split_once(']').ok_or(InvalidAddress)?;
                ip.parse::<Ipv6Addr>().map_err(|_| InvalidAddress)?;
                (ip, behind.strip_prefix(':').or((behind.is_empty()).then_some("")))
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, Some("")),
            },
        };
        let port = match port.ok_or(InvalidAddress)? {
            "" if text.ends_with(':') => return Err(InvalidAddress),
            "" => PORT_DEFAULT,
            port => port.parse().ok().filter(|port| *port != 0).ok_or(InvalidAddress)?,
        };
        let is_ip = host.parse::<IpAddr>().is_ok();
        let is_name =
            host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if host.is_empty() || !(is_ip || is_name) {
            return Err(InvalidAddress);
        }
        Ok(Self { host: host.to_owned(), port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}
