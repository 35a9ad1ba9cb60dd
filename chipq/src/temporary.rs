//! A folder for one run: made new, and removed at the end with everything in it.

mod guard;

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::failure::{Failure, exit};
use guard::Guard;

pub(crate) use guard::remove_abandoned;

/// What the names of these folders begin with.
const NAME: &str = "chipq-";

/// A new folder under the system's temporary one, removed when dropped.
pub(crate) struct TemporaryFolder {
    path: PathBuf,
    // Let go after the folder is removed: then there is nothing left for it to do.
    _guard: Option<Guard>,
}

impl TemporaryFolder {
    /// Makes the folder `chipq-<purpose>-<random>`.
    pub(crate) fn new(purpose: &str) -> Result<Self, Failure> {
        Ok(Self { path: make_folder(purpose)?, _guard: None })
    }

    /// The same for an installation, whose PostgreSQL ends with the folder also when this process is killed.
    pub(crate) fn for_installation(purpose: &str) -> Result<Self, Failure> {
        let path = make_folder(purpose)?;
        let guard = Guard::post(&path).inspect_err(|error| {
            tracing::warn!(%error, "nobody watches over the temporary folder");
        });
        Ok(Self { path, _guard: guard.ok() })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn make_folder(purpose: &str) -> Result<PathBuf, Failure> {
    let name = format!("{NAME}{purpose}-{}", &Uuid::new_v4().simple().to_string()[..12]);
    let path = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&path).map_err(|error| {
        Failure::new(
            format_args!("cannot make the folder {}: {error}", path.display()),
            "free some space there, or name a folder with --data DIR",
            exit::CANNOT_WRITE,
        )
    })?;
    Ok(path)
}

/// Whether a folder is one of those that are made here.
fn is_temporary(folder: &Path) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(NAME))
        && folder.parent() == Some(&std::env::temp_dir())
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(folder = %self.path.display(), %error, "temporary folder not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_is_gone_after_its_use() {
        let folder = TemporaryFolder::new("test").unwrap();
        let path = folder.path().to_owned();
        std::fs::write(path.join("x"), "y").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
