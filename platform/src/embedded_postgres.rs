//! A PostgreSQL cluster of our own, run from the binaries installed on the machine.
//!
//! Invariant: the data survives `kill -9` of us and of the server; a cluster that outlived us is
//! adopted, never started twice; it listens on loopback only and asks for a password, and services have
//! a role that is no superuser. A serving cluster ends with us, however we end; one of the tests runs on.
//! Absent: schemas (see `postgres`).

mod account;
mod binaries;
mod cluster;
mod identity;
mod initdb;
mod launch;
mod pid_file;
mod program;
mod server;
mod supervisor;

#[cfg(test)]
mod tests;

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cluster::Cluster;
use supervisor::Supervisor;

/// The database that is created for the platform.
pub const DATABASE: &str = "chipq";

/// How long another process may hold a shared cluster's lock: it may be running initdb.
const SHARED_LOCK_PATIENCE: Duration = Duration::from_secs(120);
/// How long a lock is waited for that somebody may just have let go: a child of theirs that has not begun its own
/// program yet holds it, too.
const LEFT_LOCK_PATIENCE: Duration = Duration::from_millis(500);

/// Where a cluster lives and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedPostgresConfig {
    /// The folder of the cluster and its password; made when missing. Nothing else may use it.
    pub data_dir: PathBuf,
    /// What it is for. Default [`Purpose::Serving`].
    pub purpose: Purpose,
    /// The folder of `postgres` and `initdb`. Default: `CHIPQ_POSTGRES_BIN`, else the
    /// PATH and the usual places are searched.
    pub binaries: Option<PathBuf>,
}

impl EmbeddedPostgresConfig {
    /// The defaults, with the data in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            purpose: Purpose::Serving,
            binaries: std::env::var_os("CHIPQ_POSTGRES_BIN")
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from),
        }
    }
}

/// What a cluster is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Durable, owned by one process, watched and restarted when it dies.
    Serving,
    /// Fast and forgetful (no fsync), shared by all test processes, and left running.
    Testing,
}

/// Why there is no private cluster. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    /// No binaries.
    #[error(
        "PostgreSQL is not installed (looked in {searched}). Install it with\n    \
         sudo apt-get install postgresql        (Debian, Ubuntu)\n    \
         brew install postgresql@17             (macOS)\n\
         or set CHIPQ_POSTGRES_BIN to the folder of initdb and postgres, or CHIPQ_DATABASE_URL \
         to a running server"
    )]
    NotInstalled {
        /// The folders that were searched.
        searched: String,
    },
    /// The installed version is too old.
    #[error("PostgreSQL {found} in {} is too old; install {oldest} or newer", binaries.display())]
    TooOld {
        /// Where it is.
        binaries: PathBuf,
        /// Its major version.
        found: u32,
        /// The oldest that will do.
        oldest: u32,
    },
    /// The data was written by a version that is not installed.
    #[error(
        "the data in {} was written by PostgreSQL {data}, but only {installed} is installed; \
         install PostgreSQL {data}, or upgrade the data with pg_upgrade, or choose another folder",
        data_dir.display()
    )]
    OtherVersion {
        /// The data folder.
        data_dir: PathBuf,
        /// The major version of the data.
        data: String,
        /// The major versions installed.
        installed: String,
    },
    /// Another process has it.
    #[error(
        "another chipq is using {}; stop that one, or choose another data folder",
        .0.display()
    )]
    InUse(PathBuf),
    /// The account that PostgreSQL must run as cannot get there.
    #[error(
        "PostgreSQL does not run as root, and the user {user} cannot enter {}; \
         run: chmod o+x {}, or choose a data folder elsewhere, such as /var/lib/chipq",
        folder.display(), folder.display()
    )]
    Unreachable {
        /// The first folder on the way that keeps it out.
        folder: PathBuf,
        /// The account.
        user: String,
    },
    /// A shared folder that somebody else made.
    #[error("{} belongs to another user; remove it", .0.display())]
    NotOurs(PathBuf),
    /// PostgreSQL cannot use its own data.
    #[error(
        "{} belongs to the user with id {owner}, and PostgreSQL runs as another; run: chown -R {user} {}",
        folder.display(), folder.display()
    )]
    OfAnotherUser {
        /// The cluster's folder.
        folder: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        user: String,
    },
    /// We are root and there is no other account.
    #[error(
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody; add one"
    )]
    NoAccount,
    /// A program failed.
    #[error("{program} failed: {output}; {advice}")]
    Program {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// The end of what it said, and how it ended.
        output: String,
        /// What to do.
        advice: String,
    },
    /// The server did not answer in time.
    #[error(
        "PostgreSQL did not answer within {seconds} s; see {} for what process {pid} is doing, or end it",
        log.display()
    )]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// The server's process.
        pid: i32,
        /// Its log.
        log: PathBuf,
    },
    /// The server does not end.
    #[error("PostgreSQL does not end; end it: kill -9 {pid}")]
    DoesNotEnd {
        /// Its process.
        pid: i32,
    },
    /// A file of the data has lost what was in it.
    #[error("{} is damaged, as after a power loss; restore the data folder from its backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Nobody knows the password of the data.
    #[error(
        "the password of {} is lost; restore the file {} from its backup",
        data.display(), password.display()
    )]
    PasswordLost {
        /// The cluster's folder.
        data: PathBuf,
        /// The password file.
        password: PathBuf,
    },
    /// A server runs on the data but does not know our password.
    #[error(
        "the server on {} refuses the password in {}; restore that file",
        data.display(), password.display()
    )]
    PasswordRefused {
        /// The cluster's folder.
        data: PathBuf,
        /// The password file.
        password: PathBuf,
    },
    /// A file cannot be used.
    #[error("cannot use {}: {source}; check its owner and the disk", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The password file cannot be used.
    #[error(transparent)]
    Secret(#[from] crate::config::SecretFileError),
    /// The server answered, but not as it should.
    #[error("the private PostgreSQL failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl EmbeddedPostgresError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    cluster: Arc<Cluster>,
    port: u16,
    supervisor: Option<Supervisor>,
    /// Held as long as a serving cluster is ours; the system releases it when we die.
    _lock: Option<File>,
}

impl EmbeddedPostgres {
    /// Starts the cluster in the configured folder, or adopts it if it is running. Makes it first
    /// (initdb) when there is none, and creates the database [`DATABASE`].
    ///
    /// # Errors
    /// When PostgreSQL is not installed, the folder is in use or unusable, or the server fails.
    pub async fn start(config: EmbeddedPostgresConfig) -> Result<Self, EmbeddedPostgresError> {
        let (cluster, lock) = prepare_cluster(&config).await?;
        cluster.initialise_cluster().await?;
        let server = cluster.adopt_or_launch().await?;
        let port = server.port();
        let serving = config.purpose == Purpose::Serving;
        if serving {
            cluster.ensure_service_role(port).await?;
        }
        cluster.ensure_database(port, DATABASE).await?;
        let cluster = Arc::new(cluster);
        let supervisor = if serving {
            Some(Supervisor::spawn(Arc::clone(&cluster), server))
        } else {
            server.let_go();
            None
        };
        Ok(Self { cluster, port, supervisor, _lock: lock.filter(|_| serving) })
    }

    /// The URL of a database in this cluster for its services, with the password in it.
    #[must_use]
    pub fn service_url(&self, database: &str) -> String {
        self.cluster.url(&self.cluster.service, self.port, database)
    }

    /// The same for the superuser, who owns the database and the log in it.
    #[must_use]
    pub fn owner_url(&self, database: &str) -> String {
        self.cluster.url(&self.cluster.owner, self.port, database)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops the server in good order: sessions are ended, everything is on the disk.
    ///
    /// # Errors
    /// When it does not stop within its time.
    pub async fn stop(mut self) -> Result<(), EmbeddedPostgresError> {
        let server = match self.supervisor.take() {
            Some(supervisor) => supervisor.stop_watching().await,
            None => None,
        };
        match server {
            Some(server) => server.stop().await,
            None => self.cluster.stop().await,
        }
    }
}

/// Stops the cluster in `data_dir` if one is running; for whoever did not start it.
///
/// # Errors
/// When it does not stop within its time.
pub async fn stop_cluster(config: &EmbeddedPostgresConfig) -> Result<(), EmbeddedPostgresError> {
    if !config.data_dir.join(cluster::CLUSTER).exists() {
        return Ok(());
    }
    let (cluster, _lock) = prepare_cluster(config).await?;
    cluster.stop().await
}

/// The folder, its lock, the account and the binaries.
async fn prepare_cluster(
    config: &EmbeddedPostgresConfig,
) -> Result<(Cluster, Option<File>), EmbeddedPostgresError> {
    let data_dir = cluster::make_data_dir(&config.data_dir, config.purpose)?;
    let lock = lock_data_folder(&data_dir, config.purpose).await?;
    let account = account::choose_owner(&data_dir.join(cluster::CLUSTER))?;
    if let Some(account) = &account {
        account.check_can_enter(&data_dir)?;
    }
    let places = binaries::Places::of_this_machine(config.binaries.clone());
    let binaries = binaries::find(&places, &data_dir.join(cluster::CLUSTER)).await?;
    Ok((Cluster::new(data_dir, config.purpose, account, binaries)?, Some(lock)))
}

/// Takes the lock of the folder: within a moment or not at all for serving, with patience for tests.
async fn lock_data_folder(
    data_dir: &Path,
    purpose: Purpose,
) -> Result<File, EmbeddedPostgresError> {
    let path = data_dir.join("lock");
    // Whoever can open it can hold it, and keep us from starting.
    let file = File::options().create(true).append(true).mode(0o600).open(&path);
    let file = file.map_err(EmbeddedPostgresError::io(&path))?;
    if file.metadata().is_ok_and(|found| found.mode() & 0o077 != 0) {
        let closed = file.set_permissions(Permissions::from_mode(0o600));
        closed.map_err(EmbeddedPostgresError::io(&path))?;
    }
    let patience = match purpose {
        Purpose::Serving => LEFT_LOCK_PATIENCE,
        Purpose::Testing => SHARED_LOCK_PATIENCE,
    };
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(EmbeddedPostgresError::io(&path)(error));
            }
            Err(std::fs::TryLockError::WouldBlock) => {}
        }
        if tokio::time::Instant::now() >= deadline {
            return Err(EmbeddedPostgresError::InUse(data_dir.to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
