//! `chipq audit`: what an auditor asks of the log. Nothing here writes to it.

mod moment;
mod rejudge;
mod replay;
mod whole_folder;

use std::process::ExitCode;

use platform::shutdown::Shutdown;

use crate::cli::AuditCommand;

/// `chipq audit`; exits with 1 when something is not as it should be.
pub(crate) async fn run(command: AuditCommand, shutdown: &Shutdown) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Replay(args) => replay::run(args, shutdown).await,
        AuditCommand::Rejudge(args) => rejudge::run(args, shutdown).await,
    }
}

/// The exit code of a difference that nothing explains.
const DIFFERENT: u8 = 1;
