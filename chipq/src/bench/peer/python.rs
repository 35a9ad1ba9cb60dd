//! The Python service, run by uvicorn from the folder of the peers.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use reqwest::{Client, Url};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use uuid::Uuid;

use super::{PATIENCE, POLL};
use crate::bench::wrk::AskedService;
use crate::cli::BenchPeerArgs;
use crate::failure::{Failure, exit};

/// What has to be installed. uvicorn takes uvloop by itself where there is one.
const IMPORTS: &str = "import asyncpg, fastapi, httptools, orjson, uvicorn";
const WORKERS: &str = "2";

fn peer_folder(args: &BenchPeerArgs) -> PathBuf {
    args.peers.join("fastapi")
}

/// Refuses a folder without the peer, and a Python that cannot run it.
pub(super) async fn check_peer(args: &BenchPeerArgs) -> Result<(), Failure> {
    let folder = peer_folder(args);
    if !folder.join("service.py").is_file() {
        return Err(Failure::new(
            format_args!("there is no fastapi/service.py in {}", args.peers.display()),
            "name the folder chipq/lab/peers of the source with --peers DIR",
            exit::NO_INPUT,
        ));
    }
    let imported = Command::new(&args.python).args(["-c", IMPORTS]).output().await;
    let why = match imported {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            said.lines().next_back().unwrap_or("it does not say why").to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(Failure::new(
        format_args!("{} cannot run the peer: {why}", args.python.display()),
        format_args!(
            "python3 -m venv DIR && DIR/bin/pip install -r {}, then name it: --python DIR/bin/python",
            folder.join("requirements.txt").display(),
        ),
        exit::UNAVAILABLE,
    ))
}

/// The peer with its workers, a group of processes that ends when it is dropped.
pub(super) struct PythonPeer {
    process: Child,
    group: Pid,
    service: AskedService,
    about: String,
}

impl PythonPeer {
    /// Starts it on a free port and waits until it answers.
    pub(super) async fn start(
        args: &BenchPeerArgs,
        database: &Url,
        http: &Client,
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
        let token = Uuid::new_v4().simple().to_string();
        let process = Command::new(&args.python)
            .args(["-m", "uvicorn", "service:app", "--workers", WORKERS])
            .args(["--no-access-log", "--log-level", "warning"])
            .args(["--host", "127.0.0.1", "--port", &port, "--app-dir"])
            .arg(peer_folder(args))
            .env("PEER_DATABASE_URL", database.as_str())
            .env("PEER_TOKEN", &token)
            // Nothing is left in the folder.
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", args.python.display()))?;
        let group = process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        let group = group.context("the peer ended at once")?;
        let service = AskedService { base: format!("http://127.0.0.1:{port}"), token };
        // From here on it ends with us.
        let mut peer = Self { process, group, service, about: String::new() };
        peer.about = peer.wait_until_ready(http).await?;
        Ok(peer)
    }

    /// What it says of itself once it answers.
    async fn wait_until_ready(&mut self, http: &Client) -> anyhow::Result<String> {
        let url = format!("{}/readyz", self.service.base);
        let begun = Instant::now();
        loop {
            if let Ok(answer) = http.get(&url).send().await
                && answer.status().is_success()
            {
                return Ok(format!("{}, {WORKERS} workers", answer.text().await?));
            }
            if let Some(status) = self.process.try_wait()? {
                bail!("the peer ended with {status} before it was ready; its messages are above");
            }
            let seconds = PATIENCE.as_secs();
            ensure!(begun.elapsed() < PATIENCE, "the peer was not ready in {seconds} s");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Where it is.
    pub(super) fn service(&self) -> &AskedService {
        &self.service
    }

    /// Its programs and their versions.
    pub(super) fn about(&self) -> &str {
        &self.about
    }
}

impl Drop for PythonPeer {
    /// With its workers, which serve on when only the first process is killed.
    fn drop(&mut self) {
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(python: &str, peers: &str) -> BenchPeerArgs {
        BenchPeerArgs {
            python: python.into(),
            peers: peers.into(),
            connections: vec![1],
            seconds: 1,
            rounds: 1,
            json: false,
        }
    }

    #[tokio::test]
    async fn what_is_missing_is_named_with_how_to_get_it() {
        let failure = check_peer(&args("python3", "/nowhere")).await.unwrap_err();
        assert!(failure.next.contains("--peers"), "{failure}");
        let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/lab/peers");
        let failure = check_peer(&args("/nowhere/python", peers)).await.unwrap_err();
        assert!(failure.what.contains("/nowhere/python cannot run the peer"), "{failure}");
        assert!(failure.next.contains("requirements.txt"), "{failure}");
    }
}
