//! The data folder, and the database that goes with it.
//!
//! `<data>/postgres` is the private PostgreSQL, `<data>/artifacts` the pictures; keys and the private
//! PostgreSQL's URL are files of mode 0600 in `<data>`, where every role looks for them. With a database
//! configured, no PostgreSQL is started.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use platform::embedded_postgres::{
    DATABASE, EmbeddedPostgres, EmbeddedPostgresConfig, EmbeddedPostgresError,
};
use platform::postgres::{self, DatabaseConfig};
use sqlx::PgPool;

use crate::cli::PlaceArgs;
use crate::failure::{Failure, exit};

/// A data folder in use, with its database running.
pub(crate) struct Place {
    data: PathBuf,
    database: DatabaseConfig,
    /// Absent when the database is somebody else's.
    postgres: Option<EmbeddedPostgres>,
}

impl Place {
    /// Opens the place for this process alone; starts the private PostgreSQL unless a database is
    /// configured.
    pub(crate) async fn open(args: &PlaceArgs) -> anyhow::Result<Self> {
        let data = args.data.clone().unwrap_or_else(default_data);
        make_folder(&data)?;
        if args.database.url().is_some() {
            return Ok(Self { data, database: args.database.clone(), postgres: None });
        }
        let config = EmbeddedPostgresConfig::new(data.join("postgres"));
        let postgres = EmbeddedPostgres::start(config).await?;
        let url = postgres.url(DATABASE);
        let place =
            Self { data, database: with_url(&args.database, &url), postgres: Some(postgres) };
        place.remember_url(&url)?;
        Ok(place)
    }

    /// Opens the place, also while another process serves from it.
    pub(crate) async fn visit(args: &PlaceArgs) -> anyhow::Result<Self> {
        let error = match Self::open(args).await {
            Ok(place) => return Ok(place),
            Err(error) => error,
        };
        if !matches!(error.downcast_ref(), Some(EmbeddedPostgresError::InUse(_))) {
            return Err(error);
        }
        let data = args.data.clone().unwrap_or_else(default_data);
        let Ok(url) = std::fs::read_to_string(url_file(&data)) else { return Err(error) };
        Ok(Self { data, database: with_url(&args.database, &url), postgres: None })
    }

    /// Connects to the database and brings it to the newest shape.
    pub(crate) async fn migrated_pool(&self) -> anyhow::Result<PgPool> {
        let pool = postgres::connect(&self.database).await?;
        postgres::migrate(&pool).await?;
        Ok(pool)
    }

    /// The data folder.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Where pictures are kept.
    pub(crate) fn artifacts(&self) -> PathBuf {
        self.data.join("artifacts")
    }

    /// Whether the database is the private one.
    pub(crate) fn is_private(&self) -> bool {
        self.postgres.is_some()
    }

    /// Stops what was started.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        match self.postgres {
            Some(postgres) => Ok(postgres.stop().await?),
            None => Ok(()),
        }
    }

    /// Other commands find the private PostgreSQL by this file while this process runs.
    fn remember_url(&self, url: &str) -> Result<(), Failure> {
        let path = url_file(&self.data);
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
}

fn url_file(data: &Path) -> PathBuf {
    data.join("private-postgres-url")
}

fn with_url(database: &DatabaseConfig, url: &str) -> DatabaseConfig {
    DatabaseConfig { database_url: DatabaseConfig::from_url(url).database_url, ..database.clone() }
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| cannot_use(folder, &error))
}

fn cannot_use(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format_args!("cannot use {}: {error}", path.display()),
        "name a folder that you may write to: --data DIR, or the variable CHIPQ_DATA",
        exit::CANNOT_WRITE,
    )
}

/// Where data is kept unless told otherwise.
fn default_data() -> PathBuf {
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
