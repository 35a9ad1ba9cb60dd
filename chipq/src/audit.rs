//! `chipq audit`: what an auditor asks of the event log. All of it reads the log beside a platform that serves.

mod trail;

use std::process::ExitCode;

use crate::cli::AuditCommand;

/// `chipq audit`
pub(crate) async fn run(command: AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Trail(args) => trail::print_trail(args).await,
    }
}
