//! Running PostgreSQL's programs, and what to do when one fails.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, waitpid};
use tokio::process::Command;

use super::EmbeddedPostgresError;
use super::cluster::Cluster;

/// How much of what a program said an error quotes, in lines.
const QUOTED_LINES: usize = 5;
/// How long a program that was told to end may take.
const END_LIMIT: Duration = Duration::from_secs(5);

/// What became of a program: which, its last words, and what to do.
#[derive(Debug)]
pub(super) struct ProgramFailure {
    pub(super) program: &'static str,
    pub(super) output: String,
    pub(super) advice: String,
}

impl From<ProgramFailure> for EmbeddedPostgresError {
    fn from(ProgramFailure { program, output, advice }: ProgramFailure) -> Self {
        Self::Program { program, output, advice }
    }
}

/// A program and all that it has started; ended when dropped.
struct ProcessGroup(Pid);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            let _ = kill_process_group(self.0, signal);
            let deadline = Instant::now() + END_LIMIT;
            while Instant::now() < deadline {
                if !matches!(waitpid(Some(self.0), WaitOptions::NOHANG), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

/// Runs a program to its end, or ends it with us; its last words become the error.
pub(super) async fn run(
    program: &'static str,
    mut command: Command,
    cluster: &Cluster,
) -> Result<(), EmbeddedPostgresError> {
    let path = Path::new(command.as_std().get_program()).to_owned();
    let failed = EmbeddedPostgresError::io;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(failed(&path))?;
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let group = pid.map(ProcessGroup);
    let done = child.wait_with_output().await.map_err(failed(&path))?;
    // It has ended by itself: its number may be another's by now.
    std::mem::forget(group);
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(explain_end(program, done.status, &said, None, cluster).into())
}

/// What `program` said at its end, and what to do about it. `log` is where the rest of it is.
pub(super) fn explain_end(
    program: &'static str,
    status: ExitStatus,
    said: &str,
    log: Option<&Path>,
    cluster: &Cluster,
) -> ProgramFailure {
    let known = known_cause(said, cluster);
    let mut lines: Vec<&str> =
        said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.drain(..lines.len().saturating_sub(QUOTED_LINES));
    if let Some((cause, _)) = &known
        && !lines.iter().any(|line| line.contains(cause))
    {
        // It was said before the last words, which only follow from it.
        lines = said.lines().filter(|line| line.contains(cause)).take(1).collect();
    }
    let mut output = lines.join(" | ");
    if let Some(signal) = status.signal() {
        output = format!(
            "{output}{}ended by signal {signal}",
            if output.is_empty() { "" } else { " | " }
        );
    } else if output.is_empty() {
        output = status.to_string();
    }
    let advice = match (known, status.signal(), log) {
        (Some((_, advice)), ..) => advice,
        (None, Some(9), _) => {
            "somebody killed it, or memory ran out (see dmesg): let it have more, \
                               then run it again"
                .to_owned()
        }
        (None, _, Some(log)) if fs::metadata(log).is_ok_and(|log| log.len() > 0) => {
            format!("see {}", log.display())
        }
        _ => "correct what it says, then run it again".to_owned(),
    };
    ProgramFailure { program, output, advice }
}

/// What is known to go wrong on a machine: the words of PostgreSQL for it, and what to do.
fn known_cause(said: &str, cluster: &Cluster) -> Option<(&'static str, String)> {
    let folder = cluster.folder();
    let (folder, data_dir) = (folder.display(), cluster.data_dir.display());
    let user = cluster.account.as_ref().map_or_else(
        || rustix::process::geteuid().as_raw().to_string(),
        |account| account.uid.to_string(),
    );
    let known = [
        (
            "No space left on device",
            format!("No space left on the disk of {data_dir}: make room there"),
        ),
        (
            "Check free disk space",
            format!("No space left on the disk of {data_dir}: make room there"),
        ),
        ("Disk quota exceeded", format!("make room in {data_dir}, or ask for a larger quota")),
        (
            "could not look up effective user ID",
            "run it as a user with a name, or give this one a line in /etc/passwd, or set \
             CHIPQ_DATABASE_URL to a server that runs"
                .to_owned(),
        ),
        (
            "shared memory segment",
            "let PostgreSQL write to /dev/shm (docker: --shm-size=256m), then run it again"
                .to_owned(),
        ),
        ("Permission denied", format!("run: chown -R {user} {folder}")),
        ("Operation not permitted", format!("run: chown -R {user} {folder}")),
        ("has wrong ownership", format!("run: chown -R {user} {folder}")),
        ("has invalid permissions", format!("run: chmod 700 {folder}")),
        (
            "Resource temporarily unavailable",
            "let this user have more processes (ulimit -u), then run it again".to_owned(),
        ),
    ];
    known.into_iter().find(|(words, _)| said.contains(words))
}

#[cfg(test)]
mod tests {
    use super::super::Purpose;
    use super::super::binaries::{Binaries, Places, find};
    use super::*;

    async fn cluster(folder: &Path) -> Cluster {
        let binaries: Binaries = find(&Places::of_this_machine(None), folder).await.unwrap();
        Cluster::new(folder.to_owned(), Purpose::Serving, None, binaries).unwrap()
    }

    #[tokio::test]
    async fn how_a_program_ended_is_said_even_if_it_said_nothing_and_a_log_only_where_there_is_one()
    {
        let folder = tempfile::tempdir().unwrap();
        let cluster = cluster(folder.path()).await;
        let log = folder.path().join("postgres.log");
        let explain = |status, said| {
            explain_end("postgres", ExitStatus::from_raw(status), said, Some(&log), &cluster)
        };
        let killed = explain(9, "");
        assert_eq!(killed.output, "ended by signal 9");
        assert!(killed.advice.contains("memory"), "{killed:?}");
        assert_eq!(explain(1 << 8, "").output, "exit status: 1");
        assert!(!explain(1 << 8, "FATAL: what is this").advice.contains("postgres.log"));
        fs::write(&log, "FATAL: what is this").unwrap();
        assert!(explain(1 << 8, "FATAL: what is this").advice.contains("postgres.log"));
    }

    #[tokio::test]
    async fn what_is_known_to_go_wrong_is_quoted_although_it_was_not_said_last() {
        let folder = tempfile::tempdir().unwrap();
        let cluster = cluster(folder.path()).await;
        let said = format!("could not write: No space left on device\n{}", "then this\n".repeat(9));
        let full = explain_end("initdb", ExitStatus::from_raw(1 << 8), &said, None, &cluster);
        assert_eq!(full.output, "could not write: No space left on device");
        assert!(full.advice.contains("make room"), "{full:?}");
        let said = "initdb: could not look up effective user ID 54321: user does not exist";
        let nameless = explain_end("initdb", ExitStatus::from_raw(1 << 8), said, None, &cluster);
        assert!(nameless.advice.contains("/etc/passwd"), "{nameless:?}");
    }
}
