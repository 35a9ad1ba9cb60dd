//! `chipq demo`: starts everything, acts as a station through the public HTTP API, and shows what came
//! of a lot of boards.

pub(crate) mod lot;
mod push;
mod show;
mod verdict;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chrono::Local;
use platform::auth::KeyPlace;
use platform::shutdown::Shutdown;
use tokio::net::TcpListener;

use crate::cli::DemoArgs;
use crate::failure::{Failure, exit};
use crate::http_client::{HttpClient, Patience};
use crate::installation::{Installation, InstallationArgs};
use crate::services::Services;
use crate::temporary::TemporaryFolder;
use crate::{up, wiring};
use lot::Lot;
use push::{Names, Pushed};

/// How long one request of the station is tried again.
const PATIENCE: Patience = Patience(Duration::from_secs(60));
/// The exit code when a board was not judged.
const NOT_JUDGED: u8 = 1;

/// Runs the demo; keeps serving until a signal unless `--once`.
pub(crate) async fn run(args: DemoArgs, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    let lot = load(&args)?;
    let (address, any_port) = args.listen();
    let users = up::users(address, true)?;
    let mut installation = InstallationArgs {
        data: args.data.clone(),
        artifact_store: args.artifact_store.clone(),
        foundation: args.foundation.clone(),
    };
    args.settings.check(&installation).finish()?;
    let listener = bind(address, any_port).await?;
    let temporary = match args.data {
        Some(_) => None,
        None => Some(TemporaryFolder::for_installation("demo")?),
    };
    let folder = || temporary.as_ref().map(|folder| folder.path().to_owned());
    installation.data = installation.data.or_else(folder);
    errln!("starting PostgreSQL, the APIs, the projectors and the inference worker ...");
    let starting = async {
        let opened = Installation::open_for_all(&installation).await?;
        let keys = KeyPlace::in_data(opened.0.data_dir());
        Services::start(opened, listener, users, (&args.settings, keys)).await
    };
    let mut services = shutdown.run_until_requested(starting).await?;
    let url = services.url().to_owned();
    let acting = shutdown.run_until_requested(act(&args, &lot, &url));
    let outcome = tokio::select! {
        outcome = acting => outcome,
        error = services.wait_for_failure() => Err(error),
    };
    let outcome = match outcome {
        Ok(code) if !args.once => {
            errln!("\nserving until Ctrl-C");
            tokio::select! {
                () = shutdown.requested() => Ok(code),
                error = services.wait_for_failure() => Err(error),
            }
        }
        outcome => outcome,
    };
    let stopped = services.stop().await;
    drop(temporary);
    outcome.and_then(|code| stopped.map(|()| code))
}

fn load(args: &DemoArgs) -> Result<Lot, Failure> {
    let lot = match &args.boards {
        Some(folder) => Lot::from_folder(folder, args.count)?,
        None => Lot::generated(args.count.unwrap_or(DemoArgs::COUNT), args.seed),
    };
    if lot.boards.is_empty() {
        return Err(Failure::new("there is no board to push", "ask for --count 1", exit::USAGE));
    }
    Ok(lot)
}

/// The default port, or a free one with a note when that is taken.
async fn bind(address: SocketAddr, any_port: bool) -> Result<TcpListener, Failure> {
    match wiring::bind(address, "--listen").await {
        Err(taken) if any_port => {
            let listener =
                wiring::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), "--listen").await?;
            errln!("note: {}; serving on a free one", taken.what);
            Ok(listener)
        }
        bound => bound,
    }
}

/// Everything that a station and a curious person do, by HTTP alone.
async fn act(args: &DemoArgs, lot: &Lot, url: &str) -> anyhow::Result<ExitCode> {
    let client = HttpClient::sign_in(url, PATIENCE).await?;
    let run = Local::now().format("%Y%m%d-%H%M%S").to_string();
    let names =
        Names { run: format!("PCB-{run}"), lot: format!("LOT-{run}"), station: "AOI-1".to_owned() };
    let Pushed { verdicts, failures } = push::push(&client, lot, &names).await?;
    out!("\n{}\n{}", verdict::table(&verdicts), verdict::totals(&verdicts));
    outln!("{}", show::yield_line(&client, &names.lot, verdicts.len()).await?);
    let pdf = pdf_path(args, &run);
    if let Some(shown) = verdicts.iter().find(|v| v.labelled > 0).or_else(|| verdicts.first()) {
        match show::report(&client, url, shown, &pdf).await {
            Ok(shown) => out!("\n{shown}"),
            // What was judged is judged, with a picture of it or without.
            Err(error) => errln!("{}", Failure::from_error(&error)),
        }
    }
    out!("{}", show::links(url));
    if args.once {
        outln!("  (while it serves: without --once)");
    }
    for failure in &failures {
        errln!("{}", Failure::from_error(failure));
    }
    let judged_all = failures.is_empty() && verdicts.len() == lot.boards.len();
    if !judged_all {
        errln!("{} of {} boards were not judged", failures.len(), lot.boards.len());
    }
    Ok(if judged_all { ExitCode::SUCCESS } else { ExitCode::from(NOT_JUDGED) })
}

/// Where the report is saved: with the data when that is kept, else where temporary files go.
fn pdf_path(args: &DemoArgs, run: &str) -> PathBuf {
    let folder = args.data.clone().unwrap_or_else(std::env::temp_dir);
    folder.join(format!("chipq-report-{run}.pdf"))
}
