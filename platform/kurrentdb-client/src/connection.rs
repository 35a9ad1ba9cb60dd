//! One connection to one life of the leader.
//!
//! Invariant: the channel has one TCP connection and never makes another: a channel that connects again by itself would
//! go on with a server on whose files an earlier copy was put meanwhile, and nobody would know.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Uri};
use tonic::{Request, Status};
use tower::service_fn;
use uuid::Uuid;

use crate::error::{KurrentError, explain};
use crate::node_url::{KurrentCredentials, NodeAddress, TransportSecurity};

/// How long the network may take to connect, and TLS to agree.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an answer may take. A server that cannot commit says so after two or three seconds.
pub(crate) const CALL_LIMIT: Duration = Duration::from_secs(10);
/// A connection on which nothing comes is tried so often,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// and is over when that is not answered for so long.
const KEEPALIVE_LIMIT: Duration = Duration::from_secs(5);

/// How nodes are recognised, and how they recognise us; read once.
#[derive(Clone)]
pub(crate) struct NodeSecurity {
    tls: Option<ClientTlsConfig>,
    authorization: Option<MetadataValue<Ascii>>,
}

impl NodeSecurity {
    pub(crate) fn load(
        security: &TransportSecurity,
        credentials: Option<&KurrentCredentials>,
    ) -> Result<Self, KurrentError> {
        let tls = match security {
            TransportSecurity::Off => None,
            TransportSecurity::System => Some(ClientTlsConfig::new().with_native_roots()),
            TransportSecurity::Private(file) => {
                let unusable = |error: String| {
                    KurrentError::Certificates(format!(
                        "ca={} has no certificate that can be used ({error}): give the PEM file of the authority",
                        file.display()
                    ))
                };
                let pem = std::fs::read(file).map_err(|error| unusable(error.to_string()))?;
                let has_any = String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----");
                if !has_any {
                    return Err(unusable("there is none in it".to_owned()));
                }
                Some(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)))
            }
        };
        let header = credentials.map(|credentials| credentials.to_header().parse());
        let authorization = header.transpose().map_err(|_| KurrentError::WrongCredentials)?;
        let authorization = authorization.map(|mut header: MetadataValue<Ascii>| {
            header.set_sensitive(true);
            header
        });
        Ok(Self { tls, authorization })
    }
}

/// A connection to a node, which need not lead.
#[derive(Clone)]
pub(crate) struct NodeConnection {
    pub(crate) address: NodeAddress,
    pub(crate) channel: Channel,
    authorization: Option<MetadataValue<Ascii>>,
}

impl NodeConnection {
    pub(crate) async fn open(
        address: &NodeAddress,
        security: &NodeSecurity,
    ) -> Result<Self, KurrentError> {
        let unreachable =
            |reason: String| KurrentError::Unreachable { address: address.clone(), reason };
        let limit = || unreachable(format!("no connection within {} s", CONNECT_LIMIT.as_secs()));
        let connecting = TcpStream::connect((address.host.as_str(), address.port));
        let stream = timeout(CONNECT_LIMIT, connecting).await.map_err(|_| limit())?;
        let stream = stream.map_err(|error| unreachable(error.to_string()))?;
        // Without it an append of several frames waits for 40 ms.
        stream.set_nodelay(true).map_err(|error| unreachable(error.to_string()))?;
        let scheme = if security.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
            .map_err(|error| unreachable(explain(&error)))?
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_LIMIT)
            .keep_alive_while_idle(true);
        let endpoint = match &security.tls {
            Some(tls) => endpoint
                .tls_config(tls.clone())
                .map_err(|error| KurrentError::Certificates(explain(&error)))?,
            None => endpoint,
        };
        let once = Arc::new(Mutex::new(Some(stream)));
        let connector = service_fn(move |_: Uri| {
            let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            let over = || io::Error::new(io::ErrorKind::NotConnected, "the connection is over");
            std::future::ready(stream.map(TokioIo::new).ok_or_else(over))
        });
        let connecting = endpoint.connect_with_connector(connector);
        let channel = timeout(CONNECT_LIMIT, connecting).await.map_err(|_| limit())?;
        let channel = channel.map_err(|error| unreachable(explain(&error)))?;
        let authorization = security.authorization.clone();
        Ok(Self { address: address.clone(), channel, authorization })
    }

    /// A request with what every request says: who asks, and that only the leader may answer.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if let Some(authorization) = &self.authorization {
            metadata.insert("authorization", authorization.clone());
        }
        metadata.insert("requires-leader", MetadataValue::from_static("true"));
        request
    }

    /// Waits for an answer, but not for ever.
    pub(crate) async fn answer_to<T>(
        &self,
        stream: &str,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, KurrentError> {
        match timeout(CALL_LIMIT, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(status)) => Err(KurrentError::from_status(&status, &self.address, stream)),
            Err(_) => Err(KurrentError::NoAnswer(format!(
                "nothing came from {} for {} s",
                self.address,
                CALL_LIMIT.as_secs()
            ))),
        }
    }
}

/// A connection to the leader, for as long as both live.
#[derive(Clone)]
pub struct LeaderConnection {
    pub(crate) node: NodeConnection,
    pub(crate) instance: Uuid,
}

impl LeaderConnection {
    /// Which life of which node it is connected to: a node that is started again has another one.
    #[must_use]
    pub const fn instance(&self) -> Uuid {
        self.instance
    }

    /// Where that node listens.
    #[must_use]
    pub const fn address(&self) -> &NodeAddress {
        &self.node.address
    }
}
