//! What signing in costs everybody else: commands one after the other, alone and beside people and stations who sign
//! in, in turns within one run.
//!
//! A sign-in is Argon2id over 19 MiB. It must not be cheap, and it must not stand in the way of a command.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::{Reach, Role};
use platform::access::{AccessAdministration, NewClient};
use platform::event_log::ActorRef;
use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::child::PlatformProcess;
use super::figures::{Figure, Figures};
use super::print;
use crate::cli::BenchSignInsArgs;
use crate::http_client::{HttpClient, Label, Patience};
use crate::installation::{Installation, InstallationArgs};
use crate::machine::Machine;
use crate::statistics::Durations;
use crate::temporary::TemporaryFolder;

const PATIENCE: Patience = Patience(Duration::from_secs(20));
/// Commands that are sent before any is timed.
const WARM_UP: usize = 50;
/// The client that signs in again and again.
const CLIENT: &str = "bench";
/// How often a new client is believed in at last.
const BELIEVED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);
/// How much longer the slowest commands may take beside those who sign in.
const SLOWER_AT_MOST: f64 = 1.5;
/// Beside how many sign-ins a second that is asked.
const SIGN_INS_GOAL: f64 = 50.0;

/// Measures on a private platform in a temporary folder.
pub(super) async fn run(args: BenchSignInsArgs) -> anyhow::Result<ExitCode> {
    let folder = TemporaryFolder::new("bench-sign-ins")?;
    let mut figures = Figures::new(Machine::this());
    let child = PlatformProcess::start(folder.path()).await?;
    let outcome = measure(&args, &child, &mut figures).await;
    child.stop().await?;
    outcome?;
    print(args.json, &figures)?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(
    args: &BenchSignInsArgs,
    child: &PlatformProcess,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let secret = create_client(child).await?;
    let commands = Commands::open(child.url()).await?;
    let stations = Stations { base: child.url().to_owned(), http: Client::new(), secret };
    stations.wait_until_known().await?;
    commands.send_for(Duration::ZERO, WARM_UP).await?;
    let length = Duration::from_secs(args.seconds);
    let (mut alone, mut beside, mut sign_ins) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=args.rounds {
        errln!("round {round} of {} ...", args.rounds);
        alone.extend(commands.send_for(length, 0).await?);
        let signing_in = tokio::spawn(stations.clone().sign_in_for(length, args.per_second));
        beside.extend(commands.send_for(length, 0).await?);
        sign_ins.extend(signing_in.await??);
    }
    let seconds = (length * args.rounds).as_secs_f64();
    let per_second = sign_ins.len() as f64 / seconds;
    let (alone, beside) = (Durations::new(alone), Durations::new(beside));
    let sign_ins = Durations::new(sign_ins);
    for per_cent in [50, 99] {
        let (this, peer) = (beside.percentile_ms(per_cent), alone.percentile_ms(per_cent));
        let name = format!("command beside sign-ins, p{per_cent} against alone");
        let figure = Figure::at_most(&name, this / peer, "times", SLOWER_AT_MOST);
        figures.add(figure.measured_by(format!(
            "{this:.1} ms against {peer:.1} ms: POST /v1/inspections one after the other, {} beside \
             {per_second:.0} sign-ins a second and {} alone, {} rounds of {} s each in turns",
            beside.len(),
            alone.len(),
            args.rounds,
            args.seconds,
        )));
    }
    let figure = Figure::at_least("sign-ins", per_second, "/s", SIGN_INS_GOAL.min(args.per_second));
    figures.add(figure.measured_by(format!(
        "POST /v1/token by a client's secret, {} a second offered (open loop), answered 200; p50 {:.0} ms, \
         p99 {:.0} ms",
        args.per_second,
        sign_ins.percentile_ms(50),
        sign_ins.percentile_ms(99),
    )));
    Ok(())
}

async fn create_client(child: &PlatformProcess) -> anyhow::Result<SecretString> {
    let installation =
        Installation::visit(&InstallationArgs::private(child.data_folder().to_owned())).await?;
    let foundation = installation.open_foundation().await?;
    let access = AccessAdministration::new(foundation.log(), foundation.pool().clone());
    let client =
        NewClient { name: CLIENT.parse()?, role: Role::Auditor, reach: Reach::everywhere() };
    let by = ActorRef::for_service("bench");
    let created = access.create_client(by, client, "to be measured".to_owned()).await;
    foundation.pool().close().await;
    Ok(created?.client_secret)
}

/// A client that sends commands, one after the other.
struct Commands {
    client: HttpClient,
    run: String,
}

impl Commands {
    async fn open(base: &str) -> anyhow::Result<Self> {
        let client = HttpClient::sign_in(base, PATIENCE).await?;
        Ok(Self { client, run: Uuid::new_v4().simple().to_string() })
    }

    /// How long each took, for so long and so many at least.
    async fn send_for(&self, length: Duration, least: usize) -> anyhow::Result<Vec<Duration>> {
        let (begun, mut took) = (Instant::now(), Vec::new());
        while begun.elapsed() < length || took.len() < least {
            let key = format!("{}-{}", self.run, Uuid::new_v4().simple());
            let label = Label { lot: "BENCH", part: "BENCH", station: "BENCH-1", key: &key };
            let started = Instant::now();
            self.client.create_inspection(label).await?;
            took.push(started.elapsed());
        }
        ensure!(!took.is_empty(), "no command was sent in {length:?}");
        Ok(took)
    }
}

/// Stations that sign in.
#[derive(Clone)]
struct Stations {
    base: String,
    http: Client,
    secret: SecretString,
}

impl Stations {
    async fn wait_until_known(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.sign_in().await?.is_none() {
            ensure!(begun.elapsed() < BELIEVED_WITHIN, "the new client cannot sign in");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// How long each took that was answered with a token; offered whether or not the platform keeps up.
    async fn sign_in_for(self, length: Duration, rate: f64) -> anyhow::Result<Vec<Duration>> {
        let begun = Instant::now();
        let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / rate));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut under_way = JoinSet::new();
        while begun.elapsed() < length {
            tick.tick().await;
            let stations = self.clone();
            under_way.spawn(async move { stations.sign_in().await });
        }
        let mut took = Vec::new();
        while let Some(signed_in) = under_way.join_next().await {
            took.extend(signed_in??);
        }
        Ok(took)
    }

    async fn sign_in(&self) -> anyhow::Result<Option<Duration>> {
        let started = Instant::now();
        let request = self.http.post(format!("{}/v1/token", self.base));
        let request = request.basic_auth(CLIENT, Some(self.secret.expose_secret()));
        let answer = request.form(&[("grant_type", "client_credentials")]).send().await;
        let status = answer.context("POST /v1/token")?.status();
        Ok((status == StatusCode::OK).then(|| started.elapsed()))
    }
}
