//! One running server process: launched by us, or adopted.
//!
//! Invariant: a server that we hold ends with us, however we end, unless it is stopped or let go before.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::process::{Child, Command};

use super::pid_file::{PidFile, is_there};
use super::{EmbeddedPostgresError, Purpose};

/// How often a server that is not our child is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// How often one that was told to end is looked at.
const END_LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a server may take to end in good order, its last checkpoint included.
const END_LIMIT: Duration = Duration::from_secs(30);
/// The same where nobody waits for it any more, such as after a failed start.
const DROP_LIMIT: Duration = Duration::from_secs(10);
/// How long one that did not may take to end without order: its next start recovers.
const QUIT_LIMIT: Duration = Duration::from_secs(10);
/// The longest log that is kept across a start, in bytes.
const LOG_MAX_BYTES: u64 = 8 << 20;
/// Where PostgreSQL shares memory among its processes.
const SHARED_MEMORY: &str = "/dev/shm";

/// A server process of a cluster.
#[derive(Debug)]
pub(super) struct Server {
    pid: Pid,
    port: u16,
    cluster: PathBuf,
    /// `None` when it was adopted.
    child: Option<Child>,
    /// Whether it ends when this is dropped.
    is_held: bool,
}

impl Server {
    /// One that runs already.
    pub(super) fn adopted(pid: Pid, port: u16, cluster: PathBuf) -> Self {
        Self { pid, port, cluster, child: None, is_held: true }
    }

    /// Spawns the server that `command` begins in a process group of its own, so that Ctrl-C on our terminal
    /// reaches it through us only, and with its output in a file, which nobody has to read.
    pub(super) fn spawn(
        mut command: Command,
        port: u16,
        cluster: PathBuf,
        log: File,
    ) -> Result<Self, EmbeddedPostgresError> {
        let program = PathBuf::from(command.as_std().get_program());
        let failed = EmbeddedPostgresError::io;
        let copy = log.try_clone().map_err(failed(&program))?;
        command.stdin(Stdio::null()).stdout(log).stderr(copy).process_group(0);
        let child = command.spawn().map_err(failed(&program))?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| failed(&program)(std::io::ErrorKind::NotFound.into()))?;
        Ok(Self { pid, port, cluster, child: Some(child), is_held: true })
    }

    pub(super) const fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// How a server of ours ended, if it has.
    pub(super) fn exit_status(&mut self) -> Result<Option<ExitStatus>, EmbeddedPostgresError> {
        let Some(child) = &mut self.child else { return Ok(None) };
        child.try_wait().map_err(EmbeddedPostgresError::io(&self.cluster))
    }

    /// Waits until it has died.
    pub(super) async fn wait_for_death(&mut self) {
        if let Some(child) = &mut self.child {
            // An error here means that it is no longer our child: dead as well.
            let _ = child.wait().await;
            return;
        }
        while !has_ended(self.pid, &self.cluster) && is_listened_to(self.port) {
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Lets it run on after us.
    pub(super) fn let_go(mut self) {
        self.is_held = false;
    }

    /// Ends it in good order: sessions are ended, everything is on the disk.
    ///
    /// # Errors
    /// When it does not end within its time, and then not without order either.
    pub(super) async fn stop(mut self) -> Result<(), EmbeddedPostgresError> {
        self.is_held = false;
        for (signal, limit) in [(Signal::INT, END_LIMIT), (Signal::QUIT, QUIT_LIMIT)] {
            let deadline = Instant::now() + limit;
            let _ = kill_process(self.pid, signal);
            while Instant::now() < deadline {
                if has_ended(self.pid, &self.cluster) {
                    if let Some(child) = &mut self.child {
                        let _ = child.wait().await;
                    }
                    return Ok(());
                }
                tokio::time::sleep(END_LOOK_EVERY).await;
            }
            tracing::warn!(pid = self.pid.as_raw_nonzero(), "the private PostgreSQL does not end");
        }
        Err(EmbeddedPostgresError::DoesNotEnd { pid: self.pid.as_raw_nonzero().get() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_held {
            end_now(self.pid, &self.cluster);
        }
    }
}

/// Ends a server from wherever we are, and waits for it: whoever comes next may remove its folder.
pub(super) fn end_now(pid: Pid, cluster: &Path) {
    for (signal, limit) in [(Signal::INT, DROP_LIMIT), (Signal::QUIT, QUIT_LIMIT)] {
        let deadline = Instant::now() + limit;
        let _ = kill_process(pid, signal);
        while Instant::now() < deadline {
            if has_ended(pid, cluster) {
                return;
            }
            std::thread::sleep(END_LOOK_EVERY);
        }
    }
}

/// Whether a server of ours has ended. One of somebody else's that nobody waits for keeps its number; but the
/// last that a server does is to remove its file.
fn has_ended(pid: Pid, cluster: &Path) -> bool {
    match waitpid(Some(pid), WaitOptions::NOHANG) {
        Ok(Some(_)) => true,
        Ok(None) => false,
        Err(_) => !is_there(pid) || !PidFile::names(cluster, pid),
    }
}

/// Whether anybody listens at the port. A connection that says nothing leaves no trace in PostgreSQL's log.
fn is_listened_to(port: u16) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
    !TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err_and(|error| refused(&error))
}

/// The settings that every server of ours is started with.
pub(super) fn server_settings(purpose: Purpose) -> Vec<(&'static str, &'static str)> {
    let mut settings = vec![
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("password_encryption", "scram-sha-256"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("log_line_prefix", "%m [%p] %a "),
        ("log_checkpoints", "off"),
        ("shared_buffers", "64MB"),
        ("jit", "off"),
        ("max_wal_size", "512MB"),
        ("checkpoint_completion_target", "0.9"),
    ];
    if cfg!(target_os = "linux") {
        // After a kill, one call flushes the folder instead of one per file (seconds on slow
        // disks).
        settings.push(("recovery_init_sync_method", "syncfs"));
        // initdb has written down what there was when the folder was made.
        if access(SHARED_MEMORY, Access::WRITE_OK).is_err() {
            settings.push(("dynamic_shared_memory_type", "mmap"));
        }
    }
    settings.extend(match purpose {
        Purpose::Serving => {
            [("max_connections", "100"), ("max_prepared_transactions", "0")].as_slice()
        }
        Purpose::Testing => [
            ("max_connections", "300"),
            ("max_prepared_transactions", "4"),
            ("fsync", "off"),
            ("full_page_writes", "off"),
            ("synchronous_commit", "off"),
            ("wal_level", "minimal"),
            ("max_wal_senders", "0"),
        ]
        .as_slice(),
    });
    settings
}

/// Opens the log to append, after emptying one that has grown too long; and where this start's part of it begins.
pub(super) fn open_log(path: &Path) -> Result<(File, u64), EmbeddedPostgresError> {
    let failed = EmbeddedPostgresError::io;
    let file = File::options().create(true).append(true).mode(0o600).open(path);
    let file = file.map_err(failed(path))?;
    let length = file.metadata().map_err(failed(path))?.len();
    if length <= LOG_MAX_BYTES {
        return Ok((file, length));
    }
    file.set_len(0).map_err(failed(path))?;
    Ok((file, 0))
}

/// What was written to the log from `offset` on.
pub(super) fn read_log(path: &Path, offset: u64) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let offset = usize::try_from(offset).unwrap_or(0).min(text.len());
    String::from_utf8_lossy(&text[offset..]).into_owned()
}

/// A port of 127.0.0.1 that is free now: `preferred` if it is, else any.
pub(super) fn free_port(preferred: Option<u16>) -> std::io::Result<u16> {
    if let Some(port) = preferred
        && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
    {
        return Ok(port);
    }
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
