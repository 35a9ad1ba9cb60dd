//! `chipq up` as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::up::READY;

/// How long a platform may take to get ready, and to finish.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often one that was told to finish is looked at where nobody can wait for it.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A platform that serves from a folder.
pub(super) struct PlatformProcess {
    process: tokio::process::Child,
    pid: u32,
    url: String,
    data: PathBuf,
    is_stopped: bool,
}

impl PlatformProcess {
    /// Starts it on a free port and waits until it is ready.
    pub(super) async fn start(data: &Path) -> anyhow::Result<Self> {
        let mut process = tokio::process::Command::new(std::env::current_exe()?)
            .args(["--log", "warn", "up", "--demo", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .env_remove("DATABASE_URL")
            .env_remove("CHIPQ_DATABASE_URL")
            // What is offered must not be turned away by the limit for a single station.
            .env("CHIPQ_RATE_PER_SECOND", "100000")
            .env("CHIPQ_RATE_BURST", "100000")
            .env("CHIPQ_TOKEN_RATE_BURST", "10000")
            .env("CHIPQ_READ_RATE_PER_SECOND", "100000")
            .env("CHIPQ_READ_RATE_BURST", "100000")
            .stdout(Stdio::piped())
            .spawn()?;
        let pid = process.id().context("the platform ended at once")?;
        let stdout = process.stdout.take().context("no output of the platform")?;
        let mut lines = BufReader::new(stdout).lines();
        // From here on it ends with us.
        let (data, url) = (data.to_owned(), String::new());
        let mut platform = Self { process, pid, url, data, is_stopped: false };
        let ready = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(url) = line.strip_prefix(READY) {
                    return Ok(url.trim().to_owned());
                }
            }
            bail!("the platform ended before it was ready; its messages are above")
        };
        platform.url = tokio::time::timeout(PATIENCE, ready)
            .await
            .map_err(|_| anyhow!("the platform was not ready in {} s", PATIENCE.as_secs()))??;
        // Whatever else it prints is read, so that it never waits for us.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(platform)
    }

    fn ask_to_finish(&self) -> Option<Pid> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw)?;
        kill_process(pid, Signal::TERM).ok().map(|()| pid)
    }

    /// Its process number.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it serves.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The folder that it serves from.
    pub(super) fn data_folder(&self) -> &Path {
        &self.data
    }

    /// Asks it to finish and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        self.ask_to_finish().context("it has ended by itself")?;
        self.is_stopped = true;
        let status = tokio::time::timeout(PATIENCE, self.process.wait()).await??;
        if status.success() { Ok(()) } else { bail!("the platform ended with {status}") }
    }
}

impl Drop for PlatformProcess {
    /// With its PostgreSQL, which a process that is killed leaves running; the folder is removed next.
    fn drop(&mut self) {
        if self.is_stopped {
            return;
        }
        let Some(pid) = self.ask_to_finish() else { return };
        let deadline = Instant::now() + PATIENCE;
        while matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None))
            && Instant::now() < deadline
        {
            std::thread::sleep(LOOK_EVERY);
        }
    }
}
