//! The folder of an installation, as long as nothing is kept in it.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;

/// PostgreSQL's account must pass through where we are root; others see nothing of it.
const MODE: u32 = 0o711;

/// A data folder that was made for this start, if it was: removed when the start ends without an installation.
pub(super) struct NewFolder(Option<PathBuf>);

impl NewFolder {
    /// Makes `folder` when it is missing.
    pub(super) fn make(folder: PathBuf) -> io::Result<Self> {
        if folder.is_dir() {
            return Ok(Self(None));
        }
        DirBuilder::new().recursive(true).mode(MODE).create(&folder)?;
        // Whatever the mask says of it.
        std::fs::set_permissions(&folder, Permissions::from_mode(MODE))?;
        Ok(Self(Some(folder)))
    }

    /// Lets it stay: there is something in it.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        let Some(folder) = self.0.take() else { return };
        if let Err(error) = std::fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "a folder of a failed start stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_start_that_failed_is_gone_and_one_that_was_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("deep/new");
        drop(NewFolder::make(new.clone()).unwrap());
        assert!(!new.exists());
        NewFolder::make(new.clone()).unwrap().keep();
        drop(NewFolder::make(new.clone()).unwrap());
        assert!(new.exists());
    }
}
