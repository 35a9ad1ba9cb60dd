//! Which Kafka to use, as one value of the command line:
//! `kafka://HOST:PORT[,HOST:PORT]?topic_prefix=chipq.&tls=true&ca=FILE&sasl=scram-sha-512&partitions=6`.
//!
//! Invariants: what parses can be used as it is, and everything that is wrong is said at once. No user or password
//! stands in it, for command lines are seen by others: those are read by [`Credentials::from_lookup`].

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::address::Address;
pub use credentials::{Credentials, InvalidCredentials};

mod credentials;
#[cfg(test)]
mod tests;

/// What the events of the log are about; each has a topic of its own.
pub const TOPICS: [&str; 7] = [
    "inspection",
    "part",
    "model-route",
    "picture-retention",
    "projection",
    "access-control",
    "access-attempts",
];
/// Those that are sent unless told otherwise: no names, no addresses.
const TOPICS_DEFAULT: [&str; 4] = ["inspection", "part", "model-route", "picture-retention"];
const PREFIX_DEFAULT: &str = "chipq.";
const PARTITIONS_DEFAULT: i32 = 6;
const PARTITIONS_MAX: i32 = 1000;
const REPLICATION_MAX: i16 = 100;
/// A hundred years: Kafka counts in milliseconds.
const RETENTION_HOURS_MAX: u32 = 876_600;
const ADDRESSES_MAX: usize = 32;
const PREFIX_MAX_CHARS: usize = 200;

/// One thing that is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerUrlProblem {
    /// It is of something else.
    #[error("begin it with kafka://, such as kafka://kafka.example:9092")]
    Scheme,
    /// There is a path, a fragment, or nothing.
    #[error("write kafka://HOST:PORT[,HOST:PORT]?OPTION=VALUE&…, without a path or a fragment")]
    Shape,
    /// Everybody on this machine can read command lines.
    #[error(
        "take user and password out of the URL, and set CHIPQ_KAFKA_USER and CHIPQ_KAFKA_PASSWORD, or \
         CHIPQ_KAFKA_PASSWORD_FILE"
    )]
    Secret,
    /// Not an address.
    #[error("{0:?} is not HOST:PORT; write IPv6 as [::1]:9092")]
    Address(String),
    /// More addresses than are tried.
    #[error("name {ADDRESSES_MAX} addresses at most: the brokers name the others")]
    TooManyAddresses,
    /// An option that does not exist.
    #[error(
        "{0:?} is not an option; there are topic_prefix, tls, ca, sasl, partitions, replication, retention_hours \
         and topics"
    )]
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
    #[error("ca is of TLS: add tls=true, or leave ca away")]
    CaWithoutTls,
    /// Whoever listens would have the password.
    #[error(
        "sasl=plain sends the password as it is: add tls=true, or use sasl=scram-sha-512 (without TLS it is for this \
         machine alone)"
    )]
    PlainWithoutTls,
}

/// All that is wrong with a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidBrokerUrl {
    /// In the order of the URL; never empty.
    pub problems: Vec<BrokerUrlProblem>,
}

impl fmt::Display for InvalidBrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidBrokerUrl {}

/// How one says who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// RFC 4616: the password itself.
    Plain,
    /// RFC 7677.
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    /// What brokers call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Whether, and by which certificates, the brokers are recognised.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Tls {
    /// Everything goes as it is.
    #[default]
    Off,
    /// TLS by the authorities that this machine knows.
    System,
    /// TLS by those in this PEM file, and no others.
    Private(PathBuf),
}

/// Where Kafka is, and how the topics are made there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Where one asks first; never empty.
    pub addresses: Vec<Address>,
    /// Before the name of each topic.
    pub topic_prefix: String,
    /// How brokers are recognised.
    pub tls: Tls,
    /// How brokers recognise us; absent where they need not.
    pub sasl: Option<SaslMechanism>,
    /// Of topics that are made.
    pub partitions: i32,
    /// Of topics that are made; -1 is the broker's default.
    pub replication: i16,
    /// Of topics that are made; absent where the broker's default is right.
    pub retention: Option<Duration>,
    /// Which of [`TOPICS`] are sent, without the prefix.
    pub topics: Vec<String>,
}

impl BrokerUrl {
    /// The whole names of the topics.
    pub fn topic_names(&self) -> impl Iterator<Item = String> {
        self.topics.iter().map(|topic| format!("{}{topic}", self.topic_prefix))
    }
}

impl FromStr for BrokerUrl {
    type Err = InvalidBrokerUrl;

    fn from_str(text: &str) -> Result<Self, InvalidBrokerUrl> {
        let mut reading = UrlReading::default();
        // What stands before an @ is a secret, wherever it ends: nothing is repeated of such a text.
        if text.contains('@') {
            return Err(InvalidBrokerUrl { problems: vec![BrokerUrlProblem::Secret] });
        }
        // Schemes are the same in capitals (RFC 3986, section 3.1).
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("kafka") => rest,
            _ => return Err(InvalidBrokerUrl { problems: vec![BrokerUrlProblem::Scheme] }),
        };
        let (authority, options) = rest.split_once('?').unwrap_or((rest, ""));
        let addresses = reading.read_addresses(authority.strip_suffix('/').unwrap_or(authority));
        let url = reading.read_options(options, addresses);
        if reading.problems.is_empty() {
            return Ok(url);
        }
        Err(InvalidBrokerUrl { problems: reading.problems })
    }
}

/// What is wrong so far.
#[derive(Default)]
struct UrlReading {
    problems: Vec<BrokerUrlProblem>,
}

impl UrlReading {
    fn read_addresses(&mut self, authority: &str) -> Vec<Address> {
        if authority.is_empty() || authority.contains(['/', '#']) {
            self.problems.push(BrokerUrlProblem::Shape);
            return Vec::new();
        }
        let mut addresses = Vec::new();
        for part in authority.split(',') {
            match part.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => self.problems.push(BrokerUrlProblem::Address(part.to_owned())),
            }
        }
        if addresses.len() > ADDRESSES_MAX {
            self.problems.push(BrokerUrlProblem::TooManyAddresses);
        }
        addresses
    }

    fn read_options(&mut self, options: &str, addresses: Vec<Address>) -> BrokerUrl {
        let mut url = BrokerUrl {
            addresses,
            topic_prefix: PREFIX_DEFAULT.to_owned(),
            tls: Tls::Off,
            sasl: None,
            partitions: PARTITIONS_DEFAULT,
            replication: -1,
            retention: None,
            topics: TOPICS_DEFAULT.map(str::to_owned).to_vec(),
        };
        let (mut seen, mut ca) = (Vec::new(), None);
        for option in options.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            if seen.contains(&name) {
                self.problems.push(BrokerUrlProblem::Twice(name.to_owned()));
            }
            seen.push(name);
            self.read_option(&mut url, &mut ca, name, value);
        }
        match (&url.tls, ca) {
            (Tls::Off, Some(_)) => self.problems.push(BrokerUrlProblem::CaWithoutTls),
            (_, Some(file)) => url.tls = Tls::Private(file),
            (_, None) => {}
        }
        let is_here = url.addresses.iter().all(Address::is_loopback);
        if url.sasl == Some(SaslMechanism::Plain) && url.tls == Tls::Off && !is_here {
            self.problems.push(BrokerUrlProblem::PlainWithoutTls);
        }
        url
    }

    fn read_option(
        &mut self,
        url: &mut BrokerUrl,
        ca: &mut Option<PathBuf>,
        name: &str,
        value: &str,
    ) {
        match name {
            "topic_prefix" => {
                const MUST: &str = "letters, digits, dots, - and _, 200 at most";
                let prefix = is_topic_name(value).then(|| value.to_owned());
                url.topic_prefix = self.value("topic_prefix", value, MUST, prefix);
            }
            "tls" => {
                let tls = match value {
                    "true" => Some(Tls::System),
                    "false" => Some(Tls::Off),
                    _ => None,
                };
                url.tls = self.value("tls", value, "true or false", tls);
            }
            "ca" => {
                let file = (!value.is_empty()).then(|| Some(PathBuf::from(value)));
                *ca = self.value("ca", value, "the path of a PEM file", file);
            }
            "sasl" => {
                let mechanism = match value {
                    "plain" => Some(Some(SaslMechanism::Plain)),
                    "scram-sha-256" => Some(Some(SaslMechanism::ScramSha256)),
                    "scram-sha-512" => Some(Some(SaslMechanism::ScramSha512)),
                    _ => None,
                };
                url.sasl =
                    self.value("sasl", value, "scram-sha-512, scram-sha-256 or plain", mechanism);
            }
            "partitions" => {
                let count = value.parse().ok().filter(|count| (1..=PARTITIONS_MAX).contains(count));
                url.partitions = self.value("partitions", value, "a number from 1 to 1000", count);
            }
            "replication" => {
                const MUST: &str = "-1 (the broker's default) or a number from 1 to 100";
                let count = value.parse().ok();
                let count =
                    count.filter(|count| *count == -1 || (1..=REPLICATION_MAX).contains(count));
                url.replication = self.value("replication", value, MUST, count);
            }
            "retention_hours" => {
                const MUST: &str = "a number from 1 to 876600";
                let hours = value.parse().ok().filter(|h| (1..=RETENTION_HOURS_MAX).contains(h));
                let retention =
                    hours.map(|hours| Some(Duration::from_secs(u64::from(hours) * 3600)));
                url.retention = self.value("retention_hours", value, MUST, retention);
            }
            "topics" => {
                const MUST: &str = "some of inspection, part, model-route, projection, access-control and \
                     access-attempts, with commas between, each once";
                let names: Vec<_> = value.split(',').map(str::to_owned).collect();
                let is_known = names.iter().all(|name| TOPICS.contains(&name.as_str()));
                let is_once = (1..names.len()).all(|at| !names[..at].contains(&names[at]));
                url.topics =
                    self.value("topics", value, MUST, (is_known && is_once).then_some(names));
            }
            "user" | "username" | "password" | "sasl_username" | "sasl_password" => {
                self.problems.push(BrokerUrlProblem::Secret);
            }
            unknown => self.problems.push(BrokerUrlProblem::UnknownOption(unknown.to_owned())),
        }
    }

    /// The value, or a note that there is none and one that nobody sees.
    fn value<T: Default>(
        &mut self,
        option: &'static str,
        value: &str,
        must: &'static str,
        parsed: Option<T>,
    ) -> T {
        parsed.unwrap_or_else(|| {
            let value = value.to_owned();
            self.problems.push(BrokerUrlProblem::Value { option, value, must });
            T::default()
        })
    }
}

/// Whether these may stand in a topic's name; nothing may be too.
fn is_topic_name(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    text.len() <= PREFIX_MAX_CHARS && text.chars().all(is_allowed)
}
