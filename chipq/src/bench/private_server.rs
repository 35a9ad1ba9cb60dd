//! The private PostgreSQL server of a platform: as its services reach it, as its owner does, and with a database beside
//! for whoever the platform is held against.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use reqwest::Url;
use sqlx::{Connection as _, PgConnection};
use tokio::process::Command;

use super::wrk::{find_program, read_output};
use crate::installation::POSTGRES;

/// Who owns the private server.
const OWNER: &str = "chipq";
/// The peer's database, which also has the table of single rows.
const PEER_DATABASE: &str = "peer";
const ONE_ROW_TABLE: &str = "CREATE TABLE one_row (id bigserial PRIMARY KEY, n bigint NOT NULL)";
const ONE_ROW: &str = "\\set n random(1, 1000000000)\nINSERT INTO one_row (n) VALUES (:n);\n";
/// Clients that commit at a time.
pub(super) const COMMIT_CLIENTS: u32 = 32;

/// The database of the platform in `data`, with the services' password.
pub(super) fn services_url(data: &Path) -> anyhow::Result<Url> {
    Ok(Url::parse(std::fs::read_to_string(data.join("private-postgres-url"))?.trim())?)
}

/// The same database, for whoever may do there what services may not.
pub(super) fn owner_url(data: &Path) -> anyhow::Result<Url> {
    let mut url = services_url(data)?;
    let password = std::fs::read_to_string(data.join(POSTGRES).join("password"))?;
    let is_owners =
        url.set_username(OWNER).is_ok() && url.set_password(Some(password.trim())).is_ok();
    ensure!(is_owners, "the URL of the private PostgreSQL has no place for a user");
    Ok(url)
}

/// The platform's server, with a database for the peer.
pub(super) struct SharedServer {
    peer_url: Url,
    data: PathBuf,
    pgbench: Option<PathBuf>,
}

impl SharedServer {
    /// Makes the peer's database on the server of the platform in `data`. It belongs to the role that the
    /// platform's services have, so that the server asks the same of both.
    pub(super) async fn prepare(data: &Path) -> anyhow::Result<Self> {
        let (mut peer_url, owner_url) = (services_url(data)?, owner_url(data)?);
        let create = format!("CREATE DATABASE {PEER_DATABASE} OWNER {}", peer_url.username());
        execute_once(&owner_url, &create).await.context("the peer's database")?;
        peer_url.set_path(&format!("/{PEER_DATABASE}"));
        execute_once(&peer_url, ONE_ROW_TABLE).await.context("the table of single rows")?;
        let pgbench = find_program("pgbench", server_programs(data));
        Ok(Self { peer_url, data: data.to_owned(), pgbench })
    }

    /// The peer's database, with the password.
    pub(super) fn peer_url(&self) -> &Url {
        &self.peer_url
    }

    /// Commits of one row each a second; `None` without pgbench.
    pub(super) async fn count_commits(&self, seconds: u64) -> anyhow::Result<Option<f64>> {
        let Some(pgbench) = &self.pgbench else { return Ok(None) };
        let script = self.data.join("one-row.sql");
        std::fs::write(&script, ONE_ROW)?;
        let url = &self.peer_url;
        let mut command = Command::new(pgbench);
        command
            .args(["-n", "-M", "prepared", "-j", "2", "-c", &COMMIT_CLIENTS.to_string()])
            .args(["-T", &seconds.to_string(), "-f"])
            .arg(script)
            // Arguments are for everybody to read.
            .env("PGPASSWORD", url.password().unwrap_or_default())
            .env("PGUSER", url.username())
            .env("PGHOST", url.host_str().unwrap_or_default())
            .env("PGPORT", url.port().unwrap_or(5432).to_string())
            .env("PGDATABASE", PEER_DATABASE)
            .env("LC_ALL", "C");
        let said = read_output(pgbench, &mut command).await?;
        parse_rate(&said).map(Some).with_context(|| format!("pgbench measured nothing: {said}"))
    }
}

async fn execute_once(url: &Url, statement: &str) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url.as_str()).await?;
    sqlx::query(statement).execute(&mut connection).await?;
    Ok(connection.close().await?)
}

/// The folder of the server's programs: the first word that it was started with is one of them.
fn server_programs(data: &Path) -> Option<PathBuf> {
    let started = data.join(POSTGRES).join("cluster/postmaster.opts");
    let started = std::fs::read_to_string(started).ok()?;
    Some(Path::new(started.split_whitespace().next()?).parent()?.to_owned())
}

/// The number in `tps = 2331.825815 (without initial connection time)`.
fn parse_rate(said: &str) -> Option<f64> {
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "))?;
    rate.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_pgbench_says() {
        let said = "latency average = 13.723 ms\ntps = 2331.5 (without initial connection time)\n";
        assert_eq!(parse_rate(said), Some(2331.5));
        assert_eq!(parse_rate("number of clients: 32\n"), None);
    }

    #[test]
    fn the_servers_programs_are_where_it_was_started_from() {
        let folder = crate::temporary::TemporaryFolder::new("test").unwrap();
        assert_eq!(server_programs(folder.path()), None);
        let cluster = folder.path().join(POSTGRES).join("cluster");
        std::fs::create_dir_all(&cluster).unwrap();
        let started = "/opt/postgresql/bin/postgres \"-D\" \"/a b\" \"-p\" \"5433\"\n";
        std::fs::write(cluster.join("postmaster.opts"), started).unwrap();
        assert_eq!(server_programs(folder.path()), Some("/opt/postgresql/bin".into()));
    }
}
