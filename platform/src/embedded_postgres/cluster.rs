//! The folder of one cluster: who owns it, how its programs are run, and the roles and databases in it.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::process::Command;

use super::account::Account;
use super::binaries::Binaries;
use super::{EmbeddedPostgresError, Purpose};
use crate::config::{SecretFileError, random_bytes, read_or_create_secret};
use crate::postgres::SERVICE_ROLE;

/// The cluster's folder inside the data folder.
pub(super) const CLUSTER: &str = "cluster";
/// The superuser, who owns what is migrated.
pub(super) const OWNER: &str = "chipq";

/// One cluster and what it takes to run it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) data_dir: PathBuf,
    pub(super) purpose: Purpose,
    pub(super) account: Option<Account>,
    pub(super) binaries: Binaries,
    pub(super) owner: Login,
    pub(super) service: Login,
}

/// A role, and how it proves itself.
#[derive(Debug)]
pub(super) struct Login {
    role: &'static str,
    pub(super) password: SecretString,
}

impl Login {
    /// The role whose password is in `path`; makes one when there is none.
    fn read(role: &'static str, path: &Path) -> Result<Self, SecretFileError> {
        let failed = |reason| SecretFileError::Generate { path: path.to_owned(), reason };
        let password = read_or_create_secret(path, || {
            Ok(hex::encode(random_bytes::<24>().map_err(failed)?).into_bytes())
        })?;
        let password = SecretString::from(String::from_utf8_lossy(&password).trim());
        Ok(Self { role, password })
    }
}

/// Makes the data folder; gives its absolute path.
pub(super) fn make_data_dir(
    path: &Path,
    purpose: Purpose,
) -> Result<PathBuf, EmbeddedPostgresError> {
    let failed = EmbeddedPostgresError::io;
    std::fs::create_dir_all(path).map_err(failed(path))?;
    let owner = std::fs::symlink_metadata(path).map_err(failed(path))?.uid();
    // A shared cluster lies at a name that anybody could have taken first.
    if purpose == Purpose::Testing && owner != rustix::process::geteuid().as_raw() {
        return Err(EmbeddedPostgresError::NotOurs(path.to_owned()));
    }
    // The account of the server must pass through, and see nothing.
    let mode = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(path, mode).map_err(failed(path))?;
    path.canonicalize().map_err(failed(path))
}

impl Cluster {
    pub(super) fn new(
        data_dir: PathBuf,
        purpose: Purpose,
        account: Option<Account>,
        binaries: Binaries,
    ) -> Result<Self, EmbeddedPostgresError> {
        let password = data_dir.join("password");
        if data_dir.join(CLUSTER).exists() && !password.exists() {
            // A new one would be of no use: the server knows the old one.
            let data = data_dir.join(CLUSTER);
            return Err(EmbeddedPostgresError::PasswordLost { data, password });
        }
        let owner = Login::read(OWNER, &password)?;
        let service = Login::read(SERVICE_ROLE, &data_dir.join("service-password"))?;
        Ok(Self { data_dir, purpose, account, binaries, owner, service })
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.data_dir.join(CLUSTER)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
    }

    /// Where the port of the last server is, so that the next one has the same.
    pub(super) fn port_file(&self) -> PathBuf {
        self.data_dir.join("port")
    }

    pub(super) fn url(&self, login: &Login, port: u16, database: &str) -> String {
        let (role, password) = (login.role, login.password.expose_secret());
        format!("postgres://{role}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// A command as the right account, with messages in English and no settings from our
    /// environment.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C").current_dir("/");
        for (variable, _) in std::env::vars_os() {
            if variable.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(variable);
            }
        }
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        command
    }

    /// A connection as who owns the cluster.
    pub(super) async fn connect(
        &self,
        port: u16,
        database: &str,
    ) -> Result<PgConnection, sqlx::Error> {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port)
            .username(OWNER)
            .password(self.owner.password.expose_secret())
            .database(database)
            .ssl_mode(PgSslMode::Disable)
            .application_name("chipq")
            .disable_statement_logging()
            .connect()
            .await
    }

    /// Makes the role of the services if it is missing, and lets its password be the one in our file.
    pub(super) async fn ensure_service_role(&self, port: u16) -> Result<(), EmbeddedPostgresError> {
        let Login { role, password } = &self.service;
        let mut connection = self.connect(port, "postgres").await?;
        let found: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)")
                .bind(role)
                .fetch_one(&mut connection)
                .await?;
        let verb = if found { "ALTER" } else { "CREATE" };
        // Nothing but hexadecimal digits, unless somebody wrote the file himself.
        let password = password.expose_secret().replace('\'', "''");
        let statement = format!("{verb} ROLE {role} LOGIN NOSUPERUSER PASSWORD '{password}'");
        sqlx::query(&statement).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Creates `database` if it is missing.
    pub(super) async fn ensure_database(
        &self,
        port: u16,
        database: &str,
    ) -> Result<(), EmbeddedPostgresError> {
        let mut connection = self.connect(port, "postgres").await?;
        let found: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(database)
                .fetch_one(&mut connection)
                .await?;
        if !found {
            let statement = format!("CREATE DATABASE \"{database}\"");
            sqlx::query(&statement).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(())
    }
}
