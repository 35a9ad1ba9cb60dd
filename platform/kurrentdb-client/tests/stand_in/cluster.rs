//! A stand-in for a KurrentDB cluster: real gRPC servers over one log in memory, with failures to switch on.
//!
//! It keeps to what KurrentDB publishes of its protocol: a conflict is an answer and not a status, events that are
//! appended again with an explicit revision are recognised by their ids, a read of $all begins at its position and a
//! subscription after it, a node that does not lead says who does. It forgets everything when it is dropped.

mod gate;
mod log;
mod service;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::broadcast;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use uuid::Uuid;

use gate::Gate;
pub(crate) use log::MemoryLog;
use service::NodeService;

/// What becomes of an append instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server gives up waiting for its cluster, and the events are there.
    TimeoutApplied,
    /// The same, and they are not.
    TimeoutNotApplied,
    /// The connection breaks before the answer, and the events are there.
    CutApplied,
    /// The same, and they are not.
    CutNotApplied,
    /// The server is busy.
    Busy,
    /// Another node leads from now on, and this one says so.
    NotLeader,
    /// No answer comes, on a connection that stays.
    Silent,
}

/// What all nodes know.
pub(crate) struct World {
    pub(crate) log: MemoryLog,
    pub(crate) leader: Option<usize>,
    pub(crate) nodes: Vec<NodeState>,
    /// Who may; everybody when there is none.
    pub(crate) credentials: Option<(String, String)>,
    /// Whether that user may append.
    pub(crate) may_append: bool,
    /// What becomes of the next appends to streams whose names begin so.
    pub(crate) faults: VecDeque<(String, Fault)>,
    /// The most bytes of one append.
    pub(crate) append_bytes_max: usize,
    /// Told the position of what is appended.
    pub(crate) appended: broadcast::Sender<u64>,
    /// How many appends and reads were asked for.
    pub(crate) appends: usize,
    pub(crate) reads: usize,
}

pub(crate) struct NodeState {
    pub(crate) port: u16,
    /// Of this life of its process.
    pub(crate) instance: Uuid,
    pub(crate) is_up: bool,
    pub(crate) gate: Option<Gate>,
}

/// A cluster, or a node that stands alone.
#[derive(Clone)]
pub(crate) struct StandIn {
    world: Arc<Mutex<World>>,
    tls: Option<(Vec<u8>, Vec<u8>)>,
}

impl StandIn {
    /// So many nodes that run, of which the first leads.
    pub(crate) async fn start(nodes: usize) -> Self {
        Self::start_with(nodes, None).await
    }

    /// The same with TLS, by a certificate and a key in PEM files of this folder.
    #[allow(dead_code, reason = "for the tests of the client")]
    pub(crate) async fn start_with_tls(nodes: usize, folder: &Path) -> Self {
        let read = |name| std::fs::read(folder.join(name)).unwrap();
        Self::start_with(nodes, Some((read("node.crt"), read("node.key")))).await
    }

    async fn start_with(count: usize, tls: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let world = World {
            log: MemoryLog::new(),
            leader: Some(0),
            nodes: Vec::new(),
            credentials: None,
            may_append: true,
            faults: VecDeque::new(),
            append_bytes_max: 1024 * 1024,
            appended: broadcast::channel(4096).0,
            appends: 0,
            reads: 0,
        };
        let stand_in = Self { world: Arc::new(Mutex::new(world)), tls };
        for index in 0..count {
            let node = NodeState { port: 0, instance: Uuid::new_v4(), is_up: false, gate: None };
            stand_in.world().nodes.push(node);
            stand_in.start_node(index).await;
        }
        stand_in
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Its URL, with all nodes in it.
    pub(crate) fn url(&self) -> String {
        let ports: Vec<_> =
            self.world().nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("kurrentdb://{}?tls=false", ports.join(","))
    }

    /// Starts a node on the port that it had: another life of it.
    pub(crate) async fn start_node(&self, index: usize) {
        let service = NodeService { world: Arc::clone(&self.world), index };
        let inner = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner_port = inner.local_addr().unwrap().port();
        let mut server = Server::builder();
        if let Some((certificate, key)) = &self.tls {
            let identity = Identity::from_pem(certificate, key);
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        }
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(inner);
        let serving = server
            .add_service(service.clone().into_streams())
            .add_service(service.into_gossip())
            .serve_with_incoming(incoming);
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        let port = self.world().nodes[index].port;
        let gate = Gate::open(port, inner_port, serving).await;
        let mut world = self.world();
        let node = &mut world.nodes[index];
        node.port = gate.port;
        node.instance = Uuid::new_v4();
        node.is_up = true;
        node.gate = Some(gate);
        if world.leader == Some(index) {
            world.log.append_system_event("$epoch-information");
        }
    }

    /// Kills a node: its connections break, and nothing listens.
    pub(crate) fn kill_node(&self, index: usize) {
        let mut world = self.world();
        world.nodes[index].gate = None;
        world.nodes[index].is_up = false;
    }

    /// Lets a node lead, or nobody.
    pub(crate) fn elect(&self, leader: Option<usize>) {
        let mut world = self.world();
        world.leader = leader;
        if leader.is_some() {
            world.log.append_system_event("$epoch-information");
        }
    }

    /// What becomes of the next appends to streams that begin with `prefix`, one after the other.
    pub(crate) fn fail_next(&self, prefix: &str, faults: &[Fault]) {
        let faults = faults.iter().map(|fault| (prefix.to_owned(), *fault));
        self.world().faults.extend(faults);
    }

    /// A copy of the log as it is.
    pub(crate) fn back_up(&self) -> MemoryLog {
        self.world().log.clone()
    }

    /// Puts a copy back as an operator does: the nodes are stopped, and started again on it.
    pub(crate) async fn put_back(&self, backup: MemoryLog) {
        let count = self.world().nodes.len();
        (0..count).for_each(|index| self.kill_node(index));
        self.world().log = backup;
        for index in 0..count {
            self.start_node(index).await;
        }
    }
}
