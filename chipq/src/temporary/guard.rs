//! Who waits for the end of the owner of a temporary folder, and clears away what a killed one leaves: a private
//! PostgreSQL that runs on, and the folder.
//!
//! A process that is killed can do nothing more, so another one waits: a shell, which takes next to no memory and
//! is not found by who kills every `chipq`. It reads from a pipe whose other end only the owner has; the system
//! closes that however the owner ends. Then it becomes `chipq remove-abandoned`, which knows how a server ends.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use platform::embedded_postgres::{EmbeddedPostgresConfig, EmbeddedPostgresError, stop_cluster};

use super::is_temporary;
use crate::failure::{Failure, exit};
use crate::installation::POSTGRES;

/// Waits for the end of its input; $0 is the program, $1 the folder.
const WATCH: &str = "while read -r _; do :; done; exec \"$0\" remove-abandoned \"$1\"";
/// How often it is tried to clear away: an `initdb` whose owner was killed may still write into the folder.
const ATTEMPTS: u32 = 40;
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// The process that waits.
pub(super) struct Guard(Child);

impl Guard {
    /// Begins to watch over `folder`.
    pub(super) fn post(folder: &Path) -> io::Result<Self> {
        let mut watch = Command::new("sh");
        watch.arg("-c").arg(WATCH).arg(std::env::current_exe()?).arg(folder);
        // What it is told and what it says is for nobody, and Ctrl-C at the terminal is not for it.
        watch.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        watch.spawn().map(Self)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It finds no folder, and ends.
        let _ = self.0.wait();
    }
}

/// Ends the server of the installation in `folder` and removes that, when it is still there.
///
/// # Errors
/// When it is none that was made for one run, the server does not end, or the folder stays.
pub(crate) async fn remove_abandoned(folder: PathBuf) -> anyhow::Result<()> {
    if !is_temporary(&folder) {
        return Err(Failure::new(
            format_args!("{} was not made for one run", folder.display()),
            "remove it yourself, if you mean it",
            exit::USAGE,
        )
        .into());
    }
    for _ in 0..ATTEMPTS {
        if !folder.exists() {
            return Ok(());
        }
        match stop_cluster(&EmbeddedPostgresConfig::new(folder.join(POSTGRES))).await {
            // A child of the owner that has not begun its own program yet holds its lock, too.
            Err(EmbeddedPostgresError::InUse(_)) => {}
            stopped => {
                stopped?;
                // What still writes there finds no folder at its next file; so it is looked at again.
                let _ = std::fs::remove_dir_all(&folder);
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(std::fs::remove_dir_all(&folder)?)
}
