//! Which KurrentDB to use, as one value of the command line:
//! `kurrentdb://HOST:PORT[,HOST:PORT]?tls=true&ca=FILE`, or `kurrentdb+discover://NAME:PORT`, where every address of the
//! name is one of a node.
//!
//! Invariants: what parses can be used as it is, and everything that is wrong is said at once. No user or password
//! stands in it, for command lines are seen by others: those are read by [`KurrentCredentials::from_lookup`].

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

pub use credentials::{KurrentCredentials, RefusedCredentials};

mod credentials;
#[cfg(test)]
mod tests;

/// KurrentDB's own.
const PORT_DEFAULT: u16 = 2113;
const ADDRESSES_MAX: usize = 32;

/// A host and the port on which a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeAddress {
    /// A name, an IPv4 or an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// One thing that is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KurrentUrlProblem {
    /// It is of something else.
    #[error(
        "begin it with kurrentdb:// or kurrentdb+discover://, such as kurrentdb://kurrentdb.example:2113"
    )]
    Scheme,
    /// There is a path, a fragment, or nothing.
    #[error("write kurrentdb://HOST:PORT[,HOST:PORT]?OPTION=VALUE&…, without a path or a fragment")]
    Shape,
    /// Everybody on this machine can read command lines.
    #[error(
        "take user and password out of the URL, and set CHIPQ_KURRENTDB_USER and CHIPQ_KURRENTDB_PASSWORD, or \
         CHIPQ_KURRENTDB_PASSWORD_FILE"
    )]
    Secret,
    /// Not an address.
    #[error("{0:?} is not HOST:PORT; write IPv6 as [::1]:2113")]
    Address(String),
    /// More addresses than are tried.
    #[error("name {ADDRESSES_MAX} addresses at most: the nodes name the others")]
    TooManyAddresses,
    /// A name stands for all nodes.
    #[error(
        "kurrentdb+discover:// takes one name, every address of which is a node's; with several write kurrentdb://"
    )]
    OneName,
    /// An option that does not exist.
    #[error("{0:?} is not an option; there are tls and ca")]
    UnknownOption(String),
    /// Which of the two counts?
    #[error("say {0} once")]
    Twice(String),
    /// An option has no value that it can have.
    #[error("{option}={value:?} must be {must}")]
    Value {
        /// Its name.
        option: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        must: &'static str,
    },
    /// Certificates are of TLS alone.
    #[error("ca is of TLS: leave tls=false away, or ca")]
    CaWithoutTls,
}

/// All that is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KurrentUrlProblems {
    /// In the order of the URL; never empty.
    pub problems: Vec<KurrentUrlProblem>,
}

impl fmt::Display for KurrentUrlProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for KurrentUrlProblems {}

/// Whether, and by which certificates, nodes are recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportSecurity {
    /// Everything goes as it is (a server that runs with `--insecure`).
    Off,
    /// TLS by the authorities that this machine knows.
    System,
    /// TLS by those in this PEM file, and no others.
    Private(PathBuf),
}

/// Where KurrentDB is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KurrentUrl {
    /// Where one asks first; never empty.
    pub addresses: Vec<NodeAddress>,
    /// Whether every address of the one name is a node's.
    pub is_discovered: bool,
    /// How nodes are recognised.
    pub security: TransportSecurity,
}

impl FromStr for KurrentUrl {
    type Err = KurrentUrlProblems;

    fn from_str(text: &str) -> Result<Self, KurrentUrlProblems> {
        let only = |problem| KurrentUrlProblems { problems: vec![problem] };
        // What stands before an @ is a secret, wherever it ends: nothing is repeated of such a text.
        if text.contains('@') {
            return Err(only(KurrentUrlProblem::Secret));
        }
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| only(KurrentUrlProblem::Scheme))?;
        // Schemes are the same in capitals (RFC 3986, section 3.1).
        let is_discovered = match &*scheme.to_ascii_lowercase() {
            "kurrentdb" => false,
            "kurrentdb+discover" => true,
            _ => return Err(only(KurrentUrlProblem::Scheme)),
        };
        let mut problems = Vec::new();
        let (authority, options) = rest.split_once('?').unwrap_or((rest, ""));
        let addresses =
            read_addresses(authority.strip_suffix('/').unwrap_or(authority), &mut problems);
        if is_discovered && addresses.len() > 1 {
            problems.push(KurrentUrlProblem::OneName);
        }
        let security = read_options(options, &mut problems);
        if problems.is_empty() {
            return Ok(Self { addresses, is_discovered, security });
        }
        Err(KurrentUrlProblems { problems })
    }
}

fn read_addresses(authority: &str, problems: &mut Vec<KurrentUrlProblem>) -> Vec<NodeAddress> {
    if authority.is_empty() || authority.contains(['/', '#']) {
        problems.push(KurrentUrlProblem::Shape);
        return Vec::new();
    }
    let mut addresses = Vec::new();
    for part in authority.split(',') {
        match parse_address(part) {
            Some(address) => addresses.push(address),
            None => problems.push(KurrentUrlProblem::Address(part.to_owned())),
        }
    }
    if addresses.len() > ADDRESSES_MAX {
        problems.push(KurrentUrlProblem::TooManyAddresses);
    }
    addresses
}

fn parse_address(text: &str) -> Option<NodeAddress> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (ip, behind) = rest.split_once(']')?;
            ip.parse::<Ipv6Addr>().ok()?;
            (ip, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => PORT_DEFAULT,
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
    };
    let is_ip = host.parse::<IpAddr>().is_ok();
    let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (!host.is_empty() && (is_ip || is_name)).then(|| NodeAddress { host: host.to_owned(), port })
}

fn read_options(options: &str, problems: &mut Vec<KurrentUrlProblem>) -> TransportSecurity {
    let (mut seen, mut is_secure, mut ca) = (Vec::new(), true, None);
    for option in options.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if seen.contains(&name) {
            problems.push(KurrentUrlProblem::Twice(name.to_owned()));
        }
        seen.push(name);
        let mut refuse = |option, must| {
            problems.push(KurrentUrlProblem::Value { option, value: value.to_owned(), must });
        };
        match (name, value) {
            ("tls", "true") => is_secure = true,
            ("tls", "false") => is_secure = false,
            ("tls", _) => refuse("tls", "true or false"),
            ("ca", "") => refuse("ca", "the path of a PEM file"),
            ("ca", file) => ca = Some(PathBuf::from(file)),
            ("user" | "username" | "password", _) => problems.push(KurrentUrlProblem::Secret),
            (unknown, _) => problems.push(KurrentUrlProblem::UnknownOption(unknown.to_owned())),
        }
    }
    match (is_secure, ca) {
        (false, None) => TransportSecurity::Off,
        (true, None) => TransportSecurity::System,
        (true, Some(file)) => TransportSecurity::Private(file),
        (false, Some(_)) => {
            problems.push(KurrentUrlProblem::CaWithoutTls);
            TransportSecurity::Off
        }
    }
}
