//! A Kafka broker of the test's own, on free ports of loopback: plain for whoever administers it, and SCRAM over TLS of
//! a private CA. `deploy/kafka-broker` formats and runs it; what it keeps stays through a stop, a kill and a restart.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::server_process::ServerProcess;

/// How long it may take to serve, or to stop in order: it takes seconds where nothing else runs.
const PATIENCE: Duration = Duration::from_secs(300);

/// Who may sign in by SCRAM from the beginning.
pub(crate) const USER: &str = "relay";
pub(crate) const PASSWORD: &str = "a-secret-of-this-test";

pub(crate) struct Broker {
    folder: PathBuf,
    /// Of plain TCP, and of TLS with SCRAM.
    ports: [u16; 2],
    process: ServerProcess,
}

/// Whether there is a Kafka to test with; says so when there is none.
pub(crate) fn is_installed() -> bool {
    let is_named = std::env::var_os("CHIPQ_KAFKA_RUNTIME").is_some_and(|home| !home.is_empty());
    if !is_named {
        eprintln!(
            "SKIPPED: CHIPQ_KAFKA_RUNTIME is not set; run: CHIPQ_KAFKA_RUNTIME=$(deploy/ensure-kafka)"
        );
    }
    is_named
}

impl Broker {
    /// Makes one in `folder`, which is not there yet, and waits until it serves.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with more options of `deploy/kafka-broker format`, such as `--authorize` or `--set`.
    pub(crate) fn start_with(folder: &Path, options: &[&str]) -> Self {
        let [port, controller_port, tls_port] = free_ports();
        let mut format = script(&["format"]);
        format.arg(folder).args(["--port", &port.to_string()]);
        format.args(["--controller-port", &controller_port.to_string()]);
        format.args(["--sasl-tls-port", &tls_port.to_string()]).args(options);
        output_of(format.env("KAFKA_USER", USER).env("KAFKA_PASSWORD", PASSWORD));
        let (folder, process) = (folder.to_owned(), launch(folder));
        let mut broker = Self { folder, ports: [port, tls_port], process };
        broker.until_it_serves();
        broker
    }

    /// After [`Self::kill`].
    pub(crate) fn start_again(&mut self) {
        self.process = launch(&self.folder);
        self.until_it_serves();
    }

    fn until_it_serves(&mut self) {
        self.process.until_it_serves(PATIENCE, |said| said.contains("Kafka Server started"));
    }

    /// Ends it as a power failure does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Lets it answer nothing any more: connections are still taken.
    pub(crate) fn stall(&self) {
        self.process.stall();
    }

    /// After [`Self::stall`]: what came in the meantime is answered.
    pub(crate) fn resume(&self) {
        self.process.resume();
    }

    /// Where it serves without any proof: who comes here may do everything.
    pub(crate) fn plain_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Where it serves over TLS and asks for a user by SCRAM.
    pub(crate) fn tls_address(&self) -> String {
        format!("localhost:{}", self.ports[1])
    }

    /// The CA by which it is recognised.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("tls/ca.pem")
    }

    /// Runs one of Kafka's own programs on it, by its class, and returns what it prints.
    pub(crate) fn run_tool(&self, class: &str, arguments: &[&str]) -> String {
        let mut tool = script(&["tool", class, "--bootstrap-server", &self.plain_address()]);
        output_of(tool.args(arguments))
    }

    /// Creates a topic; `options` are such as `--replication-factor 2` or `--config retention.ms=3000`.
    pub(crate) fn create_topic(&self, topic: &str, partitions: u32, options: &[&str]) {
        let partitions = partitions.to_string();
        let create = ["--create", "--topic", topic, "--partitions", &partitions];
        self.run_topics(&[&create[..], options].concat());
    }

    pub(crate) fn delete_topic(&self, topic: &str) {
        self.run_topics(&["--delete", "--topic", topic]);
    }

    /// Kafka's program for topics.
    pub(crate) fn run_topics(&self, arguments: &[&str]) -> String {
        self.run_tool("org.apache.kafka.tools.TopicCommand", arguments)
    }

    /// Changes a setting (`KEY=VALUE`) of one of `topics`, `users`, `clients` or `brokers`.
    pub(crate) fn change_setting(&self, kind: &str, name: &str, setting: &str) {
        let of = ["--alter", "--entity-type", kind, "--entity-name", name];
        let arguments = [&of[..], &["--add-config", setting]].concat();
        self.run_tool("kafka.admin.ConfigCommand", &arguments);
    }

    /// Allows a user of a broker with `--authorize` something; `what` is such as `--operation Write --topic chipq.part`.
    pub(crate) fn allow(&self, user: &str, what: &[&str]) {
        let principal = format!("User:{user}");
        let add = ["--add", "--allow-principal", &principal];
        self.run_tool("org.apache.kafka.tools.AclCommand", &[&add[..], what].concat());
    }
}

fn script(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(root.join("deploy/kafka-broker"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn launch(folder: &Path) -> ServerProcess {
    ServerProcess::launch(script(&["run"]).arg(folder), &folder.join("broker.log"))
}

/// What a command prints, which must succeed.
fn output_of(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Ports that nobody uses, all different.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
