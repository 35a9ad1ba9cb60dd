//! Small pieces that every service's configuration shares: secrets, and one report of all mistakes.
//!
//! Invariant: a secret never appears in `Debug` or `Display`, and a secret file is readable by its
//! owner only. Absent: the configuration of any one concern; each lives beside what it configures.

mod listen;

use std::convert::Infallible;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use clap::builder::TypedValueParser;
use secrecy::SecretString;
use uuid::Uuid;

pub use listen::listen_address;

/// Parses a secret argument; for clap's `value_parser`. Never fails.
///
/// # Errors
/// None; the type is what clap asks for.
pub fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// Whether two secrets are one, in a time that depends on their lengths only.
#[must_use]
pub fn is_same_secret(known: &str, given: &str) -> bool {
    verify_slices_are_equal(known.as_bytes(), given.as_bytes()).is_ok()
}

/// The most that somebody may have a second, or at once.
pub(crate) const RATE_MAX: u32 = 1_000_000;

/// Parses how many a second, or at once, somebody may have; for clap's `value_parser`.
#[must_use]
pub fn rate() -> impl TypedValueParser<Value = NonZeroU32> {
    clap::value_parser!(u32).range(1..=i64::from(RATE_MAX)).try_map(NonZeroU32::try_from)
}

/// Everything that is wrong with a configuration, reported at once.
#[derive(Debug, Default)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// Nothing is wrong yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The value, or `None` after noting what is wrong with `variable`.
    pub fn check<T, E: fmt::Display>(&mut self, variable: &str, value: Result<T, E>) -> Option<T> {
        value.map_err(|error| self.0.push(format!("{variable}: {error}"))).ok()
    }

    /// Notes `message` against `variable` unless `holds`.
    pub fn require(&mut self, holds: bool, variable: &str, message: &str) {
        if !holds {
            self.0.push(format!("{variable}: {message}"));
        }
    }

    /// Notes what is wrong elsewhere, too.
    pub fn merge(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// What is wrong, one line each, beginning with the variable.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// # Errors
    /// Itself, when anything is wrong.
    pub fn finish(self) -> Result<(), Self> {
        if self.0.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration is wrong in {} place(s)", self.0.len())?;
        self.0.iter().try_for_each(|line| write!(f, "\n  - {line}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Why a secret file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file may be read by others.
    #[error("{} can be read by other users; run: chmod 600 {}", .0.display(), .0.display())]
    Exposed(PathBuf),
    /// The file system refused.
    #[error("cannot read or write the secret file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// No randomness, or a key that could not be made.
    #[error("cannot generate the secret for {}: {reason}", path.display())]
    Generate {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl SecretFileError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// Reads the secret file at `path`, or creates it (mode 0600) with `generate`. When two processes
/// create it at once, both get the bytes of the one that came first.
pub(crate) fn read_or_create_secret(
    path: &Path,
    generate: impl FnOnce() -> Result<Vec<u8>, SecretFileError>,
) -> Result<Vec<u8>, SecretFileError> {
    if let Some(bytes) = read_secret(path)? {
        return Ok(bytes);
    }
    create_secret(path, &generate()?)?;
    read_secret(path)?.ok_or_else(|| SecretFileError::io(path)(io::ErrorKind::NotFound.into()))
}

/// The bytes of a secret file, `None` when there is none.
pub(crate) fn read_secret(path: &Path) -> Result<Option<Vec<u8>>, SecretFileError> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SecretFileError::io(path)(error)),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            return Err(SecretFileError::Exposed(path.to_owned()));
        }
        Ok(_) => {}
    }
    std::fs::read(path).map(Some).map_err(SecretFileError::io(path))
}

/// Writes beside `path`, then links into place, so that no reader ever sees half a secret and an
/// existing one is kept.
fn create_secret(path: &Path, bytes: &[u8]) -> Result<(), SecretFileError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(SecretFileError::io(folder))?;
    let draft = path.with_extension(format!("{}.tmp", Uuid::new_v4().simple()));
    let written =
        write_private(&draft, bytes).and_then(|()| match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => File::open(folder)?.sync_all(),
        });
    let removed = std::fs::remove_file(&draft);
    written.and(removed).map_err(SecretFileError::io(path))
}

/// Writes a new file that only its owner can read, and waits until it is on the disk.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// `N` random bytes from the operating system's generator.
pub(crate) fn random_bytes<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "no randomness available".to_owned())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let mut errors = ConfigErrors::new();
        assert_eq!(errors.check("PORT", "x".parse::<u16>()), None);
        errors.require(false, "DATA", "must be an absolute path");
        let message = errors.finish().unwrap_err().to_string();
        assert!(message.contains("PORT: invalid digit") && message.contains("DATA: must be"));
    }

    #[test]
    fn a_secret_file_is_private_and_the_first_writer_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let first = read_or_create_secret(&path, || Ok(b"one".to_vec())).unwrap();
        create_secret(&path, b"two").unwrap();
        assert_eq!((first, std::fs::read(&path).unwrap()), (b"one".to_vec(), b"one".to_vec()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_secret_file_that_others_can_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = read_secret(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
}
