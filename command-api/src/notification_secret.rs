//! The secret that the bucket of pictures is known by, when it tells of what arrives.
//!
//! Invariant: it comes from a file or the environment, never from the command line, and no message shows it.

use std::path::PathBuf;

use platform::config::{ConfigErrors, is_same_secret};
use secrecy::{ExposeSecret as _, SecretString};

/// The secret itself, where it is in no file.
const VARIABLE: &str = "CHIPQ_STORE_NOTIFICATION_SECRET";
const FILE_VARIABLE: &str = "CHIPQ_STORE_NOTIFICATION_SECRET_FILE";
/// Fewer characters are guessed too soon.
const LENGTH_MIN: usize = 16;

/// How the bucket of pictures is known.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct NotificationConfig {
    /// File with the secret that the bucket of pictures sends with its notifications, of 16 characters at least; or the
    /// secret itself as CHIPQ_STORE_NOTIFICATION_SECRET of the environment. Without one no notification is taken.
    #[arg(long, env = FILE_VARIABLE, value_name = "FILE")]
    pub store_notification_secret_file: Option<PathBuf>,
}

/// A secret that another one can be compared with.
#[derive(Debug, Clone)]
pub(crate) struct NotificationSecret(SecretString);

impl NotificationSecret {
    /// In a time that says nothing of where they differ.
    pub(crate) fn is_same(&self, given: &str) -> bool {
        is_same_secret(self.0.expose_secret(), given)
    }
}

impl NotificationConfig {
    /// Notes everything that is wrong.
    pub(crate) fn check(&self, errors: &mut ConfigErrors) {
        errors.check(FILE_VARIABLE, self.read());
    }

    /// The secret, if one is configured as it should be.
    pub(crate) fn secret(&self) -> Option<NotificationSecret> {
        self.read().ok().flatten()
    }

    fn read(&self) -> Result<Option<NotificationSecret>, String> {
        let text = match &self.store_notification_secret_file {
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                format!("cannot read {}: {error}; name a file with the secret", path.display())
            })?,
            None => std::env::var(VARIABLE).unwrap_or_default(),
        };
        let text = text.trim();
        if text.is_empty() && self.store_notification_secret_file.is_none() {
            return Ok(None);
        }
        if text.len() < LENGTH_MIN {
            return Err(format!(
                "the secret has fewer than {LENGTH_MIN} characters; make one with openssl rand -hex 32"
            ));
        }
        Ok(Some(NotificationSecret(SecretString::from(text))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_from_its_file_without_the_line_end_and_a_short_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let config = NotificationConfig { store_notification_secret_file: Some(path.clone()) };
        assert!(config.read().unwrap_err().contains("cannot read"));
        std::fs::write(&path, "short\n").unwrap();
        assert!(config.read().unwrap_err().contains("16 characters"));
        std::fs::write(&path, "sixteen characters and more\n").unwrap();
        let secret = config.secret().unwrap();
        assert!(secret.is_same("sixteen characters and more"));
        assert!(!secret.is_same("sixteen characters and mor"));
        assert!(!secret.is_same(""));
    }
}
