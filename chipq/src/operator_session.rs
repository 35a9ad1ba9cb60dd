//! What the commands of an operator work on: an installation's database and log, also while a platform
//! serves from it.

use std::path::Path;
use std::sync::Arc;

use platform::artifact_store::ArtifactStore;
use platform::event_log::{ActorRef, EventLog};
use platform::foundation::Foundation;
use platform::postgres::Pool;

use crate::installation::{Installation, InstallationArgs};

/// An installation that was opened for one command.
pub(crate) struct OperatorSession {
    installation: Installation,
    foundation: Foundation,
}

impl OperatorSession {
    /// Opens an installation that is there, as it is.
    pub(crate) async fn open(args: &InstallationArgs) -> anyhow::Result<Self> {
        let installation = Installation::visit(&for_one_command(args)).await?;
        match installation.open_foundation_unchanged().await {
            Ok(foundation) => Ok(Self { installation, foundation }),
            Err(error) => Err(installation.close_after(error).await),
        }
    }

    /// Opens it with the database in its newest shape; makes it when there is none.
    pub(crate) async fn open_to_migrate(args: &InstallationArgs) -> anyhow::Result<Self> {
        let installation = Installation::open_or_join(&for_one_command(args)).await?;
        match installation.open_foundation().await {
            Ok(foundation) => Ok(Self { installation, foundation }),
            Err(error) => Err(installation.close_after(error).await),
        }
    }

    /// The database.
    pub(crate) const fn pool(&self) -> &Pool {
        self.foundation.pool()
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        self.installation.data_dir()
    }

    /// The pictures, to look at.
    pub(crate) async fn open_artifacts(&self) -> anyhow::Result<ArtifactStore> {
        Ok(self.installation.data().open_artifacts_to_read().await?)
    }

    /// The log.
    pub(crate) fn log(&self) -> Arc<dyn EventLog> {
        self.foundation.log()
    }

    /// Closes what was opened. The outcome of the command matters more than how that went.
    pub(crate) async fn close<T>(self, outcome: anyhow::Result<T>) -> anyhow::Result<T> {
        self.foundation.pool().close().await;
        let closed = self.installation.close().await;
        let value = outcome?;
        closed.map(|()| value)
    }
}

fn for_one_command(args: &InstallationArgs) -> InstallationArgs {
    let mut args = args.clone();
    args.foundation.database = args.foundation.database.with_enough_connections();
    args
}

/// Who decides at the command line: whoever is named, or the account that the command runs in.
pub(crate) fn operator(name: Option<&str>) -> ActorRef {
    ActorRef::new(name.map_or_else(account_name, str::to_owned), &["operator"])
}

/// The account that this command runs in, as the log names it.
fn account_name() -> String {
    let set = |variable| std::env::var(variable).ok().filter(|name| !name.trim().is_empty());
    set("USER")
        .or_else(|| set("LOGNAME"))
        .unwrap_or_else(|| format!("uid {}", rustix::process::getuid().as_raw()))
}
