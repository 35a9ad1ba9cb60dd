//! Accounts, clients, their tokens and the keys of tokens at the command line, also while a platform serves: it follows
//! the log.

mod accounts;
mod clients;
mod keys;
mod secret_input;
mod token;

use std::process::ExitCode;

use domain::{
    AccessControlCommand, AccessControlRejection, Principal, PrincipalKind, PrincipalName,
};
use platform::access::{AccessAdministration, AccessError};
use serde_json::json;

use crate::cli::{
    ChangePrincipalArgs, ChangeReachArgs, ChangeRoleArgs, DecisionArgs, ListPrincipalsArgs,
};
use crate::failure::{Failure, exit};
use crate::installation::InstallationArgs;
use crate::operator_session::{OperatorSession, operator};

pub(crate) use accounts::run as run_accounts;
pub(crate) use clients::run as run_clients;
pub(crate) use keys::run as run_keys;
pub(crate) use token::run as print_token;

/// Opens an installation, does `work` on its accounts and clients, and closes it.
async fn administer<T>(
    installation: &InstallationArgs,
    work: impl AsyncFnOnce(&AccessAdministration) -> Result<T, AccessError>,
) -> anyhow::Result<T> {
    let session = OperatorSession::open(installation).await?;
    let administration = AccessAdministration::new(session.log(), session.pool().clone());
    let outcome = work(&administration).await;
    session.close(outcome.map_err(|error| explain(&error).into())).await
}

/// Changes a principal, which is of this kind, by the command that `change` makes of its name and the reason.
async fn change(
    principal: ChangePrincipalArgs,
    kind: PrincipalKind,
    change: impl FnOnce(PrincipalName, String) -> AccessControlCommand,
) -> anyhow::Result<ExitCode> {
    let ChangePrincipalArgs { name, decision, installation } = principal;
    let DecisionArgs { reason, actor } = decision;
    let changed = administer(&installation, async |administration| {
        let access = administration.read().await?;
        if access.principal(&name).is_none_or(|principal| principal.kind != kind) {
            return Err(AccessControlRejection::PrincipalNotFound { name: name.clone() }.into());
        }
        let command = change(name.clone(), reason);
        let executed = administration.execute(operator(actor.as_deref()), command).await?;
        Ok(!executed.events.is_empty())
    });
    if changed.await? {
        outln!("{kind} {name} is changed; what was granted to it before is worth nothing now");
    } else {
        outln!("{kind} {name} is so already; nothing was changed");
    }
    Ok(ExitCode::SUCCESS)
}

async fn disable(args: ChangePrincipalArgs, kind: PrincipalKind) -> anyhow::Result<ExitCode> {
    let disable = |name, reason| AccessControlCommand::DisablePrincipal { name, reason };
    change(args, kind, disable).await
}

async fn enable(args: ChangePrincipalArgs, kind: PrincipalKind) -> anyhow::Result<ExitCode> {
    let enable = |name, reason| AccessControlCommand::EnablePrincipal { name, reason };
    change(args, kind, enable).await
}

async fn change_role(args: ChangeRoleArgs, kind: PrincipalKind) -> anyhow::Result<ExitCode> {
    let ChangeRoleArgs { principal, role } = args;
    let to_role = |name, reason| AccessControlCommand::ChangeRole { name, role, reason };
    change(principal, kind, to_role).await
}

async fn change_reach(args: ChangeReachArgs, kind: PrincipalKind) -> anyhow::Result<ExitCode> {
    let reach = args.reach().map_err(|error| wrong_arguments(&error))?;
    let to_reach = |name, reason| AccessControlCommand::ChangeReach { name, reach, reason };
    change(args.principal, kind, to_reach).await
}

/// Prints every principal of this kind.
async fn list(args: ListPrincipalsArgs, kind: PrincipalKind) -> anyhow::Result<ExitCode> {
    let read = administer(&args.installation, async |access| access.read().await);
    let access = read.await?;
    let of_kind = || access.principals().filter(|(_, principal)| principal.kind == kind);
    if args.json {
        let listed: Vec<_> = of_kind().map(|(name, principal)| as_json(name, principal)).collect();
        outln!("{}", serde_json::to_string_pretty(&listed)?);
        return Ok(ExitCode::SUCCESS);
    }
    outln!("{:<24} {:<9} {:<9} {:<24} where", kind.as_str(), "role", "state", "name");
    for (name, principal) in of_kind() {
        let state = if principal.is_enabled { "enabled" } else { "disabled" };
        let display_name = principal.display_name.as_ref().map_or("", |name| name.as_str());
        let reach = describe_reach(principal);
        outln!(
            "{:<24} {:<9} {state:<9} {display_name:<24} {reach}",
            name.as_str(),
            principal.role.as_str()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(name: &PrincipalName, principal: &Principal) -> serde_json::Value {
    json!({
        "name": name,
        "display_name": principal.display_name,
        "role": principal.role,
        "enabled": principal.is_enabled,
        "stations": principal.reach.stations(),
        "parts": principal.reach.parts(),
    })
}

fn describe_reach(principal: &Principal) -> String {
    let join = |names: Vec<&str>, all: &str| {
        if names.is_empty() { all.to_owned() } else { names.join(", ") }
    };
    let reach = &principal.reach;
    let stations =
        join(reach.stations().iter().map(|name| name.as_str()).collect(), "every station");
    let parts = join(reach.parts().iter().map(|name| name.as_str()).collect(), "every part");
    format!("{stations}; {parts}")
}

fn wrong_arguments(error: &domain::Invalid) -> Failure {
    Failure::new(error, "name fewer, or leave the limit out", exit::USAGE)
}

fn explain(error: &AccessError) -> Failure {
    let (next, code) = match error {
        AccessError::Refused(AccessControlRejection::PrincipalNotFound { .. }) => (
            "see `chipq accounts list` and `chipq clients list` for those that there are",
            exit::DATA,
        ),
        AccessError::Refused(_) => ("correct that, then run it again", exit::DATA),
        AccessError::Password(_) => ("choose another password, then run it again", exit::DATA),
        AccessError::Random(_)
        | AccessError::Credential(_)
        | AccessError::Contended
        | AccessError::Log(_) => {
            ("check that the database answers, then run it again", exit::UNAVAILABLE)
        }
    };
    Failure::new(error, next, code)
}
