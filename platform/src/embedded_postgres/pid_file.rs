//! `postmaster.pid`: which server, if any, runs on a cluster's folder.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use super::EmbeddedPostgresError;

/// What a server wrote about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: i32,
    /// `None` while the server has not written that line yet.
    pub(super) port: Option<u16>,
}

/// Whether somebody runs on the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occupant {
    /// Nobody; what a dead server left does no harm, its successor sees through it.
    Nobody,
    /// The process number of a dead server belongs to another program now.
    Impostor,
    /// A server.
    Server(PidFile),
}

impl PidFile {
    fn path(cluster: &Path) -> PathBuf {
        cluster.join("postmaster.pid")
    }

    fn read(cluster: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(Self::path(cluster)).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        // Lines: pid, data folder, start time, port, socket folder, listen address, …
        let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
        Some(Self { pid, port })
    }

    /// Removes what a dead server left; only for an [`Occupant::Impostor`].
    pub(super) fn remove(cluster: &Path) -> Result<(), EmbeddedPostgresError> {
        let path = Self::path(cluster);
        std::fs::remove_file(&path).map_err(EmbeddedPostgresError::io(&path))
    }
}

/// Who runs on the cluster's folder.
pub(super) fn find_occupant(cluster: &Path) -> Occupant {
    match PidFile::read(cluster) {
        None => Occupant::Nobody,
        Some(file) if !is_alive(file.pid) => Occupant::Nobody,
        Some(file) if is_postgres(file.pid) => Occupant::Server(file),
        Some(_) => Occupant::Impostor,
    }
}

fn is_alive(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| match test_kill_process(pid) {
        Ok(()) | Err(Errno::PERM) => true,
        Err(_) => false,
    })
}

/// Whether the process is a PostgreSQL server that has not ended (a zombie has).
fn is_postgres(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).or_else(|_| {
        let mut ps = std::process::Command::new("ps");
        let answer = ps.args(["-p", &pid.to_string(), "-o", "state=,comm="]).output()?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer.stdout).into_owned())
    });
    // When neither tells, believe the pid file: starting twice is worse than refusing once.
    status.map_or(true, |text| {
        let is_zombie = text.contains(") Z ") || text.trim_start().starts_with('Z');
        !is_zombie && (text.contains("postgres") || text.contains("postmaster"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(PidFile::path(folder.path()), text).unwrap();
        folder
    }

    #[test]
    fn a_folder_without_pid_file_or_with_a_dead_pid_has_no_occupant() {
        assert_eq!(find_occupant(tempfile::tempdir().unwrap().path()), Occupant::Nobody);
        assert_eq!(
            find_occupant(folder_with("2147483646\n/x\n1\n5432\n").path()),
            Occupant::Nobody
        );
        assert_eq!(find_occupant(folder_with("").path()), Occupant::Nobody);
    }

    #[test]
    fn a_reused_process_number_is_seen_through() {
        let folder = folder_with(&format!("{}\n/x\n1\n5432\n", std::process::id()));
        assert_eq!(find_occupant(folder.path()), Occupant::Impostor);
    }
}
