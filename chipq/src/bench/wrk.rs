//! wrk, which sends requests over HTTP, and what it sends.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use uuid::Uuid;

use crate::failure::{Failure, exit};

/// How long read models may take to catch up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether they have.
const POLL: Duration = Duration::from_millis(100);
/// The program that sends requests.
const WRK: &str = "wrk";
/// Threads that send them, where there are so many connections.
const THREADS: u32 = 2;
/// Rows of the page that is read.
const PAGE: usize = 20;
const INSPECTIONS: &str = "/v1/inspections";

/// Refuses to go on without wrk.
pub(super) fn check_wrk() -> Result<(), Failure> {
    if find_program(WRK, None).is_some() {
        return Ok(());
    }
    Err(Failure::new(
        "wrk, which sends the requests, is not on the PATH",
        "install it: sudo apt-get install wrk (Debian, Ubuntu) or brew install wrk (macOS)",
        exit::UNAVAILABLE,
    ))
}

/// The program in the folder `first`, else on the PATH.
pub(super) fn find_program(name: &str, first: Option<PathBuf>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = first.into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// What a program says, which has to succeed.
pub(super) async fn read_output(program: &Path, command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let Output { status, stdout, stderr } =
        output.with_context(|| format!("cannot run {}", program.display()))?;
    let said = String::from_utf8_lossy(&stdout).into_owned();
    let complaint = String::from_utf8_lossy(&stderr);
    let program = program.display();
    ensure!(status.success(), "{program} ended with {status}: {said} {complaint}");
    Ok(said)
}

/// One of the two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WrkRequest {
    /// Open an inspection, with a fresh key.
    Create,
    /// Read the newest inspections.
    List,
}

impl WrkRequest {
    /// Both.
    pub(super) const ALL: [Self; 2] = [Self::Create, Self::List];

    /// Its method, by which a figure names it.
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Create => "POST",
            Self::List => "GET",
        }
    }

    /// The script in the folder of the peers that sends it.
    fn script(self) -> &'static str {
        match self {
            Self::Create => "fresh-key.lua",
            Self::List => "get.lua",
        }
    }

    fn path_and_query(self) -> String {
        match self {
            Self::Create => INSPECTIONS.to_owned(),
            Self::List => format!("{INSPECTIONS}?limit={PAGE}"),
        }
    }
}

/// What wrk saw, as `report.lua` writes it.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct WrkRun {
    requests: f64,
    duration_us: f64,
    p50_us: f64,
    p99_us: f64,
    /// Answers from 400 on.
    refused: u64,
    /// Connections that failed.
    broken: u64,
    /// Requests that were not answered in time.
    late: u64,
}

impl WrkRun {
    /// The only line of JSON among wrk's words. What was not done costs next to nothing: it must not count.
    fn parse(said: &str) -> anyhow::Result<Self> {
        let line = said.lines().find(|line| line.starts_with('{'));
        let line = line.with_context(|| format!("wrk measured nothing; it said: {said}"))?;
        let run: Self = serde_json::from_str(line)?;
        ensure!(
            run.requests > 0.0 && run.refused + run.broken + run.late == 0,
            "of {} requests {} were refused, {} were broken off and {} were not answered in time",
            run.requests,
            run.refused,
            run.broken,
            run.late,
        );
        Ok(run)
    }

    /// Answers a second.
    pub(super) fn per_second(&self) -> f64 {
        self.requests / (self.duration_us / 1e6)
    }

    /// How long half of them took at most.
    pub(super) fn p50_ms(&self) -> f64 {
        self.p50_us / 1e3
    }

    /// How long all but a hundredth took at most.
    pub(super) fn p99_ms(&self) -> f64 {
        self.p99_us / 1e3
    }
}

/// Where a service is, and a token that it believes.
#[derive(Debug, Clone)]
pub(super) struct AskedService {
    pub(super) base: String,
    pub(super) token: String,
}

impl AskedService {
    /// The platform at `base`, as its demo user.
    pub(super) async fn sign_in(base: &str, http: &Client) -> anyhow::Result<Self> {
        let form = [("grant_type", "password"), ("username", "demo"), ("password", "demo")];
        let answer = http.post(format!("{base}/v1/token")).form(&form).send().await?;
        let granted: Value = answer.error_for_status()?.json().await?;
        let token = granted["access_token"].as_str().context("the platform grants no token")?;
        Ok(Self { base: base.to_owned(), token: token.to_owned() })
    }

    /// Sends `request` on so many connections for so long.
    pub(super) async fn load(
        &self,
        scripts: &Path,
        request: WrkRequest,
        connections: u32,
        seconds: u64,
    ) -> anyhow::Result<WrkRun> {
        let mut command = Command::new(WRK);
        command
            .args(["-t", &connections.min(THREADS).to_string(), "-c", &connections.to_string()])
            .args(["-d", &format!("{seconds}s"), "--timeout", "30s", "-s"])
            .arg(scripts.join(request.script()))
            .arg(format!("{}{}", self.base, request.path_and_query()))
            .env("BEARER_TOKEN", &self.token)
            .env("KEY_PREFIX", Uuid::new_v4().simple().to_string());
        WrkRun::parse(&read_output(Path::new(WRK), &mut command).await?)
    }

    /// Refuses a service whose list is too short for a page: the other would have more to read.
    pub(super) async fn check_page(&self, http: &Client) -> anyhow::Result<()> {
        let url = format!("{}{}", self.base, WrkRequest::List.path_and_query());
        let answer = self.as_caller(http.get(url)).send().await?.error_for_status()?;
        let page: Value = answer.json().await?;
        let rows = page["items"].as_array().map_or(0, Vec::len);
        ensure!(rows == PAGE, "{} answers a page of {rows} inspections", self.base);
        Ok(())
    }

    /// Waits until everything that was created can be read: what is still to do would fall on who is asked next.
    pub(super) async fn wait_until_read(&self, http: &Client) -> anyhow::Result<()> {
        let url = format!("{}{INSPECTIONS}", self.base);
        let created = self
            .as_caller(http.post(&url))
            .header("Idempotency-Key", Uuid::new_v4().to_string())
            .json(&json!({ "lot": "BENCH", "part": "BENCH", "station": "BENCH-1" }));
        let created = created.send().await?.error_for_status()?;
        let position = created.headers().get("x-log-position").context("no X-Log-Position")?;
        let query = [("limit", "1"), ("min_position", position.to_str()?)];
        let begun = Instant::now();
        loop {
            let status = self.as_caller(http.get(&url)).query(&query).send().await?.status();
            if status.is_success() {
                return Ok(());
            }
            let seconds = PATIENCE.as_secs();
            ensure!(begun.elapsed() < PATIENCE, "no read model after {seconds} s ({status})");
            tokio::time::sleep(POLL).await;
        }
    }

    fn as_caller(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(&self.token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_from_its_line_and_fails_with_any_request_that_was_not_answered() {
        let said = |refused: u32| {
            format!(
                "Running 3s test @ http://127.0.0.1:1\n  2 threads and 64 connections\n{{\"requests\":400,\
                 \"duration_us\":2000000,\"p50_us\":4500,\"p99_us\":9000,\"refused\":{refused},\
                 \"broken\":0,\"late\":0}}\n"
            )
        };
        let run = WrkRun::parse(&said(0)).unwrap();
        assert_eq!((run.per_second(), run.p50_ms(), run.p99_ms()), (200.0, 4.5, 9.0));
        let error = WrkRun::parse(&said(3)).unwrap_err().to_string();
        assert!(error.contains("3 were refused"), "{error}");
        assert!(WrkRun::parse("unable to connect").is_err());
    }
}
