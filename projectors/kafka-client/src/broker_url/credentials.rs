//! Who we are, from the environment.
//!
//! Invariant: the password is never shown.

use std::fmt;

/// One thing that is wrong with what the environment says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCredentials {
    /// Nobody to be.
    #[error("set CHIPQ_KAFKA_USER: the URL has sasl=")]
    NoUser,
    /// Nothing to show.
    #[error("set CHIPQ_KAFKA_PASSWORD, or CHIPQ_KAFKA_PASSWORD_FILE: the URL has sasl=")]
    NoPassword,
    /// Which of the two counts?
    #[error("set either CHIPQ_KAFKA_PASSWORD or CHIPQ_KAFKA_PASSWORD_FILE, not both")]
    TwoPasswords,
    /// The file is not there, may not be read, or has nothing in it.
    #[error("CHIPQ_KAFKA_PASSWORD_FILE={file:?} cannot be read: {error}")]
    File {
        /// Its path.
        file: String,
        /// What is wrong.
        error: String,
    },
    /// The other direction: a password is set and would not be used.
    #[error("CHIPQ_KAFKA_USER is set, and the URL does not say how: add sasl=scram-sha-512 to it")]
    NoMechanism,
}

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The secret.
    pub(crate) password: String,
}

impl Credentials {
    /// These two.
    #[must_use]
    pub fn new(user: String, password: String) -> Self {
        Self { user, password }
    }

    /// From `CHIPQ_KAFKA_USER` and `CHIPQ_KAFKA_PASSWORD` or `CHIPQ_KAFKA_PASSWORD_FILE` (whose last line break is
    /// not part of it), as `lookup` knows them; none where `is_asked` is not set.
    ///
    /// # Errors
    /// What is missing, or said twice.
    pub fn from_lookup(
        is_asked: bool,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidCredentials> {
        let look = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let user = look("CHIPQ_KAFKA_USER");
        if !is_asked {
            return user.map_or(Ok(None), |_| Err(InvalidCredentials::NoMechanism));
        }
        let user = user.ok_or(InvalidCredentials::NoUser)?;
        let password = match (look("CHIPQ_KAFKA_PASSWORD"), look("CHIPQ_KAFKA_PASSWORD_FILE")) {
            (Some(_), Some(_)) => return Err(InvalidCredentials::TwoPasswords),
            (Some(password), None) => password,
            (None, Some(file)) => read(file)?,
            (None, None) => return Err(InvalidCredentials::NoPassword),
        };
        Ok(Some(Self { user, password }))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

fn read(file: String) -> Result<String, InvalidCredentials> {
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return Err(InvalidCredentials::File { file, error: error.to_string() }),
    };
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(InvalidCredentials::File { file, error: "it is empty".to_owned() });
    }
    Ok(password.to_owned())
}
