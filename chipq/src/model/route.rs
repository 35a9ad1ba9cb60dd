//! `chipq model compare` and `route`: a version is held against the one routed to before new
//! inspections use it.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use domain::model_route::Comparison;
use domain::{ModelRoute, ModelRouteCommand};
use indicatif::{ProgressBar, ProgressStyle};
use inference::engine::{Engine, EngineError};
use lab::acceptance::{self, Acceptance, FixedSet};
use platform::event_log::EventMetadata;
use platform::execute::{ExecuteError, Request, execute};
use platform::telemetry::TraceContext;
use serde_json::json;
use uuid::Uuid;

use super::routing::Routing;
use super::{ModelSession, explain_acceptance, explain_engine, fixed_set, report};
use crate::cli::{CompareModelsArgs, FixedSetArgs, RouteModelArgs};
use crate::failure::{Failure, exit};
use crate::operator_session::operator;

/// The exit code when the version is worse.
const WORSE: u8 = 1;

/// Compares and prints; exits with 1 when the version is worse.
pub(super) async fn compare_engines(
    session: &ModelSession,
    args: &CompareModelsArgs,
) -> anyhow::Result<ExitCode> {
    let routing = session.routing().await?;
    let new = session.serving.engine_of(&args.version).await?;
    let old = session.serving.engine_for(&routing.model).await.map_err(|e| explain_engine(&e))?;
    let compared = measure(&args.set, old, new).await?;
    let worse = compared.worse_ways();
    if args.json {
        outln!(
            "{}",
            serde_json::to_string_pretty(&json!({"acceptance": compared, "worse": worse}))?
        );
    } else {
        out!("{}", report::text(&compared));
    }
    Ok(if worse.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(WORSE) })
}

/// Compares, and routes when the version is not worse or its differences are accepted.
pub(super) async fn route(
    session: &ModelSession,
    args: &RouteModelArgs,
) -> anyhow::Result<ExitCode> {
    let routing = session.routing().await?;
    let new = session.serving.engine_of(&args.version).await?;
    if *new.model() == routing.model {
        return Err(Failure::new(
            format_args!("version {} is routed to already", args.version),
            "see `chipq model list` for the others",
            exit::USAGE,
        )
        .into());
    }
    let compared = against_routed(session, args, &routing, Arc::clone(&new)).await?;
    let worse = compared.as_ref().map(Acceptance::worse_ways).unwrap_or_default();
    let routed = worse.is_empty() || args.accept_differences;
    if let (Some(compared), false) = (&compared, args.json) {
        outln!("{}", report::text(compared));
    }
    if routed {
        let comparison = compared.as_ref().map(Comparison::from);
        append(session, args, &routing, new.model().clone(), comparison).await?;
    }
    if args.json {
        let said = json!({
            "routed": routed, "from": routing.model, "to": new.model(),
            "acceptance": compared, "worse": worse,
        });
        outln!("{}", serde_json::to_string_pretty(&said)?);
    } else if routed {
        let (from, to) = (report::short_name(&routing.model), report::short_name(new.model()));
        outln!("routed to {to} instead of {from}: new inspections use it");
    }
    if routed {
        return Ok(ExitCode::SUCCESS);
    }
    let rules: Vec<_> = worse.iter().map(ToString::to_string).collect();
    let failure = Failure::new(
        format_args!("version {} is worse: {}", args.version, rules.join("; ")),
        "nothing was routed; route to it all the same with --accept-differences",
        WORSE,
    );
    Err(failure.into())
}

/// The comparison with the version routed to; none when that one does not serve here and the caller
/// accepted that.
async fn against_routed(
    session: &ModelSession,
    args: &RouteModelArgs,
    routing: &Routing,
    new: Arc<dyn Engine>,
) -> anyhow::Result<Option<Acceptance>> {
    match session.serving.engine_for(&routing.model).await {
        Ok(old) => Ok(Some(measure(&args.set, old, new).await?)),
        Err(EngineError::Model { .. }) if args.accept_differences => {
            errln!("not compared: version {} is not served here", routing.model.version);
            Ok(None)
        }
        Err(error @ EngineError::Model { .. }) => Err(Failure::new(
            format_args!("version {} cannot be compared with: {error}", routing.model.version),
            "name a server that serves both, or route without a comparison: --accept-differences",
            exit::UNAVAILABLE,
        )
        .into()),
        Err(error) => Err(explain_engine(&error).into()),
    }
}

async fn measure(
    args: &FixedSetArgs,
    old: Arc<dyn Engine>,
    new: Arc<dyn Engine>,
) -> anyhow::Result<Acceptance> {
    let set: Arc<FixedSet> = fixed_set(args)?;
    let bar = progress_bar(set.len());
    let compared =
        acceptance::compare_engines(old, new, &set, |boards| bar.set_position(boards as u64)).await;
    bar.finish_and_clear();
    Ok(compared.map_err(|error| explain_acceptance(&error))?)
}

async fn append(
    session: &ModelSession,
    args: &RouteModelArgs,
    routing: &Routing,
    to: domain::inspection::ModelIdentity,
    comparison: Option<Comparison>,
) -> anyhow::Result<()> {
    let request = Request::<ModelRoute> {
        aggregate_id: to.name.clone(),
        metadata: EventMetadata::by_actor(
            operator(args.actor.as_deref()),
            &TraceContext::new(None),
        )
        .with_command_id(Uuid::new_v4()),
        command: ModelRouteCommand::RouteModel { to, reason: args.reason.clone(), comparison },
        // What was compared with is still in force, or nothing is routed.
        is_new: false,
        if_match: Some(routing.version),
    };
    match execute(&*session.log(), request).await {
        Ok(_) => Ok(()),
        Err(ExecuteError::Rejected(rejection)) => Err(Failure::new(
            &rejection,
            "see `chipq model list` for what is routed to",
            exit::USAGE,
        )
        .into()),
        Err(ExecuteError::VersionMismatch { .. }) => Err(Failure::new(
            "somebody else routed while the versions were compared",
            "look at `chipq model list`, then run it again",
            exit::UNAVAILABLE,
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}

fn progress_bar(boards: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("comparing  {bar:40} {pos}/{len} boards");
    let bar = ProgressBar::new(boards as u64);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
