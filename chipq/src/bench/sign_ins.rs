//! What signing in costs everybody else: commands one after the other, alone and beside people and stations who sign
//! in, in turns within one run.
//!
//! A digest is Argon2id over 19 MiB. It must not be cheap, and it must not stand in the way of a command.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use domain::{PrincipalKind, Reach, Role};
use platform::access::{AccessAdministration, NewAccount, NewClient};
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
/// The client and the account that sign in again and again.
const CLIENT: &str = "bench-station";
const ACCOUNT: &str = "bench-person";
/// How soon a new client or account is believed in at last.
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
    let [station, person] = create_callers(child).await?;
    let commands = Commands::open(child.url()).await?;
    for caller in [&station, &person] {
        caller.wait_until_known().await?;
    }
    commands.send_for(Duration::ZERO, WARM_UP).await?;
    let length = Duration::from_secs(args.seconds);
    let (mut alone, mut beside) = (Vec::new(), [Beside::new(station), Beside::new(person)]);
    for round in 1..=args.rounds {
        errln!("round {round} of {} ...", args.rounds);
        alone.extend(commands.send_for(length, 0).await?);
        for beside in &mut beside {
            let signing_in = beside.caller.clone().sign_in_for(length, args.per_second);
            let signing_in = tokio::spawn(signing_in);
            beside.commands.extend(commands.send_for(length, 0).await?);
            beside.sign_ins.extend(signing_in.await??);
        }
    }
    let alone = Durations::new(alone);
    for beside in beside {
        beside.add_figures(args, &alone, figures);
    }
    Ok(())
}

/// What was measured beside sign-ins of one kind.
struct Beside {
    caller: Caller,
    commands: Vec<Duration>,
    sign_ins: Vec<Duration>,
}

impl Beside {
    const fn new(caller: Caller) -> Self {
        Self { caller, commands: Vec::new(), sign_ins: Vec::new() }
    }

    fn add_figures(self, args: &BenchSignInsArgs, alone: &Durations, figures: &mut Figures) {
        let Self { caller, commands, sign_ins } = self;
        let (whose, rounds, seconds) = (caller.whose(), args.rounds, args.seconds);
        let per_second = sign_ins.len() as f64 / (u64::from(rounds) * seconds) as f64;
        let (commands, sign_ins) = (Durations::new(commands), Durations::new(sign_ins));
        for per_cent in [50, 99] {
            let (this, peer) = (commands.percentile_ms(per_cent), alone.percentile_ms(per_cent));
            let name = format!("command beside sign-ins {whose}, p{per_cent} against alone");
            let figure = Figure::at_most(&name, this / peer, "times", SLOWER_AT_MOST);
            figures.add(figure.measured_by(format!(
                "{this:.1} ms against {peer:.1} ms: POST /v1/inspections one after the other, {} beside \
                 {per_second:.0} sign-ins a second and {} alone, {rounds} rounds of {seconds} s each in turns",
                commands.len(),
                alone.len(),
            )));
        }
        let name = format!("sign-ins {whose}");
        let figure = Figure::at_least(&name, per_second, "/s", SIGN_INS_GOAL.min(args.per_second));
        figures.add(figure.measured_by(format!(
            "POST /v1/token {whose}, {} a second offered (open loop), answered 200; p50 {:.0} ms, p99 {:.0} ms",
            args.per_second,
            sign_ins.percentile_ms(50),
            sign_ins.percentile_ms(99),
        )));
    }
}

/// A station with a secret that is right, and a person with a password.
async fn create_callers(child: &PlatformProcess) -> anyhow::Result<[Caller; 2]> {
    let installation =
        Installation::visit(&InstallationArgs::private(child.data_folder().to_owned())).await?;
    let foundation = installation.open_foundation().await?;
    let access = AccessAdministration::new(foundation.log(), foundation.pool().clone());
    let (by, reason) = (|| ActorRef::for_service("bench"), || "to be measured".to_owned());
    let client =
        NewClient { name: CLIENT.parse()?, role: Role::Auditor, reach: Reach::everywhere() };
    let created = access.create_client(by(), client, reason()).await;
    let (name, reach) = (ACCOUNT.parse()?, Reach::everywhere());
    let account = NewAccount { name, display_name: None, role: Role::Auditor, reach };
    let password = SecretString::from(Uuid::new_v4().to_string());
    let created_account = access.create_account(by(), account, &password, reason()).await;
    foundation.pool().close().await;
    created_account?;
    let caller =
        |secret, kind| Caller { base: child.url().to_owned(), http: Client::new(), secret, kind };
    Ok([
        caller(created?.client_secret, PrincipalKind::Client),
        caller(password, PrincipalKind::Account),
    ])
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

/// Whoever signs in again and again.
#[derive(Clone)]
struct Caller {
    base: String,
    http: Client,
    secret: SecretString,
    kind: PrincipalKind,
}

impl Caller {
    /// How its sign-ins are told from others in a figure.
    const fn whose(&self) -> &'static str {
        match self.kind {
            PrincipalKind::Client => "of a station that was here a moment ago",
            PrincipalKind::Account => "of people, each at the cost of a digest",
        }
    }

    async fn wait_until_known(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while self.sign_in().await?.is_none() {
            ensure!(begun.elapsed() < BELIEVED_WITHIN, "who was just created cannot sign in");
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
            let caller = self.clone();
            under_way.spawn(async move { caller.sign_in().await });
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
        let secret = self.secret.expose_secret();
        let request = match self.kind {
            PrincipalKind::Client => request
                .basic_auth(CLIENT, Some(secret))
                .form(&[("grant_type", "client_credentials")]),
            PrincipalKind::Account => request.form(&[
                ("grant_type", "password"),
                ("username", ACCOUNT),
                ("password", secret),
            ]),
        };
        let status = request.send().await.context("POST /v1/token")?.status();
        Ok((status == StatusCode::OK).then(|| started.elapsed()))
    }
}
