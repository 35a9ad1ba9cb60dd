//! The platform against a Python service that does the same work: commands and reads a second and how long they
//! take, on one PostgreSQL server, in turns within one run.
//!
//! wrk sends the same to both. How often the same server commits single rows is measured beside them: a limit for
//! whoever commits each command by itself.

mod python;
mod series;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::Client;

use super::child::PlatformProcess;
use super::figures::Figures;
use super::print;
use super::private_server::SharedServer;
use super::wrk::{self, AskedService, WrkRequest, WrkRun};
use crate::cli::BenchPeerArgs;
use crate::machine::Machine;
use crate::temporary::TemporaryFolder;
use python::PythonPeer;
use series::{DuelRound, Series};

/// How long the peer may take to get ready.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is looked whether it is.
const POLL: Duration = Duration::from_millis(100);
/// Seconds that each is asked before anything counts; its list is filled meanwhile.
const WARM_UP_S: u64 = 2;

/// Measures on a private platform in a temporary folder.
pub(super) async fn run(args: BenchPeerArgs) -> anyhow::Result<ExitCode> {
    python::check_peer(&args).await?;
    wrk::check_wrk()?;
    let folder = TemporaryFolder::new("bench-peer")?;
    let mut figures = Figures::new(Machine::this());
    let child = PlatformProcess::start(folder.path()).await?;
    let outcome = measure(&args, &child, &mut figures).await;
    child.stop().await?;
    outcome?;
    print(args.json, &figures)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    args: &BenchPeerArgs,
    child: &PlatformProcess,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let server = SharedServer::prepare(child.data_folder()).await?;
    let http = Client::builder().no_proxy().build()?;
    let peer = PythonPeer::start(args, server.peer_url(), &http).await?;
    let duel = Duel { args, http, platform: child.url().to_owned(), peer };
    duel.warm_up().await?;
    let mut series = Series::for_each_setting(&args.connections);
    let mut commits = Vec::new();
    for round in 1..=args.rounds {
        errln!("round {round} of {} ...", args.rounds);
        for series in &mut series {
            let measured = duel.measure_round(series.request, series.connections, round % 2 == 1);
            series.rounds.push(measured.await?);
        }
        commits.extend(server.count_commits(args.seconds).await?);
    }
    let how = format!(
        "wrk, {} rounds of {} s each in turns, median (least–most); the peer: {}",
        args.rounds,
        args.seconds,
        duel.peer.about(),
    );
    for series in &series {
        series.add_figures(&how, figures);
    }
    add_limit(&series, &commits, figures);
    Ok(())
}

/// What most connections reach of the commits that the server can do.
fn add_limit(series: &[Series], commits: &[f64], figures: &mut Figures) {
    let commands = series.iter().filter(|series| series.request == WrkRequest::Create);
    match commands.max_by_key(|series| series.connections) {
        Some(most) if !commits.is_empty() => figures.add(most.limit_figure(commits)),
        _ => errln!("pgbench is not installed: how often the server commits is not measured"),
    }
}

/// Both services, and who asks them.
struct Duel<'a> {
    args: &'a BenchPeerArgs,
    http: Client,
    platform: String,
    peer: PythonPeer,
}

impl Duel<'_> {
    /// Fills both lists, and makes sure that both answer whole pages.
    async fn warm_up(&self) -> anyhow::Result<()> {
        let connections = self.args.connections.iter().copied().max().unwrap_or(1);
        for request in WrkRequest::ALL {
            self.ask_platform(request, connections, WARM_UP_S).await?;
            self.ask_peer(request, connections, WARM_UP_S).await?;
        }
        AskedService::sign_in(&self.platform, &self.http).await?.check_page(&self.http).await?;
        self.peer.service().check_page(&self.http).await
    }

    /// One after the other: whatever else the machine does falls on both.
    async fn measure_round(
        &self,
        request: WrkRequest,
        connections: u32,
        platform_first: bool,
    ) -> anyhow::Result<DuelRound> {
        let seconds = self.args.seconds;
        let first = if platform_first {
            Some(self.ask_platform(request, connections, seconds).await?)
        } else {
            None
        };
        let peers = self.ask_peer(request, connections, seconds).await?;
        let ours = match first {
            Some(measured) => measured,
            None => self.ask_platform(request, connections, seconds).await?,
        };
        Ok(DuelRound { ours, peers })
    }

    /// Its read models have caught up before anybody else is asked.
    async fn ask_platform(
        &self,
        request: WrkRequest,
        connections: u32,
        seconds: u64,
    ) -> anyhow::Result<WrkRun> {
        // A token lasts for minutes only.
        let platform = AskedService::sign_in(&self.platform, &self.http).await?;
        let run = platform.load(&self.args.peers, request, connections, seconds).await;
        let run = run.context("the platform under load")?;
        if request == WrkRequest::Create {
            platform.wait_until_read(&self.http).await?;
        }
        Ok(run)
    }

    async fn ask_peer(
        &self,
        request: WrkRequest,
        connections: u32,
        seconds: u64,
    ) -> anyhow::Result<WrkRun> {
        let run = self.peer.service().load(&self.args.peers, request, connections, seconds).await;
        run.context("the peer under load")
    }
}
