//! One installation on this machine: its data folder, and the database that goes with it.
//!
//! `<data>/postgres` is the private PostgreSQL, `<data>/artifacts` the pictures, closed to other users; keys,
//! and the URL that services reach the private PostgreSQL by, are files of mode 0600 in `<data>`, where every
//! role looks for them. With a database configured, no PostgreSQL is started.

mod new_folder;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use platform::artifact_store::ArtifactStoreConfig;
use platform::config::ConfigErrors;
use platform::embedded_postgres::{
    DATABASE, EmbeddedPostgres, EmbeddedPostgresConfig, EmbeddedPostgresError,
};
use platform::event_log::EventLogUrl;
use platform::foundation::{DataConfig, Foundation, FoundationConfig};
use platform::ownership::check_owner;
use platform::postgres::{self, DatabaseConfig};

use crate::failure::{Failure, exit, join_faults};
use new_folder::NewFolder;

/// The folder of the private PostgreSQL in the data folder.
pub(crate) const POSTGRES: &str = "postgres";

/// Where data is kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct InstallationArgs {
    /// Folder for everything that is kept: PostgreSQL, pictures, keys.
    /// Default: $XDG_DATA_HOME/chipq or ~/.local/share/chipq; /var/lib/chipq for root.
    #[arg(long, env = "CHIPQ_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) artifact_store: ArtifactStoreConfig,
    #[command(flatten, next_help_heading = "Database")]
    pub(crate) foundation: FoundationConfig,
}

impl InstallationArgs {
    /// Notes everything that cannot be right, before a PostgreSQL is started for it.
    pub(crate) fn check(&self, errors: &mut ConfigErrors) {
        data_config(self).check(errors);
        if self.foundation.database.url().is_some() {
            self.foundation.check(errors);
        } else if let Some(log) =
            errors.check("CHIPQ_EVENT_LOG_URL", self.foundation.event_log.url())
        {
            // Nobody can name a private PostgreSQL: its port and its password are its own affair.
            errors.require(
                !matches!(log, Some(EventLogUrl::Postgres(_))),
                "CHIPQ_EVENT_LOG_URL",
                "without CHIPQ_DATABASE_URL the log is in the private PostgreSQL; leave it out, or set \
                 both to the same",
            );
        }
    }

    /// The folder `data` with a private database, whatever is configured for others.
    pub(crate) fn private(data: PathBuf) -> Self {
        // An empty URL is none.
        let foundation = FoundationConfig::from_url("");
        Self { data: Some(data), artifact_store: ArtifactStoreConfig::default(), foundation }
    }
}

/// A data folder in use, with its database running.
pub(crate) struct Installation {
    foundation: FoundationConfig,
    data: DataConfig,
    /// Absent when the database is somebody else's.
    postgres: Option<EmbeddedPostgres>,
}

impl Installation {
    /// Opens it for this process alone; makes it when there is none, and starts the private PostgreSQL unless a
    /// database is configured.
    pub(crate) async fn open(args: &InstallationArgs) -> anyhow::Result<Self> {
        let mut errors = ConfigErrors::new();
        args.check(&mut errors);
        errors.finish()?;
        let data = data_config(args);
        check_owner(&data.data_dir)?;
        if args.foundation.database.url().is_some() {
            return Ok(Self { foundation: args.foundation.clone(), data, postgres: None });
        }
        let folder = NewFolder::make(data.data_dir.clone());
        let folder = folder.map_err(|error| cannot_use(&data.data_dir, &error))?;
        let config = EmbeddedPostgresConfig::new(data.data_dir.join(POSTGRES));
        let postgres = EmbeddedPostgres::start(config).await?;
        folder.keep();
        let url = postgres.service_url(DATABASE);
        remember_url(&data.data_dir, &url)?;
        Ok(Self { foundation: with_url(&args.foundation, &url), data, postgres: Some(postgres) })
    }

    /// Opens one that is there, also while another process serves from it.
    pub(crate) async fn visit(args: &InstallationArgs) -> anyhow::Result<Self> {
        let data_dir = data_config(args).data_dir;
        if args.foundation.database.url().is_none() && !is_installed(&data_dir) {
            return Err(Failure::new(
                format_args!("there is no installation in {}", data_dir.display()),
                "name its folder with --data DIR, or make one there with `chipq migrate`",
                exit::NO_INPUT,
            )
            .into());
        }
        Self::open_or_join(args).await
    }

    /// Opens it, also while another process serves from it; makes it when there is none.
    pub(crate) async fn open_or_join(args: &InstallationArgs) -> anyhow::Result<Self> {
        let error = match Self::open(args).await {
            Ok(installation) => return Ok(installation),
            Err(error) => error,
        };
        if !matches!(error.downcast_ref(), Some(EmbeddedPostgresError::InUse(_))) {
            return Err(error);
        }
        let data = data_config(args);
        let Ok(url) = std::fs::read_to_string(url_file(&data.data_dir)) else { return Err(error) };
        Ok(Self { foundation: with_url(&args.foundation, &url), data, postgres: None })
    }

    /// Opens what roles stand on, with the database in its newest shape.
    pub(crate) async fn open_foundation(&self) -> anyhow::Result<Foundation> {
        if let Some(private) = &self.postgres {
            migrate_as_owner(&private.owner_url(DATABASE)).await?;
        }
        let foundation = Foundation::open(&self.foundation).await?;
        postgres::migrate(foundation.pool()).await?;
        foundation.check_log().await?;
        Ok(foundation)
    }

    /// Opens what roles stand on as it is; refuses a database that somebody has to migrate first.
    pub(crate) async fn open_foundation_unchanged(&self) -> anyhow::Result<Foundation> {
        let foundation = Foundation::open(&self.foundation).await?;
        postgres::check_migrated(foundation.pool()).await?;
        foundation.check_log().await?;
        Ok(foundation)
    }

    /// Opens it, and what roles stand on, for a process in which every role runs; the bucket of pictures is tried
    /// meanwhile, so that whoever configured it and the database hears of both.
    pub(crate) async fn open_for_all(
        args: &InstallationArgs,
    ) -> anyhow::Result<(Self, Foundation)> {
        let mut errors = ConfigErrors::new();
        args.check(&mut errors);
        errors.finish()?;
        let data = data_config(args);
        let (opened, bucket) =
            tokio::join!(Self::open_with_foundation(args), data.try_bucket(true));
        match (opened, bucket) {
            (Ok((installation, foundation)), Err(error)) => {
                foundation.close().await;
                Err(installation.close_after(error.into()).await)
            }
            (opened, bucket) => {
                join_faults(opened, bucket.map_err(anyhow::Error::from)).map(|(opened, ())| opened)
            }
        }
    }

    async fn open_with_foundation(args: &InstallationArgs) -> anyhow::Result<(Self, Foundation)> {
        let installation = Self::open(args).await?;
        match installation.open_foundation_for_all().await {
            Ok(foundation) => Ok((installation, foundation)),
            Err(error) => Err(installation.close_after(error).await),
        }
    }

    /// With the database in its newest shape, for a process in which every role runs.
    async fn open_foundation_for_all(&self) -> anyhow::Result<Foundation> {
        Ok(self.open_foundation().await?.with_pools_apart(&self.foundation)?)
    }

    /// What is kept outside the database.
    pub(crate) const fn data(&self) -> &DataConfig {
        &self.data
    }

    /// The data folder.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data.data_dir
    }

    /// Whether the database is the private one.
    pub(crate) const fn is_private(&self) -> bool {
        self.postgres.is_some()
    }

    /// Stops what was started, for an error that is the one to tell.
    pub(crate) async fn close_after(self, error: anyhow::Error) -> anyhow::Error {
        if let Err(second) = self.close().await {
            tracing::warn!(error = %second, "the database did not stop in good order");
        }
        error
    }

    /// Stops what was started.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.postgres {
            Some(postgres) => Ok(postgres.stop().await?),
            None => Ok(()),
        }
    }
}

/// Brings a private database to the newest shape, as who owns it and the log: its services may not.
async fn migrate_as_owner(url: &str) -> anyhow::Result<()> {
    let pool = postgres::connect(&DatabaseConfig::from_url(url)).await?;
    postgres::migrate(&pool).await?;
    postgres::grant_to_services(&pool).await?;
    pool.close().await;
    Ok(())
}

fn data_config(args: &InstallationArgs) -> DataConfig {
    DataConfig {
        data_dir: args.data.clone().unwrap_or_else(default_data_dir),
        artifact_store: args.artifact_store.clone(),
    }
}

/// Other commands find the private PostgreSQL by this file while this process runs.
fn remember_url(data_dir: &Path, url: &str) -> Result<(), Failure> {
    let path = url_file(data_dir);
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(url.as_bytes()))
        .map_err(|error| cannot_use(&path, &error))
}

fn url_file(data_dir: &Path) -> PathBuf {
    data_dir.join("private-postgres-url")
}

fn with_url(foundation: &FoundationConfig, url: &str) -> FoundationConfig {
    let database_url = DatabaseConfig::from_url(url).database_url;
    let database = DatabaseConfig { database_url, ..foundation.database.clone() };
    FoundationConfig { database, ..foundation.clone() }
}

/// Whether there is a private database in the folder.
fn is_installed(data_dir: &Path) -> bool {
    data_dir.join("postgres/cluster").exists()
}

fn cannot_use(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format_args!("cannot use {}: {error}", path.display()),
        "name a folder that you may write to: --data DIR, or the variable CHIPQ_DATA",
        exit::CANNOT_WRITE,
    )
}

/// Where data is kept unless told otherwise.
pub(crate) fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/chipq");
    }
    let set = |variable| std::env::var_os(variable).filter(|value| !value.is_empty());
    let shared = set("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    shared
        .or_else(|| set("HOME").map(|home| PathBuf::from(home).join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("."))
        .join("chipq")
}

#[cfg(test)]
mod tests {
    use platform::event_log::EventLogConfig;

    use super::*;

    #[tokio::test]
    async fn a_log_or_a_store_that_cannot_be_used_is_refused_before_anything_is_made() {
        let folder = std::env::temp_dir().join(format!("chipq-refused-{}", std::process::id()));
        let mut args = InstallationArgs::private(folder.clone());
        let log_url = Some("postgres://me@localhost/chipq".into());
        args.foundation.event_log = EventLogConfig { event_log_url: log_url };
        args.artifact_store.artifact_store_url = Some("s3://bucket".into());
        let error = Installation::open(&args).await.err().unwrap();
        let failure = Failure::from_error(&error);
        assert_eq!(failure.code, exit::USAGE);
        for part in ["2 settings", "CHIPQ_EVENT_LOG_URL: without", "CHIPQ_ARTIFACT_STORE_URL: the"]
        {
            assert!(failure.what.contains(part), "{failure}");
        }
        assert!(!folder.exists());
    }
}
