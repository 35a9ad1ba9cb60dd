//! Whose server answers at a port: it is asked for a file that lies in our folder for this moment alone.
//!
//! That tells our server from one on a copy of the folder, one that was there before us, and any other program,
//! where process numbers and names tell nothing: in a container, behind a hidden `/proc`, after a reboot.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::EmbeddedPostgresError;
use super::cluster::Cluster;

/// How long a server that is well may take to let us in: it may be busy.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// What the file is called, before its random part.
const PREFIX: &str = "asked-by-chipq-";

/// What is at a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The server on our folder.
    Ours,
    /// The server on our folder, which had another name when it started.
    OursElsewhere,
    /// A server that lets nobody in yet, or no more.
    NotNow,
    /// Somebody who does not answer.
    Silence,
    /// Nobody.
    Nobody,
    /// A server that does not take our password.
    Refusal,
    /// A server on another folder, or another program.
    Stranger,
}

impl Cluster {
    /// Asks who is at `port`.
    pub(super) async fn ask(&self, port: u16) -> Result<Answer, EmbeddedPostgresError> {
        let asked = tokio::time::timeout(ANSWER_LIMIT, async {
            match self.connect(port, "postgres").await {
                Ok(connection) => self.ask_for_folder(connection).await,
                Err(error) => Ok(from_refusal(&error)),
            }
        });
        asked.await.unwrap_or(Ok(Answer::Silence))
    }

    async fn ask_for_folder(
        &self,
        mut connection: PgConnection,
    ) -> Result<Answer, EmbeddedPostgresError> {
        let token = Token::lay(&self.folder())?;
        // Of its own folder it has the name from when it started.
        let asked: Result<(bool, bool), _> = sqlx::query_as(
            "SELECT (pg_stat_file($1, true)).size IS NOT NULL,
                    (pg_stat_file(current_setting('data_directory') || '/' || $1, true)).size
                        IS NOT NULL",
        )
        .bind(&token.name)
        .fetch_one(&mut connection)
        .await;
        drop(token);
        let _ = connection.close().await;
        Ok(match asked {
            Ok((true, true)) => Answer::Ours,
            Ok((true, false)) => Answer::OursElsewhere,
            Ok((false, _)) => Answer::Stranger,
            Err(error) => from_refusal(&error),
        })
    }
}

fn from_refusal(error: &sqlx::Error) -> Answer {
    match error {
        sqlx::Error::Database(said) => match said.code().as_deref() {
            Some("28P01") => Answer::Refusal,
            // Starting or stopping, or all its places are taken.
            Some("57P01" | "57P02" | "57P03" | "53300") => Answer::NotNow,
            _ => Answer::Stranger,
        },
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Answer::Nobody
        }
        // A server that ends cuts its connections.
        sqlx::Error::Io(_) => Answer::NotNow,
        _ => Answer::Stranger,
    }
}

/// An empty file in the cluster's folder: there is room for a name even on a full disk.
struct Token {
    path: PathBuf,
    name: String,
}

impl Token {
    fn lay(cluster: &Path) -> Result<Self, EmbeddedPostgresError> {
        let name = format!("{PREFIX}{}", Uuid::new_v4().simple());
        let path = cluster.join(&name);
        File::create(&path).map_err(EmbeddedPostgresError::io(&path))?;
        Ok(Self { path, name })
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "an empty file stays");
        }
    }
}
