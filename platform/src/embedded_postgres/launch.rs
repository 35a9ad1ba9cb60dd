//! Finding the server that runs on a cluster's folder, or launching one.

use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;
use tokio::time::Instant;

use super::EmbeddedPostgresError;
use super::cluster::Cluster;
use super::identity::Answer;
use super::pid_file::{PidFile, is_there};
use super::program::{ProgramFailure, explain_end};
use super::server::{Server, free_port, open_log, read_log, server_settings};
use crate::backoff::Backoff;

/// How long a server may take to answer: it may be recovering.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// How long one that has just written its file may take to listen, or to finish writing.
const FRESH_LIMIT: Duration = Duration::from_secs(5);
/// Between two looks at a starting server, which logs each as refused.
const READY_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(25), Duration::from_millis(200), 0.0);
/// How long what is left of a server may keep its memory: one whose file was removed looks for it once a minute,
/// and ends without it.
const REMAINS_LIMIT: Duration = Duration::from_secs(75);
/// Between two attempts meanwhile.
const REMAINS_EVERY: Duration = Duration::from_millis(250);
/// How often a free port is taken by somebody else before we give up.
const PORT_ATTEMPTS: u32 = 5;

/// Why a launch failed, as far as it matters for trying again.
enum LaunchError {
    PortTaken,
    /// Processes of a killed server are still there.
    Remains,
    Other(EmbeddedPostgresError),
}

impl From<EmbeddedPostgresError> for LaunchError {
    fn from(error: EmbeddedPostgresError) -> Self {
        Self::Other(error)
    }
}

impl Cluster {
    /// The server that already runs on the folder, else a new one, on the last port if that is
    /// free.
    pub(super) async fn adopt_or_launch(&self) -> Result<Server, EmbeddedPostgresError> {
        let server = match self.adopt_running().await? {
            Some(server) => server,
            None => self.launch_anywhere(self.remembered_port()).await?,
        };
        let path = self.port_file();
        std::fs::write(&path, server.port().to_string())
            .map_err(EmbeddedPostgresError::io(&path))?;
        Ok(server)
    }

    fn remembered_port(&self) -> Option<u16> {
        std::fs::read_to_string(self.port_file()).ok()?.trim().parse().ok()
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
        let (output, advice) = match error {
            LaunchError::Other(error) => return error,
            LaunchError::PortTaken => {
                ("its port is taken by another program", "run it again".to_owned())
            }
            LaunchError::Remains => (
                "processes of a server that was killed are still there",
                format!("end every postgres on {}, then run it again", self.folder().display()),
            ),
        };
        ProgramFailure { program: "postgres", output: output.to_owned(), advice }.into()
    }

    /// The server that runs on the folder, once it answers; `None` when there is none, and what another left of
    /// itself is then out of the way.
    pub(super) async fn adopt_running(&self) -> Result<Option<Server>, EmbeddedPostgresError> {
        let begun = Instant::now();
        let mut looks = 0;
        loop {
            let (pid, port) = match PidFile::read(&self.folder())? {
                PidFile::Missing => return Ok(None),
                // PostgreSQL sees through that itself.
                PidFile::Server { pid, .. } if !is_there(pid) => return Ok(None),
                PidFile::Server { pid, port } => {
                    (Some(pid), port.or_else(|| self.remembered_port()))
                }
                PidFile::Illegible => (None, self.remembered_port()),
            };
            let answer = match port {
                Some(port) => self.ask(port).await?,
                None => Answer::Nobody,
            };
            let is_fresh = begun.elapsed() < FRESH_LIMIT;
            match (answer, pid.zip(port)) {
                (Answer::Ours, Some((pid, port))) => {
                    tracing::info!(port, "adopting the private PostgreSQL that is running");
                    return Ok(Some(Server::adopted(pid, port, self.folder())));
                }
                (Answer::OursElsewhere, Some((pid, port))) => {
                    tracing::warn!("the folder was moved under its server, which starts again");
                    Server::adopted(pid, port, self.folder()).stop().await?;
                    return Ok(None);
                }
                (Answer::Refusal, Some(_)) => return Err(self.password_refused()),
                (Answer::Nobody, _) | (_, None) if is_fresh => {}
                (Answer::Nobody | Answer::Stranger, _) | (Answer::Refusal, None) => {
                    tracing::warn!(
                        folder = %self.folder().display(),
                        "removing a postmaster.pid that no server of this folder answers for"
                    );
                    PidFile::remove(&self.folder())?;
                    return Ok(None);
                }
                _ if begun.elapsed() > READY_LIMIT => return Err(self.not_ready(pid)),
                _ => {}
            }
            READY_BACKOFF.wait(looks).await;
            looks += 1;
        }
    }

    async fn launch_server(&self, port: u16) -> Result<Server, LaunchError> {
        let deadline = Instant::now() + REMAINS_LIMIT;
        let mut is_told = false;
        loop {
            match self.launch_once(port).await {
                Err(LaunchError::Remains) if Instant::now() < deadline => {
                    // One that was just starting when its owner was killed has won the race.
                    if let Some(server) = self.adopt_running().await? {
                        return Ok(server);
                    }
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::warn!("waiting for what is left of a PostgreSQL that was killed");
                    }
                    tokio::time::sleep(REMAINS_EVERY).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn launch_once(&self, port: u16) -> Result<Server, LaunchError> {
        let (log, log_start) = open_log(&self.log())?;
        let mut command = self.command(&self.binaries.program_path("postgres"));
        command.arg("-D").arg(self.folder()).arg("-p").arg(port.to_string());
        for (name, value) in server_settings(self.purpose) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let mut server = Server::spawn(command, port, self.folder(), log)?;
        let deadline = Instant::now() + READY_LIMIT;
        let mut looks = 0;
        while Instant::now() < deadline {
            if let Some(status) = server.exit_status()? {
                let said = read_log(&self.log(), log_start);
                return Err(why_it_exited(explain_end(
                    "postgres",
                    status,
                    &said,
                    Some(&self.log()),
                    self,
                )));
            }
            match self.ask(port).await? {
                Answer::Ours | Answer::OursElsewhere => return Ok(server),
                Answer::Refusal if PidFile::names(&self.folder(), server.pid()) => {
                    return Err(self.password_refused().into());
                }
                _ => {}
            }
            READY_BACKOFF.wait(looks).await;
            looks += 1;
        }
        Err(self.not_ready(Some(server.pid())).into())
    }

    fn password_refused(&self) -> EmbeddedPostgresError {
        EmbeddedPostgresError::PasswordRefused {
            data: self.folder(),
            password: self.data_dir.join("password"),
        }
    }

    fn not_ready(&self, pid: Option<Pid>) -> EmbeddedPostgresError {
        EmbeddedPostgresError::NotReady {
            seconds: READY_LIMIT.as_secs(),
            pid: pid.map_or(0, |pid| pid.as_raw_nonzero().get()),
            log: self.log(),
        }
    }

    /// Stops the server on the folder, if there is one.
    pub(super) async fn stop(&self) -> Result<(), EmbeddedPostgresError> {
        match self.adopt_running().await? {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

fn why_it_exited(failure: ProgramFailure) -> LaunchError {
    let said = &failure.output;
    match () {
        () if said.contains("Address already in use") => LaunchError::PortTaken,
        () if said.contains("shared memory block") => LaunchError::Remains,
        () if said.contains("lock file") && said.contains("already exists") => LaunchError::Remains,
        () => LaunchError::Other(failure.into()),
    }
}
