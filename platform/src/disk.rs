//! Folders and the disk under them: private to this process's user, and whether anything can still be written.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Access, access, statvfs};

/// The least room on a disk that counts as ready: two of the largest pictures.
const ROOM_MIN_BYTES: u64 = 64 << 20;
/// What others may do with a private folder: nothing.
const PRIVATE_MODE: u32 = 0o700;

/// Makes `folder` when it is missing, and closes it to other users if it is ours.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_private(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_MODE).create(folder)?;
    if std::fs::metadata(folder)?.mode() & 0o077 != 0 {
        let closed = std::fs::set_permissions(folder, Permissions::from_mode(PRIVATE_MODE));
        if let Err(error) = closed {
            // A volume that the system has mounted, for one.
            tracing::warn!(folder = %folder.display(), %error, "other users may see what is in it");
        }
    }
    Ok(())
}

/// Whether this process may write into `folder`.
///
/// # Errors
/// In words, why not.
pub(crate) fn check_writable(folder: &Path) -> Result<(), String> {
    let refused = |error| {
        format!("{} cannot be written ({error}); give it to this process's user", folder.display())
    };
    access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(refused)
}

/// Whether something as large as a picture has room on the disk of `folder`.
///
/// # Errors
/// In words, how little room there is.
pub fn check_room(folder: &Path) -> Result<(), String> {
    let shown = folder.display();
    let disk = statvfs(folder).map_err(|error| format!("the disk of {shown} fails: {error}"))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free >= ROOM_MIN_BYTES {
        return Ok(());
    }
    let (free, least) = (free >> 20, ROOM_MIN_BYTES >> 20);
    Err(format!("the disk of {shown} is full: {free} MiB are left, {least} are needed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_folder_is_closed_to_others_even_if_it_was_open() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        let made = folder.path().join("made/by/us");
        make_private(&made).unwrap();
        assert_eq!(mode(&made), 0o700);
        std::fs::set_permissions(&made, Permissions::from_mode(0o755)).unwrap();
        make_private(&made).unwrap();
        assert_eq!(mode(&made), 0o700);
    }

    #[test]
    fn a_disk_without_room_and_a_folder_that_is_not_there_are_named() {
        let missing = check_writable(Path::new("/nowhere/at/all")).unwrap_err();
        assert!(missing.contains("/nowhere/at/all cannot be written"), "{missing}");
        // A file system without any blocks.
        let full = check_room(Path::new("/proc")).unwrap_err();
        assert!(full.contains("0 MiB are left"), "{full}");
        let here = std::env::temp_dir();
        assert_eq!(check_writable(&here).and_then(|()| check_room(&here)), Ok(()));
    }
}
