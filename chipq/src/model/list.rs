//! `chipq model list`: the versions that are served, and the route.

use std::collections::HashMap;
use std::process::ExitCode;

use domain::inspection::ModelIdentity;
use serde::Serialize;

use super::ModelSession;
use super::routing::{Routed, Routing, open_on};
use super::serving::Version;

/// One line of the list.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    version: Version,
    /// New inspections use it.
    routed: bool,
    /// Inspections that have a result of it and are not judged.
    open_inspections: usize,
}

#[derive(Debug, Serialize)]
struct List<'a> {
    model: &'a str,
    routing: &'a Routing,
    /// Whether the routed version, with its digest, is among those that serve.
    routed_version_serves: bool,
    versions: Vec<Line>,
}

pub(super) async fn list(session: &ModelSession, json: bool) -> anyhow::Result<ExitCode> {
    let routing = session.routing().await?;
    let open = open_on(&*session.log()).await?;
    let name = &session.serving.shipped_model().name;
    let versions = session.serving.versions().await?;
    let versions = versions.into_iter().map(|version| line(version, name, &routing, &open));
    let versions: Vec<_> = versions.collect();
    let routed_version_serves = versions.iter().any(|line| line.routed && line.version.is_ready());
    let list = List { model: name, routing: &routing, routed_version_serves, versions };
    if json {
        outln!("{}", serde_json::to_string_pretty(&list)?);
    } else {
        print(&list);
    }
    Ok(ExitCode::SUCCESS)
}

fn line(
    version: Version,
    name: &str,
    routing: &Routing,
    open: &HashMap<ModelIdentity, usize>,
) -> Line {
    let identity = version.identity(name);
    let of = |identity: &ModelIdentity| open.get(identity).copied().unwrap_or(0);
    Line {
        routed: identity.as_ref() == Some(&routing.model),
        open_inspections: identity.as_ref().map_or(0, of),
        version,
    }
}

fn print(list: &List<'_>) {
    outln!("{:<8} {:<12} {:<7} {:>5}  {:<64}", "version", "state", "", "open", "digest declared");
    for line in &list.versions {
        let Version { version, state, reason, sha256 } = &line.version;
        let digest = sha256.map_or_else(|| "none".to_owned(), |digest| digest.to_string());
        let routed = if line.routed { "routed" } else { "" };
        outln!("{version:<8} {state:<12} {routed:<7} {:>5}  {digest}", line.open_inspections);
        if !reason.is_empty() {
            outln!("{:<8} {reason}", "");
        }
    }
    let Routing { model, routed, .. } = list.routing;
    match routed {
        Some(Routed { since, actor, reason, accepted }) => {
            outln!("\nrouted to {} since {} by {actor}", model.version, since.to_rfc3339());
            outln!("  reason: {reason}");
            if !accepted.is_empty() {
                outln!("  accepted: {}", accepted.join(", "));
            }
        }
        None => {
            outln!("\nnobody routed: new inspections use the shipped version {}", model.version)
        }
    }
    if !list.routed_version_serves {
        outln!(
            "warning: version {} ({}) is routed to and not served here",
            model.version,
            model.sha256
        );
        outln!("  inspections wait for it; load it, or route to a version that serves");
    }
}
