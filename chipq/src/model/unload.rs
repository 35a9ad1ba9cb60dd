//! `chipq model unload`: out of service, never the routed version.

use std::process::ExitCode;

use super::ModelSession;
use super::routing::open_on;
use crate::cli::UnloadModelArgs;
use crate::failure::{Failure, exit};

pub(super) async fn unload(
    session: &ModelSession,
    args: &UnloadModelArgs,
) -> anyhow::Result<ExitCode> {
    let version = &args.version;
    let versions = session.serving.versions().await?;
    let Some(found) = versions.iter().find(|found| found.version == *version && found.is_ready())
    else {
        let ready = versions.iter().filter(|found| found.is_ready());
        let ready: Vec<_> = ready.map(|found| found.version.as_str()).collect();
        return Err(Failure::new(
            format_args!("version {version} is not loaded"),
            format_args!("loaded are: {}", ready.join(", ")),
            exit::USAGE,
        )
        .into());
    };
    let routing = session.routing().await?;
    // By number alone: another digest under the routed number is no reason to take it away.
    if routing.model.version == *version {
        return Err(refused(
            &format!("version {version} is routed to"),
            "route to another one first: chipq model route VERSION --reason WHY",
        ));
    }
    let others: Vec<_> = versions
        .iter()
        .filter(|other| other.is_ready() && other.version != *version)
        .map(|other| other.version.clone())
        .collect();
    if others.is_empty() {
        return Err(refused(
            &format!("version {version} is the last one that serves"),
            "load another one first: chipq model load VERSION",
        ));
    }
    let identity = found.identity(&session.serving.shipped_model().name);
    let open = open_on(&*session.log()).await?;
    let open = identity.and_then(|identity| open.get(&identity).copied()).unwrap_or(0);
    if open > 0 {
        let Some(why) = &args.force else {
            return Err(refused(
                &format!("{open} inspections that are open have a result of version {version}"),
                "wait until they are judged, or say why they may go to review: --force WHY",
            ));
        };
        outln!("{open} open inspections lose version {version}: {why}");
    }
    session.serving.unload(version).await?;
    if session.routing().await?.model.version == *version {
        session.serving.load(version, found.sha256).await?;
        return Err(refused(
            &format!("somebody routed to version {version} meanwhile; it is loaded again"),
            "look at `chipq model list`",
        ));
    }
    outln!("version {version} is unloaded; serving: {}", others.join(", "));
    Ok(ExitCode::SUCCESS)
}

fn refused(what: &str, next: &str) -> anyhow::Error {
    Failure::new(what, next, exit::UNAVAILABLE).into()
}
