//! Finds the leader, and finds it again.
//!
//! Invariants: nothing that failed is kept: a connection that was refused, the first one too, is tried anew by whoever
//! asks next. However many ask at once, one looks for the leader. One look is bounded: each address is asked once.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::net::lookup_host;
use tokio::sync::Mutex;

use crate::connection::{LeaderConnection, NodeConnection, NodeSecurity};
use crate::error::KurrentError;
use crate::gossip::{ClusterMember, read_members};
use crate::node_url::{KurrentCredentials, KurrentUrl, NodeAddress};

/// How many nodes one look asks at most: a cluster has up to nine, and some named by several names.
const NODES_ASKED_MAX: usize = 40;

/// The leader of one cluster, whoever that is. Clones share one connection.
#[derive(Clone)]
pub struct KurrentClient(Arc<ClientShared>);

struct ClientShared {
    url: KurrentUrl,
    security: NodeSecurity,
    known: Mutex<KnownLeader>,
}

/// What was found out last.
#[derive(Default)]
struct KnownLeader {
    leader: Option<Arc<LeaderConnection>>,
    /// Where else to ask, the likeliest first.
    addresses: Vec<NodeAddress>,
}

impl KurrentClient {
    /// A client that has not connected yet.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(
        url: KurrentUrl,
        credentials: Option<&KurrentCredentials>,
    ) -> Result<Self, KurrentError> {
        let security = NodeSecurity::load(&url.security, credentials)?;
        Ok(Self(Arc::new(ClientShared { url, security, known: Mutex::default() })))
    }

    /// The connection to the leader: the one there is, or another one after one look around.
    ///
    /// # Errors
    /// When there is none now; asking again looks again.
    pub async fn find_leader(&self) -> Result<Arc<LeaderConnection>, KurrentError> {
        let mut known = self.0.known.lock().await;
        if let Some(leader) = &known.leader {
            return Ok(Arc::clone(leader));
        }
        let (leader, members) = self.look_for_leader(&known.addresses).await?;
        tracing::info!(address = %leader.address(), instance = %leader.instance(), "connected to KurrentDB");
        let leader = Arc::new(leader);
        known.leader = Some(Arc::clone(&leader));
        known.addresses = members;
        Ok(leader)
    }

    /// Says that a connection is over, or may be, and why. Whoever asks next looks for the leader anew.
    pub async fn give_up(&self, connection: &Arc<LeaderConnection>, error: &KurrentError) {
        let mut known = self.0.known.lock().await;
        if known.leader.as_ref().is_some_and(|leader| Arc::ptr_eq(leader, connection)) {
            tracing::debug!(address = %connection.address(), %error, "a connection to KurrentDB is given up");
            known.leader = None;
        }
        if let KurrentError::NotLeader { leader: Some(leader) } = error {
            known.addresses.insert(0, leader.clone());
        }
    }

    async fn look_for_leader(
        &self,
        likely: &[NodeAddress],
    ) -> Result<(LeaderConnection, Vec<NodeAddress>), KurrentError> {
        let mut failure = None;
        let mut to_ask: VecDeque<_> = likely.iter().cloned().collect();
        match self.first_addresses().await {
            Ok(first) => to_ask.extend(first),
            Err(error) => failure = Some(error),
        }
        let mut asked: Vec<NodeAddress> = Vec::new();
        while let Some(address) = to_ask.pop_front() {
            if asked.contains(&address) || asked.len() >= NODES_ASKED_MAX {
                continue;
            }
            asked.push(address.clone());
            match self.ask_node(&address).await {
                Ok((node, members)) => match find_own_life(&address, &members) {
                    Some(instance) => {
                        let addresses = members.into_iter().map(|member| member.address).collect();
                        return Ok((LeaderConnection { node, instance }, addresses));
                    }
                    None => {
                        if !members.iter().any(|member| member.is_leader) {
                            failure.get_or_insert(KurrentError::NoLeader { address });
                        }
                        // The leader first: it says of itself whether it still leads.
                        for member in members {
                            if member.is_leader {
                                to_ask.push_front(member.address);
                            } else {
                                to_ask.push_back(member.address);
                            }
                        }
                    }
                },
                // What no waiting helps against is the one to tell.
                Err(error) if !error.may_pass() => return Err(error),
                Err(error) => {
                    failure.get_or_insert(error);
                }
            }
        }
        let nobody = || KurrentError::Interrupted("its nodes do not agree on a leader".to_owned());
        Err(failure.unwrap_or_else(nobody))
    }

    async fn ask_node(
        &self,
        address: &NodeAddress,
    ) -> Result<(NodeConnection, Vec<ClusterMember>), KurrentError> {
        let node = NodeConnection::open(address, &self.0.security).await?;
        let members = read_members(&node).await?;
        Ok((node, members))
    }

    /// The addresses of the URL, or those that its one name has now.
    async fn first_addresses(&self) -> Result<Vec<NodeAddress>, KurrentError> {
        let url = &self.0.url;
        let Some(name) = url.addresses.first().filter(|_| url.is_discovered) else {
            return Ok(url.addresses.clone());
        };
        let found = lookup_host((name.host.as_str(), name.port)).await.map_err(|error| {
            KurrentError::Unreachable { address: name.clone(), reason: error.to_string() }
        })?;
        // By the name, where TLS has to recognise it.
        let by_number = found.map(|at| NodeAddress { host: at.ip().to_string(), port: at.port() });
        Ok(match url.security {
            crate::TransportSecurity::Off => by_number.collect(),
            _ => std::iter::once(name.clone()).chain(by_number).collect(),
        })
    }
}

/// The life of the node that listens at `address`, if it leads. One that stands alone is it, by whatever name it was
/// reached.
fn find_own_life(address: &NodeAddress, members: &[ClusterMember]) -> Option<uuid::Uuid> {
    let own = match members {
        [alone] => Some(alone),
        members => members.iter().find(|member| member.address == *address),
    };
    own.filter(|member| member.is_leader).map(|member| member.instance)
}
