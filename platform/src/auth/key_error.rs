//! Why keys cannot be used.

use std::io;
use std::path::PathBuf;

use crate::config::SecretFileError;

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A key file is exposed, unreadable or cannot be written.
    #[error(transparent)]
    File(#[from] SecretFileError),
    /// A key file of a shared directory may be read by everybody, or written by others.
    #[error(
        "{} has mode {mode:04o}, so that others than its owner and its group may use it; give it mode 0440 (in \
         Kubernetes defaultMode: 0440 with an fsGroup, else chmod 640)",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Everybody may put keys into the shared directory.
    #[error("every user may put keys into {}; run: chmod o-w {}", .0.display(), .0.display())]
    OpenFolder(PathBuf),
    /// The directory changed each time that it was read.
    #[error("{} changed each time that it was read; see what keeps writing there", .0.display())]
    NeverStill(PathBuf),
    /// A key file holds something else, or half of one.
    #[error(
        "{} is not an Ed25519 key in PKCS #8 (DER or PEM); move it away, or write it again, whole",
        .0.display()
    )]
    NotAKey(PathBuf),
    /// A file of a secret holds something else, or half of one.
    #[error(
        "{} is not a secret of 32 bytes (as they are, in hexadecimal or in base64); move it away, or write it again, whole",
        .0.display()
    )]
    NotASecret(PathBuf),
    /// The folder cannot be listed, or a key in it not deleted.
    #[error(
        "cannot change or list the key folder {}: {source}; see that it is there (mounted, where it is a mount) \
         and that this process's user may use it",
        path.display()
    )]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The key set of another issuer does not parse.
    #[error("the key set holds no usable Ed25519 key")]
    EmptySet,
    /// There are none.
    #[error("there are no keys of tokens (*.pk8, *.pem) in {}; {remedy}", folder.display())]
    NoKeys {
        /// The folder.
        folder: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// There is no secret behind upload URLs and cursors.
    #[error("there is no secret of URLs (url-signing-key*) in {}; {remedy}", folder.display())]
    NoSecret {
        /// The folder.
        folder: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// There is no key of that id.
    #[error("there is no key {0}; `chipq keys list` shows those that there are")]
    UnknownKey(String),
    /// Nobody could sign in any more.
    #[error("the key {0} signs now; `chipq keys rotate` makes another one, wait a minute")]
    StillSigns(String),
    /// Whoever manages the secret changes it.
    #[error(
        "{} is mounted to be read only, so that keys are changed where it comes from; {remedy}",
        folder.display()
    )]
    ReadOnly {
        /// The directory.
        folder: PathBuf,
        /// What to do there.
        remedy: String,
    },
    /// The first keys are there.
    #[error("there are keys in {} already; `chipq keys rotate` makes another one", .0.display())]
    NotEmpty(PathBuf),
}
