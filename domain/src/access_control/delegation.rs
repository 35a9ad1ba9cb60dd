//! Nobody gives what they do not hold.

use super::{
    AccessControl, AccessControlCommand, AccessControlRejection as Rejection, Holdings, Role,
};
use crate::Reach;

/// Whether whoever asks for `command` holds what it gives, takes or changes.
pub(super) fn check(
    state: &AccessControl,
    command: &AccessControlCommand,
) -> Result<(), Rejection> {
    let AccessControlCommand::Delegated { holdings, command } = command else { return Ok(()) };
    check_holdings(holdings, state, command)
}

/// Nobody gives what they do not hold, nor takes it from somebody who does: whoever may set the secret of somebody
/// else may be them.
fn check_holdings(
    holdings: &Holdings,
    state: &AccessControl,
    command: &AccessControlCommand,
) -> Result<(), Rejection> {
    use AccessControlCommand as Command;
    let covers = |role: Role, reach: &Reach| {
        if holdings.cover(role, reach) { Ok(()) } else { Err(Rejection::NotHeld) }
    };
    let covers_all_of = |name| {
        state.require(name).and_then(|found| covers(found.role, &found.reach).map(|()| found))
    };
    match command {
        Command::IssueClaimCode { .. } => covers(Role::Admin, &Reach::everywhere()),
        // What it gives is held by the code.
        Command::ClaimInstallation { .. } => Ok(()),
        Command::Delegated { command, .. } => check_holdings(holdings, state, command),
        Command::CreatePrincipal { principal, .. } => covers(principal.role, &principal.reach),
        Command::DisablePrincipal { name, .. }
        | Command::EnablePrincipal { name, .. }
        | Command::ReplaceCredential { name, .. } => covers_all_of(name).map(drop),
        Command::ChangeRole { name, role, .. } => covers(*role, &covers_all_of(name)?.reach),
        Command::ChangeReach { name, reach, .. } => covers(covers_all_of(name)?.role, reach),
        Command::EndSession { name, .. }
        | Command::RevokeToken { name, .. }
        | Command::RegisterPublicKey { name, .. } => covers_all_of(name).map(drop),
        Command::AddSigningKey { .. } | Command::RetireSigningKey { .. } => {
            covers(Role::Admin, &Reach::everywhere())
        }
    }
}
