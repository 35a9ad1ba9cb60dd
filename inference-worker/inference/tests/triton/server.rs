//! A real Triton server for a test: started on free ports of the loopback interface, ended with the
//! value, together with everything it started and left behind. A server that cannot start fails the
//! test and shows its log; nothing is ever skipped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use platform::test_support::free_port;
use rustix::process::{Pid, Signal};

use super::http::http;
use super::repository::{MODEL, Repository};

/// Generous: two cores may be busy with other tests.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Longer than `--exit-timeout-secs`.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
const EXIT_TIMEOUT: &str = "--exit-timeout-secs=20";
const POLL: Duration = Duration::from_millis(20);
/// Lines of the server's log that a failure shows.
const LOG_TAIL: usize = 40;
/// Other programs may take a free port before the server does.
const ATTEMPTS: usize = 3;

/// Where `deploy/ensure-triton` has put the server; it installs one where there is none.
pub(crate) static RUNTIME: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = Command::new(project().join("deploy/ensure-triton"))
        .stderr(Stdio::inherit())
        .output()
        .expect("deploy/ensure-triton is part of the repository");
    assert!(output.status.success(), "no Triton server to test with: see the message above");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
});

/// The root of the repository.
pub(crate) fn project() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().find(|folder| folder.join("Cargo.lock").exists()).unwrap()
}

/// Runs a program to its end, which must be a good one.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {said}");
}

/// Where a server listens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) grpc: u16,
    pub(crate) metrics: u16,
}

impl Ports {
    /// Three that nobody listens on.
    pub(crate) fn free() -> Self {
        Self { http: free_port(), grpc: free_port(), metrics: free_port() }
    }
}

/// A running server. Dropping it kills it; [`terminate`](Self::terminate) asks it to end.
pub(crate) struct TritonServer {
    process: Child,
    ports: Ports,
    log: PathBuf,
    shared_memory: String,
    /// Triton's folders for packed python environments, one a server; a killed one leaves its own.
    environments: Vec<PathBuf>,
}

impl TritonServer {
    /// Serves `repository`'s model, ready when this returns. Blocks for about half a second.
    ///
    /// # Panics
    /// When the server does not become ready, with the end of its log.
    pub(crate) fn start(repository: &Repository) -> Self {
        let mut refusal = String::new();
        for _ in 0..ATTEMPTS {
            match Self::try_start(repository, Ports::free(), &[]) {
                Ok(server) => return server,
                Err(why) if why.contains("already in use") => refusal = why,
                Err(why) => panic!("{why}"),
            }
        }
        panic!("{refusal}")
    }

    /// Serves `repository`'s model where another server listened before.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub(crate) fn restart(repository: &Repository, ports: Ports) -> Self {
        Self::try_start(repository, ports, &[]).unwrap_or_else(|why| panic!("{why}"))
    }

    /// The server, or the end of the log of one that did not become ready.
    pub(crate) fn try_start(
        repository: &Repository,
        ports: Ports,
        more: &[&str],
    ) -> Result<Self, String> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let shared_memory = format!("chipq-test-{}-{number}", std::process::id());
        let log = repository.scratch().join(format!("triton-{number}.log"));
        let before = environments();
        let process = spawn(repository, ports, &log, &shared_memory, more);
        let mut server = Self { process, ports, log, shared_memory, environments: Vec::new() };
        let ends = Instant::now() + STARTS_WITHIN;
        while !server.is_ready() {
            server.environments = environments();
            server.environments.retain(|folder| !before.contains(folder));
            let exited = server.process.try_wait().unwrap();
            if exited.is_some() || Instant::now() > ends {
                let log = server.log_tail();
                return Err(format!("Triton is not ready (ended: {exited:?}); its log:\n{log}"));
            }
            std::thread::sleep(POLL);
        }
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn ports(&self) -> Ports {
        self.ports
    }

    /// The engine URL of its gRPC port.
    pub(crate) fn url(&self) -> String {
        format!("grpc://127.0.0.1:{}", self.ports.grpc)
    }

    /// Whether the server and every model that was asked for are ready, and every port is its own:
    /// metrics are served last, and a server that cannot serve them ends after it was ready.
    pub(crate) fn is_ready(&self) -> bool {
        let answers = |port, path| matches!(http(port, "GET", path, ""), Ok((200, _)));
        answers(self.ports.http, "/v2/health/ready") && answers(self.ports.metrics, "/metrics")
    }

    /// Loads what the repository's folder holds now; the error is Triton's.
    pub(crate) fn load(&self) -> Result<(), String> {
        let path = format!("/v2/repository/models/{MODEL}/load");
        match http(self.ports.http, "POST", &path, "{}").map_err(|error| error.to_string())? {
            (200, _) => Ok(()),
            (_, body) => Err(body),
        }
    }

    /// Version and state of each version that Triton knows, ascending.
    pub(crate) fn versions(&self) -> Vec<String> {
        let (_, body) = http(self.ports.http, "POST", "/v2/repository/index", "{}").unwrap();
        let index: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
        let text = |model: &serde_json::Value, key: &str| {
            model[key].as_str().map(str::to_owned).unwrap_or_default()
        };
        let known = |model: &serde_json::Value| {
            format!("{} {}", text(model, "version"), text(model, "state"))
        };
        let mut versions: Vec<_> = index.iter().map(known).collect();
        versions.sort();
        versions
    }

    /// A counter of `/metrics`, summed over the model's versions.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let (_, text) = http(self.ports.metrics, "GET", "/metrics", "").unwrap();
        let line = format!("{name}{{");
        let of_model = format!("model=\"{MODEL}\"");
        let found = text.lines().filter(|l| l.starts_with(&line) && l.contains(&of_model));
        found.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Kills the server at once, as a crash of the machine would.
    pub(crate) fn kill(mut self) -> Ports {
        self.kill_group();
        self.ports
    }

    /// Kills the python processes that run the model, and leaves the server alone.
    pub(crate) fn kill_stubs(&self) {
        let stubs = self.stubs();
        assert!(!stubs.is_empty(), "the server runs no python stub");
        for stub in stubs {
            rustix::process::kill_process(stub, Signal::KILL).unwrap();
        }
    }

    /// Asks the server to finish what it works on and to end.
    pub(crate) fn terminate(&self) {
        rustix::process::kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Waits for the end that [`terminate`](Self::terminate) asked for. How it ends says little:
    /// with clients that go on asking Triton now and then aborts when all is done.
    pub(crate) fn wait(mut self) {
        let ends = Instant::now() + ENDS_WITHIN;
        while self.process.try_wait().unwrap().is_none() {
            assert!(Instant::now() < ends, "Triton does not end:\n{}", self.log_tail());
            std::thread::sleep(POLL);
        }
    }

    /// The last lines of its log, without the tables.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().filter(|line| !line.starts_with(['|', '+'])).collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// The processes of the server's group that run python.
    fn stubs(&self) -> Vec<Pid> {
        let group = self.process.id().to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let stub = |entry: fs::DirEntry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            // pid (name) state parent group …
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let after_name = stat.rsplit_once(')')?;
            let is_stub = after_name.0.contains("(triton_python_b");
            let in_group = after_name.1.split_whitespace().nth(2) == Some(group.as_str());
            (is_stub && in_group).then(|| Pid::from_raw(pid)).flatten()
        };
        processes.filter_map(stub).collect()
    }

    fn kill_group(&mut self) {
        // The group is gone already when everything in it has ended.
        let _ = rustix::process::kill_process_group(self.pid(), Signal::KILL);
        let _ = self.process.wait();
        for entry in fs::read_dir("/dev/shm").into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&self.shared_memory) {
                let _ = fs::remove_file(entry.path());
            }
        }
        // They are empty: nothing here has a packed environment.
        self.environments.drain(..).for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// The folders that python backends have made for packed environments; their place is fixed.
fn environments() -> Vec<PathBuf> {
    let entries = fs::read_dir("/tmp").into_iter().flatten().flatten();
    let of_python = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("python_env_");
    entries.filter(|entry| of_python(&entry.file_name())).map(|entry| entry.path()).collect()
}

impl Drop for TritonServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Triton's log of the failed test:\n{}", self.log_tail());
        }
        self.kill_group();
    }
}

/// The server becomes the leader of a group with a watcher in it: when this process ends, however it
/// ends, the watcher's input ends, and it kills the group.
const WATCHED: &str =
    "exec 3<&0; (cat <&3 >&2; kill -KILL -$$) & exec 3<&-; exec \"$@\" </dev/null";

fn spawn(
    repository: &Repository,
    ports: Ports,
    log: &Path,
    shared_memory: &str,
    more: &[&str],
) -> Child {
    let log = File::create(log).unwrap();
    Command::new("sh")
        .args(["-c", WATCHED, "triton"])
        .arg(RUNTIME.join("bin/tritonserver"))
        .arg(format!("--model-repository={}", repository.path().display()))
        .args(["--model-control-mode=explicit", "--disable-auto-complete-config"])
        .arg(format!("--load-model={MODEL}"))
        .args([EXIT_TIMEOUT, "--http-address=127.0.0.1", "--grpc-address=127.0.0.1"])
        .arg("--metrics-address=127.0.0.1")
        .arg(format!("--http-port={}", ports.http))
        .arg(format!("--grpc-port={}", ports.grpc))
        .arg(format!("--metrics-port={}", ports.metrics))
        .arg(format!("--backend-config=python,shm-region-prefix-name={shared_memory}"))
        .args(more)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
