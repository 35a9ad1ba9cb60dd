//! Whose a data folder is: one user's alone, since its keys and passwords are closed to everybody else.
//!
//! Invariant: root leaves nothing in another user's folder that this user could not use, and a user is told at
//! start what he cannot use, instead of with the first upload.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use rustix::process::geteuid;

/// What an installation keeps, in folders that are not listed: everything in them is closed as they are.
const KEPT: [&str; 9] = [
    "artifacts",
    "jwt-keys",
    "url-signing-key",
    "private-postgres-url",
    "postgres",
    "postgres/lock",
    "postgres/password",
    "postgres/service-password",
    "postgres/port",
];

/// Why a data folder cannot be used by this process's user.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// Root would leave files there that its user cannot use.
    #[error(
        "{} belongs to the user with id {owner}, who could not use what root makes beside it; run it as \
         that user (sudo -u '#{owner}', docker --user {owner}), or give all of it to root",
        path.display()
    )]
    OfAUser {
        /// What belongs to somebody else.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Somebody else, such as root, made it.
    #[error(
        "{} belongs to the user with id {owner} and is closed to this one; run: sudo chown -R {user} {}",
        path.display(), data_dir.display()
    )]
    Closed {
        /// What cannot be used.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs this.
        user: u32,
        /// The data folder.
        data_dir: PathBuf,
    },
}

/// Refuses a data folder of which something belongs to another user.
///
/// # Errors
/// With what belongs to whom, and what to do.
pub fn check_owner(data_dir: &Path) -> Result<(), OwnershipError> {
    KEPT.iter().try_for_each(|name| check_file(data_dir, data_dir.join(name)))
}

fn check_file(data_dir: &Path, path: PathBuf) -> Result<(), OwnershipError> {
    // What cannot be looked at is not there, or whoever opens it says why.
    let Ok(owner) = std::fs::metadata(&path).map(|found| found.uid()) else { return Ok(()) };
    let user = geteuid();
    match () {
        () if owner == user.as_raw() => Ok(()),
        () if user.is_root() => Err(OwnershipError::OfAUser { path, owner }),
        // A volume may be opened to a group.
        () if access(&path, Access::READ_OK | Access::WRITE_OK).is_ok() => Ok(()),
        () => {
            let (user, data_dir) = (user.as_raw(), data_dir.to_owned());
            Err(OwnershipError::Closed { path, owner, user, data_dir })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::chown;

    use super::*;

    #[test]
    fn root_is_kept_out_of_the_folder_of_a_user() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("postgres/lock");
        std::fs::create_dir(folder.path().join("postgres")).unwrap();
        std::fs::write(&lock, "").unwrap();
        check_owner(folder.path()).unwrap();
        if !geteuid().is_root() {
            eprintln!("SKIPPED: only root can give files away");
            return;
        }
        chown(&lock, Some(54_321), None).unwrap();
        let refused = check_owner(folder.path()).unwrap_err();
        assert!(matches!(refused, OwnershipError::OfAUser { owner: 54_321, .. }), "{refused}");
        assert!(refused.to_string().contains("sudo -u '#54321'"), "{refused}");
    }
}
