//! The folder of one cluster: making it, finding out who runs on it, launching and stopping.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::account::Account;
use super::binaries::Binaries;
use super::pid_file::{Occupant, PidFile, find_occupant};
use super::server::{self, Server, free_port, log_tail};
use super::{EmbeddedPostgresError, Purpose};
use crate::backoff::Backoff;
use crate::config::{SecretFileError, random_bytes, read_or_create_secret};
use crate::postgres::SERVICE_ROLE;

/// The cluster's folder inside the data folder.
pub(super) const CLUSTER: &str = "cluster";
/// The superuser, who owns what is migrated.
pub(super) const OWNER: &str = "chipq";
/// How long a server may take to answer: it may be recovering.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// Between two looks at a starting server, which logs each as refused.
const READY_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(25), Duration::from_millis(200), 0.0);
/// How long the remains of a killed server may keep its shared memory.
const REMAINS_LIMIT: Duration = Duration::from_secs(30);
/// How long `pg_ctl stop` waits.
const STOP_LIMIT_S: u32 = 30;
/// How often a free port is taken by somebody else before we give up.
const PORT_ATTEMPTS: u32 = 5;

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

/// Why a launch failed, as far as it matters for trying again.
enum LaunchError {
    PortTaken,
    /// Processes of a killed server are still there.
    Remains,
    Other(EmbeddedPostgresError),
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
        let owner = Login::read(OWNER, &data_dir.join("password"))?;
        let service = Login::read(SERVICE_ROLE, &data_dir.join("service-password"))?;
        Ok(Self { data_dir, purpose, account, binaries, owner, service })
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.data_dir.join(CLUSTER)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.data_dir.join("postgres.log")
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
        for variable in ["PGDATA", "PGPORT", "PGHOST", "PGUSER", "PGOPTIONS"] {
            command.env_remove(variable);
        }
        if let Some(account) = &self.account {
            account.apply(&mut command);
        }
        command
    }

    /// The server that already runs on the folder, else a new one, on the last port if that is
    /// free.
    pub(super) async fn adopt_or_launch(&self) -> Result<Server, EmbeddedPostgresError> {
        let path = self.data_dir.join("port");
        let remembered = std::fs::read_to_string(&path).ok();
        let server = match self.adopt_running().await? {
            Some(server) => server,
            None => self.launch_anywhere(remembered.and_then(|t| t.trim().parse().ok())).await?,
        };
        std::fs::write(&path, server.port().to_string())
            .map_err(EmbeddedPostgresError::io(&path))?;
        Ok(server)
    }

    async fn launch_anywhere(
        &self,
        mut preferred: Option<u16>,
    ) -> Result<Server, EmbeddedPostgresError> {
        let loopback = Path::new("127.0.0.1");
        for _ in 0..PORT_ATTEMPTS {
            let port = free_port(preferred.take()).map_err(EmbeddedPostgresError::io(loopback))?;
            match self.launch_server(port).await {
                Err(LaunchError::PortTaken) => {}
                outcome => return outcome.map_err(|error| self.explain(error)),
            }
        }
        Err(self.explain(LaunchError::PortTaken))
    }

    /// A new server on exactly this port, for pools that already know it.
    pub(super) async fn launch_on(&self, port: u16) -> Result<Server, EmbeddedPostgresError> {
        self.launch_server(port).await.map_err(|error| self.explain(error))
    }

    fn explain(&self, error: LaunchError) -> EmbeddedPostgresError {
        let output = match error {
            LaunchError::Other(error) => return error,
            LaunchError::PortTaken => "its port is taken by another program".to_owned(),
            LaunchError::Remains => format!(
                "processes of a killed server are still there; end them (see {})",
                self.log().display()
            ),
        };
        EmbeddedPostgresError::Program { program: "postgres", output }
    }

    /// The server that runs on the folder, once it answers; `None` when there is none.
    async fn adopt_running(&self) -> Result<Option<Server>, EmbeddedPostgresError> {
        let deadline = Instant::now() + READY_LIMIT;
        while Instant::now() < deadline {
            match find_occupant(&self.folder()) {
                Occupant::Nobody => return Ok(None),
                Occupant::Impostor => {
                    PidFile::remove(&self.folder())?;
                    return Ok(None);
                }
                Occupant::Server(PidFile { port: Some(port), .. }) => {
                    if self.is_answering(port).await? {
                        tracing::info!(port, "adopting the private PostgreSQL that is running");
                        return Ok(Some(Server::new(port, None)));
                    }
                }
                Occupant::Server(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(self.not_ready())
    }

    async fn launch_server(&self, port: u16) -> Result<Server, LaunchError> {
        let deadline = Instant::now() + REMAINS_LIMIT;
        loop {
            match self.launch_once(port).await {
                Err(LaunchError::Remains) if Instant::now() < deadline => {
                    // One that was just starting when its owner was killed has won the race.
                    if let Some(server) = self.adopt_running().await.map_err(LaunchError::Other)? {
                        return Ok(server);
                    }
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn launch_once(&self, port: u16) -> Result<Server, LaunchError> {
        let log_start = std::fs::metadata(self.log()).map_or(0, |found| found.len());
        let mut command = self.command(&self.binaries.program_path("postgres"));
        command.arg("-D").arg(self.folder()).arg("-p").arg(port.to_string());
        let spawned = server::spawn(command, self.purpose, &self.log());
        let mut child = spawned.map_err(LaunchError::Other)?;
        let deadline = Instant::now() + READY_LIMIT;
        let mut looks = 0;
        while Instant::now() < deadline {
            if self.has_exited(&mut child).map_err(LaunchError::Other)? {
                return Err(why_it_exited(log_tail(&self.log(), log_start)));
            }
            if self.is_answering(port).await.map_err(LaunchError::Other)? {
                return Ok(Server::new(port, Some(child)));
            }
            READY_BACKOFF.wait(looks).await;
            looks += 1;
        }
        Err(LaunchError::Other(self.not_ready()))
    }

    fn has_exited(&self, child: &mut Child) -> Result<bool, EmbeddedPostgresError> {
        let status = child.try_wait().map_err(EmbeddedPostgresError::io(&self.folder()))?;
        Ok(status.is_some())
    }

    fn not_ready(&self) -> EmbeddedPostgresError {
        EmbeddedPostgresError::NotReady { seconds: READY_LIMIT.as_secs(), log: self.log() }
    }

    /// Whether the server at `port` is the one on our folder and accepts work. `false` also for one
    /// that is starting or stopping, and for a stranger.
    async fn is_answering(&self, port: u16) -> Result<bool, EmbeddedPostgresError> {
        let attempt = tokio::time::timeout(Duration::from_secs(2), self.connect(port, "postgres"));
        let mut connection = match attempt.await {
            Ok(Ok(connection)) => connection,
            Ok(Err(sqlx::Error::Database(error))) if error.code().as_deref() == Some("28P01") => {
                return self.is_refused(port);
            }
            Ok(Err(_)) | Err(_) => return Ok(false),
        };
        let folder: String =
            sqlx::query_scalar("SHOW data_directory").fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(Path::new(&folder) == self.folder())
    }

    /// Our password was refused at `port`: an error if our own server is there, a stranger else.
    fn is_refused(&self, port: u16) -> Result<bool, EmbeddedPostgresError> {
        match find_occupant(&self.folder()) {
            Occupant::Server(file) if file.port == Some(port) => {
                Err(EmbeddedPostgresError::PasswordRefused {
                    data: self.folder(),
                    password: self.data_dir.join("password"),
                })
            }
            _ => Ok(false),
        }
    }

    async fn connect(&self, port: u16, database: &str) -> Result<PgConnection, sqlx::Error> {
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

    /// Stops the server on the folder, if there is one.
    pub(super) async fn stop(&self) -> Result<(), EmbeddedPostgresError> {
        let Occupant::Server(_) = find_occupant(&self.folder()) else { return Ok(()) };
        let mut command = self.command(&self.binaries.program_path("pg_ctl"));
        command.args(["stop", "-s", "-w", "-m", "fast", "-t", &STOP_LIMIT_S.to_string()]);
        command.arg("-D").arg(self.folder());
        run("pg_ctl", command).await
    }
}

fn why_it_exited(output: String) -> LaunchError {
    match () {
        () if output.contains("Address already in use") => LaunchError::PortTaken,
        () if output.contains("shared memory block") || output.contains("lock file") => {
            LaunchError::Remains
        }
        () => LaunchError::Other(EmbeddedPostgresError::Program { program: "postgres", output }),
    }
}

/// Runs a program to its end; its last words become the error.
pub(super) async fn run(
    program: &'static str,
    mut command: Command,
) -> Result<(), EmbeddedPostgresError> {
    let failed =
        |error: io::Error| EmbeddedPostgresError::Program { program, output: error.to_string() };
    let done = command.stdin(std::process::Stdio::null()).output().await.map_err(failed)?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let output = lines[lines.len().saturating_sub(5)..].join("; ");
    Err(EmbeddedPostgresError::Program { program, output })
}
