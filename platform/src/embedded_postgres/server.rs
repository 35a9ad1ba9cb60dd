//! One running server process: launched by us, or adopted.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use super::pid_file::{Occupant, find_occupant};
use super::{EmbeddedPostgresError, Purpose};

/// How often a server that is not our child is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(500);
/// The longest log that is kept across a start, in bytes.
const LOG_MAX_BYTES: u64 = 8 << 20;
/// How much of the log an error quotes, in lines.
const LOG_LINES: usize = 5;

/// A server that answered.
#[derive(Debug)]
pub(super) struct Server {
    port: u16,
    /// `None` when it was adopted.
    child: Option<Child>,
}

impl Server {
    pub(super) fn new(port: u16, child: Option<Child>) -> Self {
        Self { port, child }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until it has died.
    pub(super) async fn wait_for_death(&mut self, cluster: &Path) {
        if let Some(child) = &mut self.child {
            // An error here means that it is no longer our child: dead as well.
            let _ = child.wait().await;
            return;
        }
        while matches!(find_occupant(cluster), Occupant::Server(_)) {
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// Lets the system forget a child that was stopped.
    pub(super) async fn reap_child(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = tokio::time::timeout(Duration::from_secs(10), child.wait()).await;
        }
    }
}

/// Spawns the server that `command` begins in a process group of its own, so that Ctrl-C on our terminal
/// reaches it through us only, and with its output in a file, so that it can outlive us.
pub(super) fn spawn(
    mut command: Command,
    purpose: Purpose,
    log_path: &Path,
) -> Result<Child, EmbeddedPostgresError> {
    let log = open_log(log_path)?;
    let copy = log.try_clone().map_err(EmbeddedPostgresError::io(log_path))?;
    for (name, value) in server_settings(purpose) {
        command.arg("-c").arg(format!("{name}={value}"));
    }
    command.stdin(Stdio::null()).stdout(log).stderr(copy).process_group(0);
    let program = PathBuf::from(command.as_std().get_program());
    command.spawn().map_err(EmbeddedPostgresError::io(&program))
}

fn server_settings(purpose: Purpose) -> Vec<(&'static str, &'static str)> {
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

/// Opens the log to append, after emptying one that has grown too long.
fn open_log(path: &Path) -> Result<File, EmbeddedPostgresError> {
    let failed = EmbeddedPostgresError::io;
    let file = File::options().create(true).append(true).mode(0o600).open(path);
    let file = file.map_err(failed(path))?;
    if file.metadata().is_ok_and(|found| found.len() > LOG_MAX_BYTES) {
        file.set_len(0).map_err(failed(path))?;
    }
    Ok(file)
}

/// What was written to the log from `offset` on: its last lines.
pub(super) fn log_tail(path: &Path, offset: u64) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let offset = usize::try_from(offset).unwrap_or(0).min(text.len());
    let text = String::from_utf8_lossy(&text[offset..]).into_owned();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

/// A port of 127.0.0.1 that is free now: `preferred` if it is, else any.
pub(super) fn free_port(preferred: Option<u16>) -> std::io::Result<u16> {
    if let Some(port) = preferred
        && TcpListener::bind(("127.0.0.1", port)).is_ok()
    {
        return Ok(port);
    }
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
