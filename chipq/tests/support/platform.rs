//! `chipq up` as a process of its own, to be used, stopped in order, or killed.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The executable under test.
pub(crate) const CHIPQ: &str = env!("CARGO_BIN_EXE_chipq");
/// How long the platform may take to get ready or to finish: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
const READY: &str = "chipq is ready at ";

/// A folder that PostgreSQL's own account can enter, also when the tests run as root.
pub(crate) fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A `chipq` that knows no database but its own.
pub(crate) fn chipq(arguments: &[&str]) -> Command {
    let mut command = chipq_at(Path::new(CHIPQ));
    command.args(arguments);
    command
}

/// Another copy of the executable, that knows no database but its own either.
pub(crate) fn chipq_at(executable: &Path) -> Command {
    let mut command = Command::new(executable);
    command.env_remove("CHIPQ_DATA").env_remove("CHIPQ_LOG");
    command.env_remove("DATABASE_URL").env_remove("CHIPQ_DATABASE_URL");
    command
}

/// What a finished command said and how it ended.
pub(crate) fn finished(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// A platform that serves from a folder.
pub(crate) struct Platform {
    process: Child,
    data: PathBuf,
    pub(crate) url: String,
}

impl Platform {
    /// Starts it on any free port.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_on(data, 0)
    }

    /// Starts it on this port.
    pub(crate) fn start_on(data: &Path, port: u16) -> Self {
        Self::start_with(data, port, &[])
    }

    /// Starts it with more in its environment, and waits until it is ready.
    pub(crate) fn start_with(data: &Path, port: u16, environment: &[(&str, &str)]) -> Self {
        Self::start_by(chipq(&[]), data, port, environment)
    }

    /// Starts it by a command that ends in `chipq`.
    pub(crate) fn start_by(
        mut command: Command,
        data: &Path,
        port: u16,
        environment: &[(&str, &str)],
    ) -> Self {
        let listen = format!("127.0.0.1:{port}");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data.with_extension("log"))
            .unwrap();
        let mut process = command
            .args(["up", "--listen", &listen, "--data"])
            .arg(data)
            .env("CHIPQ_DEMO", "1")
            .env("CHIPQ_TOKEN_RATE_BURST", "10000")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (found, url) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(url) = line.strip_prefix(READY) {
                    let _ = found.send(url.to_owned());
                }
            }
        });
        let url = url.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(data.with_extension("log")).unwrap_or_default();
            panic!("the platform was not ready in time; it said:\n{log}")
        });
        Self { process, data: data.to_owned(), url }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Kills it as `kill -9` does: it gets no chance to do anything.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to finish, and insists that it ends well.
    pub(crate) fn stop(self) {
        self.stop_by("-TERM");
    }

    /// The same, by this signal.
    pub(crate) fn stop_by(mut self, signal: &str) {
        send(signal, self.process.id());
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "the platform does not finish");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "the platform ended with {status}");
        assert_eq!(postmaster(&self.data), None, "PostgreSQL was left running");
    }
}

impl Drop for Platform {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        if self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            send("-TERM", self.process.id());
            let _ = self.process.wait();
        }
        if std::thread::panicking() {
            stop_postgres(&self.data);
        }
    }
}

/// Sends a signal to a process.
pub(crate) fn send(signal: &str, pid: u32) {
    let _ = Command::new("kill").args([signal, &pid.to_string()]).status();
}

/// The process number of the private PostgreSQL, when it runs.
pub(crate) fn postmaster(data: &Path) -> Option<u32> {
    let file = data.join("postgres/cluster/postmaster.pid");
    let pid = std::fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()?;
    Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
}

/// Ends the private PostgreSQL of a platform that was killed.
pub(crate) fn stop_postgres(data: &Path) {
    if let Some(pid) = postmaster(data) {
        send("-INT", pid);
    }
}
