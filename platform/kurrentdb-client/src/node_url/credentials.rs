//! Who we are, from the environment.
//!
//! Invariant: the password is never shown.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// One thing that is wrong with what the environment says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusedCredentials {
    /// Nobody to be.
    #[error("a password is set and nobody's: set CHIPQ_KURRENTDB_USER, too")]
    NoUser,
    /// Nothing to show.
    #[error(
        "set CHIPQ_KURRENTDB_PASSWORD, or CHIPQ_KURRENTDB_PASSWORD_FILE: CHIPQ_KURRENTDB_USER is set"
    )]
    NoPassword,
    /// Which of the two counts?
    #[error("set either CHIPQ_KURRENTDB_PASSWORD or CHIPQ_KURRENTDB_PASSWORD_FILE, not both")]
    TwoPasswords,
    /// Basic authentication separates the two by it (RFC 7617).
    #[error("CHIPQ_KURRENTDB_USER must not hold a colon")]
    Colon,
    /// The file is not there, may not be read, or has nothing in it.
    #[error("CHIPQ_KURRENTDB_PASSWORD_FILE={file:?} cannot be read: {error}")]
    File {
        /// Its path.
        file: String,
        /// What is wrong.
        error: String,
    },
}

/// User and password.
#[derive(Clone, PartialEq, Eq)]
pub struct KurrentCredentials {
    user: String,
    password: String,
}

impl KurrentCredentials {
    /// From `CHIPQ_KURRENTDB_USER` and `CHIPQ_KURRENTDB_PASSWORD` or `CHIPQ_KURRENTDB_PASSWORD_FILE` (whose last line
    /// break is not part of it), as `lookup` knows them; none where nobody is named.
    ///
    /// # Errors
    /// What is missing, or said twice.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>, RefusedCredentials> {
        let look = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let user = look("CHIPQ_KURRENTDB_USER");
        let password =
            match (look("CHIPQ_KURRENTDB_PASSWORD"), look("CHIPQ_KURRENTDB_PASSWORD_FILE")) {
                (Some(_), Some(_)) => return Err(RefusedCredentials::TwoPasswords),
                (Some(password), None) => Some(password),
                (None, Some(file)) => Some(read_password(file)?),
                (None, None) => None,
            };
        match (user, password) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(RefusedCredentials::NoUser),
            (Some(_), None) => Err(RefusedCredentials::NoPassword),
            (Some(user), _) if user.contains(':') => Err(RefusedCredentials::Colon),
            (Some(user), Some(password)) => Ok(Some(Self { user, password })),
        }
    }

    /// The value of an `Authorization` header (RFC 7617).
    pub(crate) fn to_header(&self) -> String {
        let both = format!("{}:{}", self.user, self.password);
        format!("Basic {}", BASE64_STANDARD.encode(both))
    }
}

impl fmt::Debug for KurrentCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KurrentCredentials").field("user", &self.user).finish_non_exhaustive()
    }
}

fn read_password(file: String) -> Result<String, RefusedCredentials> {
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return Err(RefusedCredentials::File { file, error: error.to_string() }),
    };
    let password = text.strip_suffix('\n').unwrap_or(&text);
    let password = password.strip_suffix('\r').unwrap_or(password);
    if password.is_empty() {
        return Err(RefusedCredentials::File { file, error: "it is empty".to_owned() });
    }
    Ok(password.to_owned())
}
