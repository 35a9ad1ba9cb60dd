//! A folder for one run: made new, and removed at the end with everything in it.

use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::failure::{Failure, exit};

/// A new folder under the system's temporary one, removed when dropped.
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes the folder `chipq-<purpose>-<random>`.
    pub(crate) fn new(purpose: &str) -> Result<Self, Failure> {
        let name = format!("chipq-{purpose}-{}", &Uuid::new_v4().simple().to_string()[..12]);
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(|error| {
            Failure::new(
                format_args!("cannot make the folder {}: {error}", path.display()),
                "free some space there, or name a folder with --data DIR",
                exit::CANNOT_WRITE,
            )
        })?;
        Ok(Self(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "temporary folder not removed");
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
