//! Making a cluster: all of it or nothing, whenever we are killed.

use std::path::Path;

use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::cluster::{Cluster, OWNER};
use super::program::run;
use super::{EmbeddedPostgresError, Purpose};
use crate::config::write_private;

/// What a cluster is called until initdb has finished.
const DRAFT_PREFIX: &str = "cluster.new-";

/// What is removed however the making ends. Of a draft that has become the cluster nothing is left by then.
struct HalfMade<'a> {
    draft: &'a Path,
    password: &'a Path,
}

impl Drop for HalfMade<'_> {
    fn drop(&mut self) {
        // What stays is removed by the next start.
        let _ = std::fs::remove_file(self.password);
        let _ = std::fs::remove_dir_all(self.draft);
    }
}

impl Cluster {
    /// Runs initdb if there is no cluster. A crash at any point leaves only a draft, which the next
    /// start removes.
    pub(super) async fn initialise_cluster(&self) -> Result<(), EmbeddedPostgresError> {
        self.remove_drafts()?;
        if self.folder().exists() {
            return Ok(());
        }
        tracing::info!(folder = %self.folder().display(), "making a private PostgreSQL cluster");
        let name = format!("{DRAFT_PREFIX}{}", Uuid::new_v4().simple());
        let password = self.data_dir.join(format!("{name}-password"));
        let draft = self.data_dir.join(name);
        let half_made = HalfMade { draft: &draft, password: &password };
        std::fs::create_dir(&draft).map_err(EmbeddedPostgresError::io(&draft))?;
        write_private(&password, self.owner.password.expose_secret().as_bytes())
            .map_err(EmbeddedPostgresError::io(&password))?;
        if let Some(account) = &self.account {
            account.give_ownership(&draft)?;
            account.give_ownership(&password)?;
        }
        self.run_initdb(&draft, &password).await?;
        let folder = self.folder();
        std::fs::rename(&draft, &folder)
            .and_then(|()| std::fs::File::open(&self.data_dir)?.sync_all())
            .map_err(EmbeddedPostgresError::io(&folder))?;
        drop(half_made);
        Ok(())
    }

    async fn run_initdb(&self, draft: &Path, password: &Path) -> Result<(), EmbeddedPostgresError> {
        let mut command = self.command(&self.binaries.program_path("initdb"));
        command.arg("-D").arg(draft).arg("--pwfile").arg(password);
        command.args(["-U", OWNER, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        command.args(match self.purpose {
            Purpose::Serving => ["--data-checksums"],
            Purpose::Testing => ["--no-sync"],
        });
        run("initdb", command, self).await
    }

    /// Removes what killed starts left. An initdb that outlived its owner may still be writing
    /// there: what cannot be removed now is left to the next start.
    fn remove_drafts(&self) -> Result<(), EmbeddedPostgresError> {
        let entries =
            std::fs::read_dir(&self.data_dir).map_err(EmbeddedPostgresError::io(&self.data_dir))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with(DRAFT_PREFIX) {
                continue;
            }
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            match removed {
                Ok(()) => tracing::info!(path = %path.display(), "removed a half-made cluster"),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a half-made cluster stays");
                }
            }
        }
        Ok(())
    }
}
