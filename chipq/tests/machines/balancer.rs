//! One address before several machines: each connection goes to the next one that is ready, as HAProxy's `roundrobin`
//! with `option httpchk GET /readyz` sends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Client;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How often each machine is asked whether it is ready.
const ASKED_EVERY: Duration = Duration::from_millis(200);

pub(crate) struct Balancer {
    pub(crate) url: String,
    machines: Arc<Vec<Machine>>,
    _tasks: JoinSet<()>,
}

struct Machine {
    port: u16,
    is_ready: AtomicBool,
    connections: AtomicUsize,
}

impl Balancer {
    /// Before the machines on these ports.
    pub(crate) async fn before(ports: &[u16]) -> Self {
        let machine = |port: &u16| Machine {
            port: *port,
            is_ready: AtomicBool::new(true),
            connections: AtomicUsize::new(0),
        };
        let machines: Arc<Vec<Machine>> = Arc::new(ports.iter().map(machine).collect());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&machines)));
        tasks.spawn(ask(Arc::clone(&machines)));
        Self { url, machines, _tasks: tasks }
    }

    /// How many connections each machine has had.
    pub(crate) fn connections(&self) -> Vec<usize> {
        let machines = self.machines.iter();
        machines.map(|machine| machine.connections.load(Ordering::SeqCst)).collect()
    }
}

async fn accept(listener: TcpListener, machines: Arc<Vec<Machine>>) {
    let mut next = 0;
    while let Ok((client, _)) = listener.accept().await {
        next += 1;
        tokio::spawn(lead(client, Arc::clone(&machines), next));
    }
}

async fn lead(mut client: TcpStream, machines: Arc<Vec<Machine>>, next: usize) {
    for n in 0..machines.len() {
        let machine = &machines[(next + n) % machines.len()];
        if !machine.is_ready.load(Ordering::SeqCst) {
            continue;
        }
        // One that is gone since it was asked takes none; the next one may.
        if let Ok(mut server) = TcpStream::connect(("127.0.0.1", machine.port)).await {
            machine.connections.fetch_add(1, Ordering::SeqCst);
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

async fn ask(machines: Arc<Vec<Machine>>) {
    let http = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().unwrap();
    loop {
        for machine in machines.iter() {
            let url = format!("http://127.0.0.1:{}/readyz", machine.port);
            let is_ready = http.get(url).send().await.is_ok_and(|said| said.status().is_success());
            machine.is_ready.store(is_ready, Ordering::SeqCst);
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
}
