//! `postmaster.pid`: what a server wrote about itself, or what is left of that.
//!
//! Nothing here is believed: a file may be empty after a power loss, copied with its folder, or of a process
//! number that another program has by now. Who runs on a folder is who answers for it (`identity`).

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

use super::EmbeddedPostgresError;

/// What the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PidFile {
    /// There is none.
    Missing,
    /// Nothing that a server writes, or not all of it yet.
    Illegible,
    /// A server that ran here, and may run still.
    Server {
        pid: Pid,
        /// `None` when that line is not where it belongs: the folder's name may have several.
        port: Option<u16>,
    },
}

impl PidFile {
    fn path(cluster: &Path) -> PathBuf {
        cluster.join("postmaster.pid")
    }

    pub(super) fn read(cluster: &Path) -> Result<Self, EmbeddedPostgresError> {
        let path = Self::path(cluster);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self::parse(&String::from_utf8_lossy(&bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Missing),
            Err(error) => Err(EmbeddedPostgresError::io(&path)(error)),
        }
    }

    /// Lines: pid, data folder, start time, port, socket folder, listen address, …
    fn parse(text: &str) -> Self {
        let mut lines = text.lines();
        let pid = lines.next().and_then(|line| line.trim().parse().ok());
        let Some(pid) = pid.filter(|pid| *pid > 0).and_then(Pid::from_raw) else {
            return Self::Illegible;
        };
        let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
        Self::Server { pid, port }
    }

    /// Whether it names this process.
    pub(super) fn names(cluster: &Path, pid: Pid) -> bool {
        matches!(Self::read(cluster), Ok(Self::Server { pid: named, .. }) if named == pid)
    }

    /// Removes one that belongs to no server of this folder. Where it does after all, PostgreSQL refuses to
    /// start beside it: it knows who is attached to the memory of the folder.
    pub(super) fn remove(cluster: &Path) -> Result<(), EmbeddedPostgresError> {
        let path = Self::path(cluster);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(EmbeddedPostgresError::io(&path)),
        }
    }
}

/// Whether a process has this number. One that has ended and was not waited for counts as well.
pub(super) fn is_there(pid: Pid) -> bool {
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_wrote_is_read_and_everything_else_is_illegible() {
        let server = |pid, port| PidFile::Server { pid: Pid::from_raw(pid).unwrap(), port };
        for (text, said) in [
            ("4711\n/data\n1700000000\n5432\n\n127.0.0.1\n", server(4711, Some(5432))),
            ("4711\n", server(4711, None)),
            ("4711\n/a\nname of two lines\n1700000000\n5432\n", server(4711, None)),
            ("", PidFile::Illegible),
            ("\0\0\0\0\0\0", PidFile::Illegible),
            ("-4711\n/data\n1\n5432\n", PidFile::Illegible),
            ("0\n", PidFile::Illegible),
        ] {
            assert_eq!(PidFile::parse(text), said, "{text:?}");
        }
    }

    #[test]
    fn a_number_that_nobody_has_is_told_from_ours() {
        assert!(is_there(rustix::process::getpid()));
        assert!(!is_there(Pid::from_raw(i32::MAX - 1).unwrap()));
    }
}
