//! One connection to one broker: TCP, TLS, versions, SASL, then requests.
//!
//! Invariants: every step and every request has a time limit; each kind of failure has a variant of its own, with a
//! sentence that says what to do. Retries are absent.

use std::fmt;
use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rskafka::client::{Credentials as SaslCredentials, SaslConfig};
use rskafka::messenger::{Messenger, RequestError, SaslError};
use rskafka::protocol::error::Error as ApiError;
use rskafka::protocol::messages::{
    ReadVersionedType, RequestBody, SaslHandshakeRequest, WriteVersionedType,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

pub use error::ConnectionError;
pub use tls::InvalidTls;

use crate::address::Address;
use crate::broker_url::{BrokerUrl, Credentials, SaslMechanism};

mod error;
mod tls;

/// The largest answer, in bytes; a tail is asked for in far smaller pieces.
const ANSWER_MAX_BYTES: usize = 64 << 20;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Each step until requests may be sent: TCP, TLS, versions, SASL.
    pub connect: Duration,
    /// From a request to the whole of its answer.
    pub request: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), request: Duration::from_secs(30) }
    }
}

/// What TLS and TCP have in common.
trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}

/// Makes connections.
#[derive(Clone)]
pub struct Connector {
    tls: Option<TlsConnector>,
    sasl: Option<(SaslMechanism, Credentials)>,
    client_id: Arc<str>,
    limits: Limits,
}

impl Connector {
    /// What connects as `url` says; `client_id` is what brokers show, and count quotas by.
    ///
    /// # Errors
    /// [`InvalidTls`] when certificates cannot be read.
    pub fn open(
        url: &BrokerUrl,
        credentials: Option<Credentials>,
        client_id: &str,
        limits: Limits,
    ) -> Result<Self, InvalidTls> {
        let tls = tls::open_connector(&url.tls)?;
        Ok(Self { tls, sasl: url.sasl.zip(credentials), client_id: client_id.into(), limits })
    }

    /// How long things may take.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// A connection to the broker at `address`, ready for requests.
    ///
    /// # Errors
    /// Any [`ConnectionError`] but [`ConnectionError::TimedOut`]: a broker that is slow here is
    /// [`ConnectionError::Silent`], and nothing has been asked of it.
    pub async fn connect(&self, address: &Address) -> Result<BrokerConnection, ConnectionError> {
        let messenger = self.open_messenger(address).await?;
        if let Some((mechanism, credentials)) = &self.sasl {
            let config = sasl_config(*mechanism, credentials);
            let shown = messenger.do_sasl(config);
            if let Err(error) = self.step(address, "SASL", shown).await? {
                return Err(self.sasl_error(address, *mechanism, error).await);
            }
        }
        let has_answered = AtomicBool::new(self.sasl.is_some());
        let limit = self.limits.request;
        Ok(BrokerConnection { address: address.clone(), messenger, limit, has_answered })
    }

    /// TCP, TLS, and which versions the broker speaks.
    async fn open_messenger(&self, address: &Address) -> Result<KafkaMessenger, ConnectionError> {
        let unreachable = |error: std::io::Error| ConnectionError::Unreachable {
            address: address.clone(),
            error: error.to_string(),
        };
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let connected = timeout(self.limits.connect, connecting).await;
        let stream = connected
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(unreachable)?;
        // A batch is larger than a segment: its end must not wait for an acknowledgement of its beginning.
        stream.set_nodelay(true).map_err(unreachable)?;
        let stream: Box<dyn ByteStream> = match &self.tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::try_from(address.host.clone());
                let name = name.map_err(|error| unreachable(std::io::Error::other(error)))?;
                let shaken = self.step(address, "TLS", tls.connect(name, stream)).await?;
                Box::new(shaken.map_err(|error| ConnectionError::from_tls(address, &error))?)
            }
        };
        let mut messenger = Messenger::new(stream, ANSWER_MAX_BYTES, Arc::clone(&self.client_id));
        let synced = self.step(address, "the first request", messenger.sync_versions()).await?;
        synced.map_err(|error| ConnectionError::CutOff {
            address: address.clone(),
            error: error.to_string(),
        })?;
        Ok(messenger)
    }

    async fn step<T>(
        &self,
        address: &Address,
        step: &'static str,
        work: impl Future<Output = T>,
    ) -> Result<T, ConnectionError> {
        let after = self.limits.connect;
        let silent = |_| ConnectionError::Silent { address: address.clone(), step, after };
        timeout(after, work).await.map_err(silent)
    }

    async fn sasl_error(
        &self,
        address: &Address,
        mechanism: SaslMechanism,
        error: SaslError,
    ) -> ConnectionError {
        let address = address.clone();
        match error {
            SaslError::ApiError(ApiError::UnsupportedSaslMechanism)
            | SaslError::UnsupportedSaslMechanism
            | SaslError::InvalidSaslMechanism(_) => {
                let offered = self.find_offered(&address).await.unwrap_or_default();
                ConnectionError::MechanismNotOffered {
                    address,
                    mechanism: mechanism.name(),
                    offered,
                }
            }
            SaslError::ApiError(ApiError::IllegalSaslState) => {
                ConnectionError::SaslNotWanted { address }
            }
            SaslError::RequestError(error) => {
                ConnectionError::CutOff { address, error: error.to_string() }
            }
            error => ConnectionError::SaslRefused {
                address,
                mechanism: mechanism.name(),
                error: error.to_string(),
            },
        }
    }

    /// The mechanisms that the broker offers. It cuts a connection that asked for another, so this is one more.
    async fn find_offered(&self, address: &Address) -> Option<String> {
        let messenger = self.open_messenger(address).await.ok()?;
        let asked = messenger.request(SaslHandshakeRequest::new("?"));
        let answer = timeout(self.limits.connect, asked).await.ok()?.ok()?;
        let names = answer.mechanisms.0.unwrap_or_default();
        let names: Vec<_> = names.into_iter().map(|name| name.0).collect();
        Some(names.join(", "))
    }
}

type KafkaMessenger = Messenger<Box<dyn ByteStream>>;

/// A broker that has let us in.
///
/// Requests may be made at the same time, but the broker works on one after the other: an answer that is late holds
/// those behind it. So whoever produces has a connection of its own.
pub struct BrokerConnection {
    address: Address,
    messenger: KafkaMessenger,
    limit: Duration,
    /// Whether anything but the versions was answered. A port that wants SASL answers those to everybody.
    has_answered: AtomicBool,
}

impl BrokerConnection {
    /// The broker's.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// What the broker answers.
    ///
    /// # Errors
    /// [`ConnectionError::TimedOut`], [`ConnectionError::Broken`] or [`ConnectionError::CutOff`]. Whether the
    /// broker did what it was asked for is then unknown, and the connection is of no more use.
    pub async fn request<R>(&self, request: R) -> Result<R::ResponseBody, ConnectionError>
    where
        R: RequestBody + Send + WriteVersionedType<Vec<u8>>,
        R::ResponseBody: ReadVersionedType<Cursor<Vec<u8>>>,
    {
        self.request_within(self.limit, request).await
    }

    pub(crate) async fn request_within<R>(
        &self,
        after: Duration,
        request: R,
    ) -> Result<R::ResponseBody, ConnectionError>
    where
        R: RequestBody + Send + WriteVersionedType<Vec<u8>>,
        R::ResponseBody: ReadVersionedType<Cursor<Vec<u8>>>,
    {
        match timeout(after, self.messenger.request(request)).await {
            Ok(Ok(answer)) => {
                self.has_answered.store(true, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.broken(&error)),
            Err(_) => Err(ConnectionError::TimedOut { address: self.address.clone(), after }),
        }
    }

    fn broken(&self, error: &RequestError) -> ConnectionError {
        let (address, text) = (self.address.clone(), error.to_string());
        if let RequestError::NoVersionMatch { .. } = error {
            return ConnectionError::TooOld { address, error: text };
        }
        if self.has_answered.load(Ordering::Relaxed) {
            return ConnectionError::Broken { address, error: text };
        }
        ConnectionError::CutOff { address, error: text }
    }
}

impl fmt::Debug for BrokerConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerConnection").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn sasl_config(mechanism: SaslMechanism, credentials: &Credentials) -> SaslConfig {
    let (user, password) = (credentials.user.clone(), credentials.password.clone());
    let credentials = SaslCredentials::new(user, password);
    match mechanism {
        SaslMechanism::Plain => SaslConfig::Plain(credentials),
        SaslMechanism::ScramSha256 => SaslConfig::ScramSha256(credentials),
        SaslMechanism::ScramSha512 => SaslConfig::ScramSha512(credentials),
    }
}
