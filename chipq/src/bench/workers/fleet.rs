//! A private database, a command API and as many workers as wanted, each a process of its own.

use std::collections::HashSet;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use platform::event_log::EventLog;
use platform::postgres::Pool;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use uuid::Uuid;

use crate::cli::BenchWorkersArgs;
use crate::demo::lot::Lot;
use crate::http_client::{HttpClient, Label, Patience, PictureFile};
use crate::installation::{Installation, InstallationArgs};
use crate::temporary::TemporaryFolder;

/// How long a process may take to get ready, and to finish.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
/// Different pictures that are handed over again and again.
const PICTURES: usize = 16;
/// Boards that are handed over at a time.
const STATIONS: usize = 4;
const SEED: u64 = 11;

pub(super) struct WorkerFleet {
    folder: TemporaryFolder,
    installation: Installation,
    pool: Pool,
    log: Arc<dyn EventLog>,
    commands: WorkerProcess,
    client: Arc<HttpClient>,
    pictures: Vec<Arc<PictureFile>>,
    part: String,
    database: String,
    engine: String,
    lease_ms: u64,
}

impl WorkerFleet {
    /// Starts everything but the workers, and registers the part.
    pub(super) async fn start(args: &BenchWorkersArgs) -> anyhow::Result<Self> {
        let folder = TemporaryFolder::new("bench-workers")?;
        let data = folder.path().join("data");
        let config = InstallationArgs::private(data);
        let installation = Installation::open(&config).await?;
        let foundation = installation.open_foundation().await?;
        let (pool, log) = (foundation.pool().clone(), foundation.log());
        let database =
            std::fs::read_to_string(installation.data_dir().join("private-postgres-url"))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = role_command("command-api", &installation, &database)?;
        command.args(["--listen", &address, "--demo"]);
        command.env("CHIPQ_RATE_PER_SECOND", "100000").env("CHIPQ_RATE_BURST", "100000");
        let commands = WorkerProcess::start(command)?;
        let client = HttpClient::sign_in(&format!("http://{address}"), Patience(PATIENCE)).await?;
        let lot = Lot::generated(PICTURES, SEED);
        let part = "BENCH".to_owned();
        client.register_part(&part, &lot.parts[0].1.load().await?.0, &part).await?;
        let mut pictures = Vec::new();
        for board in &lot.boards {
            pictures.push(Arc::new(board.load().await?.0));
        }
        let (engine, lease_ms) = (args.engine.to_string(), args.lease_ms);
        let client = Arc::new(client);
        Ok(Self {
            folder,
            installation,
            pool,
            log,
            commands,
            client,
            pictures,
            part,
            database,
            engine,
            lease_ms,
        })
    }

    pub(super) fn log(&self) -> &Arc<dyn EventLog> {
        &self.log
    }

    /// Hands `count` boards over; their inspections.
    pub(super) async fn submit_boards(&self, count: usize) -> anyhow::Result<HashSet<String>> {
        let run = Uuid::new_v4().simple().to_string();
        let one = |n: usize| {
            let (client, part) = (Arc::clone(&self.client), self.part.clone());
            let (picture, run) = (Arc::clone(&self.pictures[n % PICTURES]), run.clone());
            async move {
                let key = format!("{run}-{n}");
                let label = Label { lot: "BENCH", part: &part, station: "BENCH-1", key: &key };
                client.submit(label, &picture).await
            }
        };
        use futures::{StreamExt as _, TryStreamExt as _};
        let submitted = futures::stream::iter((0..count).map(one)).buffer_unordered(STATIONS);
        submitted.map_ok(|submitted| submitted.inspection_id.to_string()).try_collect().await
    }

    /// Starts `count` workers.
    pub(super) fn start_workers(&self, count: usize) -> anyhow::Result<Vec<WorkerProcess>> {
        let start = |_| {
            let mut command = role_command("inference-worker", &self.installation, &self.database)?;
            command.env("CHIPQ_ENGINE", &self.engine);
            command.env("CHIPQ_WORKER_LEASE_MS", self.lease_ms.to_string());
            WorkerProcess::start(command)
        };
        (0..count).map(start).collect()
    }

    /// The worker that holds every lease, as soon as there is one.
    pub(super) async fn only_owner(&self, limit: Duration) -> anyhow::Result<Uuid> {
        let begun = Instant::now();
        loop {
            if let [only] = self.lease_owners().await?.as_slice() {
                return Ok(*only);
            }
            ensure!(begun.elapsed() < limit, "the first worker takes no lease");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until so many workers hold leases, none more than one less than another; the database's
    /// time then.
    pub(super) async fn shared_by(
        &self,
        workers: usize,
        limit: Duration,
    ) -> anyhow::Result<DateTime<Utc>> {
        let shares = "SELECT clock_timestamp(), count(*), coalesce(max(held) - min(held), 0)
                      FROM (SELECT count(*) AS held FROM follower_leases
                            WHERE owner IS NOT NULL AND expires_at > now() GROUP BY owner) AS shares";
        let begun = Instant::now();
        loop {
            let (now, owners, apart): (_, i64, i64) =
                sqlx::query_as(shares).fetch_one(&self.pool).await?;
            if usize::try_from(owners)? == workers && apart <= 1 {
                return Ok(now);
            }
            ensure!(begun.elapsed() < limit, "the leases are not shared by {workers} workers");
            tokio::time::sleep(POLL).await;
        }
    }

    async fn lease_owners(&self) -> anyhow::Result<Vec<Uuid>> {
        let owners = "SELECT DISTINCT owner FROM follower_leases
                      WHERE owner IS NOT NULL AND expires_at > now()";
        Ok(sqlx::query_scalar(owners).fetch_all(&self.pool).await?)
    }

    /// How many leases are a worker's, whether or not they have run out.
    pub(super) async fn held_by(&self, worker: Uuid) -> anyhow::Result<i64> {
        let held = sqlx::query_scalar("SELECT count(*) FROM follower_leases WHERE owner = $1");
        Ok(held.bind(worker).fetch_one(&self.pool).await?)
    }

    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let stopped = self.commands.stop().await;
        self.pool.close().await;
        self.installation.close().await?;
        drop(self.folder);
        stopped
    }
}

fn role_command(
    name: &str,
    installation: &Installation,
    database: &str,
) -> anyhow::Result<Command> {
    let program: PathBuf = std::env::current_exe()?;
    let mut command = Command::new(program);
    command
        .args(["--log", "warn", name])
        .env("CHIPQ_DATABASE_URL", database)
        .env("CHIPQ_DATA", installation.data_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Ok(command)
}

/// A role in a process of its own; killed when dropped.
pub(super) struct WorkerProcess(Child);

impl WorkerProcess {
    fn start(mut command: Command) -> anyhow::Result<Self> {
        Ok(Self(command.kill_on_drop(true).spawn()?))
    }

    /// Kills it as `kill -9` does.
    pub(super) async fn kill_process(mut self) -> anyhow::Result<()> {
        Ok(self.0.kill().await?)
    }

    /// Asks it to finish and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.0.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        kill_process(pid.context("a role has ended already")?, Signal::TERM)?;
        let status = tokio::time::timeout(PATIENCE, self.0.wait()).await??;
        ensure!(status.success(), "a role ended with {status}");
        Ok(())
    }
}
