//! Where the keys of an installation lie: in its data folder, or in a directory that its machines share.
//!
//! Invariant: what is read is what lay there at one moment, also where a mount is swapped meanwhile; and a file that
//! others may read or write is never taken for a key. Absent: what is in the files.

use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, OFlags, StatVfsMountFlags, access, statvfs};

use super::key_error::KeyError;
use crate::config::{SecretFileError, read_secret};

/// The folder of the keys of tokens in the data folder.
const TOKEN_FOLDER: &str = "jwt-keys";
/// How the files of keys of tokens end.
const TOKEN_SUFFIXES: [&str; 2] = ["pk8", "pem"];
/// The file of the first secret; those after it have a dash and the time they were made behind it.
pub(super) const SECRET_FILE: &str = "url-signing-key";
/// The link that a mounted secret of Kubernetes, or of a CSI secret store, is swapped by.
const SWAPPED_LINK: &str = "..data";
/// The largest file that is looked at, in bytes: a key has some hundred at most.
const FILE_MAX_BYTES: u64 = 16 << 10;
/// How often a directory is read that changes while it is read.
const READS_MAX: usize = 5;
/// How long it is left alone before it is read again.
const READ_PAUSE: Duration = Duration::from_millis(10);

/// Group and others may do nothing but that the group reads.
const BEYOND_GROUP_READS: u32 = 0o037;
/// Others may do more than read.
const BEYOND_ALL_READ: u32 = 0o033;
const OTHERS_WRITE: u32 = 0o002;

/// Where keys lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPlace {
    tokens: PathBuf,
    secrets: PathBuf,
    is_shared: bool,
}

/// A file that has the name of a key, as far as it could be read.
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) bytes: Result<Vec<u8>, KeyError>,
}

/// The files of a place.
pub(super) struct FoundFiles {
    pub(super) tokens: Vec<FoundFile>,
    pub(super) secrets: Vec<FoundFile>,
}

impl KeyPlace {
    /// In `data_dir`, of one machine or of all: files of mode 0600, made when they are missing.
    #[must_use]
    pub fn in_data(data_dir: &Path) -> Self {
        let (tokens, secrets) = (data_dir.join(TOKEN_FOLDER), data_dir.to_owned());
        Self { tokens, secrets, is_shared: false }
    }

    /// In a directory that somebody else keeps: a mounted secret, or a folder of all machines.
    #[must_use]
    pub fn shared(folder: &Path) -> Self {
        Self { tokens: folder.to_owned(), secrets: folder.to_owned(), is_shared: true }
    }

    /// Whether it is a directory of its own, in which nothing is made by itself.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// The folder, for whoever is told about it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.secrets
    }

    /// Of the keys of tokens.
    pub(super) fn token_folder(&self) -> &Path {
        &self.tokens
    }

    /// What to do where there are none.
    pub(super) fn remedy_without_keys(&self) -> String {
        if self.is_shared {
            let folder = self.folder().display();
            return format!(
                "see that what is to be there is mounted, or make the first keys: chipq keys init {folder}"
            );
        }
        "name the folder that the platform serves from (--data DIR), or the directory of its keys (--keys DIR)"
            .to_owned()
    }

    /// Whether keys can be made and deleted here.
    ///
    /// # Errors
    /// With `remedy`, where it is mounted to be read, or is not this user's to write.
    pub fn check_writable(&self, remedy: impl FnOnce() -> String) -> Result<(), KeyError> {
        // What is written beside the link is not in the secret, and nobody else would see it.
        let is_mounted = std::fs::symlink_metadata(self.tokens.join(SWAPPED_LINK)).is_ok();
        let is_closed = self.tokens.exists()
            && access(&self.tokens, Access::WRITE_OK | Access::EXEC_OK).is_err();
        if is_mounted || is_closed {
            let folder = self.folder().to_owned();
            return Err(KeyError::ReadOnly { folder, remedy: remedy() });
        }
        Ok(())
    }

    /// Every file that has the name of a key, by name.
    ///
    /// # Errors
    /// When a folder cannot be listed or is never still, or everybody may put keys into it.
    pub(super) fn read_files(&self) -> Result<FoundFiles, KeyError> {
        self.check_folder()?;
        let mut names = self.list()?;
        let mut reads = 1;
        loop {
            let (found, is_whole) = self.read(&names);
            let names_after = self.list()?;
            let is_still = names_after == names;
            // A name that leads nowhere is on its way to another version, or from there; or it stays so.
            if is_still && (is_whole || reads == READS_MAX) {
                return Ok(found);
            }
            if reads == READS_MAX {
                return Err(KeyError::NeverStill(self.folder().to_owned()));
            }
            (names, reads) = (names_after, reads + 1);
            std::thread::sleep(READ_PAUSE);
        }
    }

    /// The files of these names, and whether all of them were there.
    fn read(&self, names: &FolderListing) -> (FoundFiles, bool) {
        let mut is_whole = true;
        let mut read = |paths: &[PathBuf]| -> Vec<FoundFile> {
            let files = paths.iter().filter_map(|path| {
                let bytes = self.read_file(path).transpose();
                is_whole &= bytes.is_some();
                Some(FoundFile { path: path.clone(), bytes: bytes? })
            });
            files.collect()
        };
        let (tokens, secrets) = (read(&names.tokens), read(&names.secrets));
        (FoundFiles { tokens, secrets }, is_whole)
    }

    fn list(&self) -> Result<FolderListing, KeyError> {
        let tokens = list_folder(&self.tokens, self.is_shared, is_token_file)?;
        let secrets = list_folder(&self.secrets, self.is_shared, is_secret_file)?;
        let swapped_to = std::fs::read_link(self.tokens.join(SWAPPED_LINK)).ok();
        Ok(FolderListing { tokens, secrets, swapped_to })
    }

    /// `None` where there is none any more.
    pub(super) fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>, KeyError> {
        if !self.is_shared {
            return Ok(read_secret(path)?);
        }
        let failed = |error| SecretFileError::io(path)(error);
        // What is no file, such as a pipe, would be waited for, and nothing else be read meanwhile.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = match std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path) {
            // It went between the listing and now; the next listing says so, too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed)?,
        };
        // Of what was opened, which a swap leaves as it is.
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(failed(io::Error::other("it is no file")).into());
        }
        let mode = found.mode();
        if !is_private(mode, || is_read_only(path)) {
            return Err(KeyError::Exposed { path: path.to_owned(), mode: mode & 0o7777 });
        }
        let mut bytes = Vec::new();
        file.take(FILE_MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// Refuses a shared directory into which everybody may put keys that all would then believe.
    fn check_folder(&self) -> Result<(), KeyError> {
        if !self.is_shared {
            return Ok(());
        }
        let failed = |source| KeyError::Folder { path: self.tokens.clone(), source };
        let found = std::fs::metadata(&self.tokens).map_err(failed)?;
        if found.mode() & OTHERS_WRITE != 0 && !is_read_only(&self.tokens) {
            return Err(KeyError::OpenFolder(self.tokens.clone()));
        }
        Ok(())
    }
}

/// What a place held when it was listed.
#[derive(PartialEq, Eq)]
struct FolderListing {
    tokens: Vec<PathBuf>,
    secrets: Vec<PathBuf>,
    /// Which of its versions a mounted secret shows.
    swapped_to: Option<PathBuf>,
}

/// Whether whoever may read a file of a shared directory is meant to: its owner, and its group, which is how
/// Kubernetes gives a secret to a process that is not root (`fsGroup`). Where all may read it, only a file system that
/// is mounted to be read counts, as secrets are in a container that has no other users.
fn is_private(mode: u32, is_read_only: impl FnOnce() -> bool) -> bool {
    mode & BEYOND_GROUP_READS == 0 || (mode & BEYOND_ALL_READ == 0 && is_read_only())
}

fn is_read_only(path: &Path) -> bool {
    statvfs(path).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// The files of `folder` whose names are those of keys, by name. A shared directory has to be there.
fn list_folder(
    folder: &Path,
    is_shared: bool,
    is_key: impl Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, KeyError> {
    let failed = |source| KeyError::Folder { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if !is_shared && error.kind() == io::ErrorKind::NotFound => {
            return Ok(Vec::new());
        }
        entries => entries.map_err(failed)?,
    };
    let names: Result<Vec<OsString>, KeyError> =
        entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect();
    let paths = names?.into_iter().map(|name| folder.join(name));
    let mut files: Vec<_> = paths.filter(|path| is_key(path)).collect();
    files.sort();
    Ok(files)
}

fn is_token_file(path: &Path) -> bool {
    path.extension().is_some_and(|found| TOKEN_SUFFIXES.iter().any(|suffix| found == *suffix))
}

/// A draft that is being written has a dot in its name.
fn is_secret_file(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let rest = name.strip_prefix(SECRET_FILE);
    rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with('-') && !rest.contains('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_and_the_group_may_read_a_key_and_everybody_only_what_is_mounted_to_be_read() {
        for (mode, on_any, on_read_only) in [
            (0o100_400, true, true),
            (0o100_600, true, true),
            (0o100_440, true, true),
            (0o100_640, true, true),
            (0o100_444, false, true),
            (0o100_644, false, true),
            (0o100_660, false, false),
            (0o100_666, false, false),
            (0o100_777, false, false),
        ] {
            assert_eq!(is_private(mode, || false), on_any, "{mode:o}");
            assert_eq!(is_private(mode, || true), on_read_only, "{mode:o}, read only");
        }
    }

    #[test]
    fn drafts_and_other_files_are_no_keys() {
        for (name, is_token, is_secret) in [
            ("001790000000000.pk8", true, false),
            ("current.pem", true, false),
            ("url-signing-key", false, true),
            ("url-signing-key-001790000000000", false, true),
            ("url-signing-key.0123.tmp", false, false),
            ("url-signing-key-0017.0123.tmp", false, false),
            ("url-signing-keys", false, false),
            ("..data", false, false),
        ] {
            assert_eq!(is_token_file(Path::new(name)), is_token, "{name}");
            assert_eq!(is_secret_file(Path::new(name)), is_secret, "{name}");
        }
    }
}
