//! The account that PostgreSQL runs as when we are root, because it refuses to run as root.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use tokio::process::Command;

use super::EmbeddedPostgresError;

/// The accounts tried, in order.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// An unprivileged account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// `None` when we are not root. The owner of an existing cluster, else the first candidate.
pub(super) fn choose_owner(cluster: &Path) -> Result<Option<Account>, EmbeddedPostgresError> {
    let us = rustix::process::geteuid();
    let owner = std::fs::metadata(cluster).ok().map(|found| (found.uid(), found.gid()));
    let of_another = |owner, user| {
        Err(EmbeddedPostgresError::OfAnotherUser { folder: cluster.to_owned(), owner, user })
    };
    match owner {
        Some((owner, _)) if !us.is_root() && owner != us.as_raw() => {
            of_another(owner, us.as_raw().to_string())
        }
        _ if !us.is_root() => Ok(None),
        // As a backup that root has restored.
        Some((0, _)) => of_another(0, find_candidate()?.name),
        Some((uid, gid)) => Ok(Some(Account { name: format!("with id {uid}"), uid, gid })),
        None => find_candidate().map(Some),
    }
}

fn find_candidate() -> Result<Account, EmbeddedPostgresError> {
    let path = Path::new("/etc/passwd");
    let passwd = std::fs::read_to_string(path).map_err(EmbeddedPostgresError::io(path))?;
    let found = CANDIDATES.iter().find_map(|name| find_in_passwd(&passwd, name));
    found.ok_or(EmbeddedPostgresError::NoAccount)
}

/// The line of `name` in a passwd file (passwd(5)).
fn find_in_passwd(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        (found == name && uid != 0).then(|| Account { name: found.to_owned(), uid, gid })
    })
}

impl Account {
    /// Makes `command` run as this account, without our supplementary groups.
    pub(super) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or folder to this account.
    pub(super) fn give_ownership(&self, path: &Path) -> Result<(), EmbeddedPostgresError> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .map_err(EmbeddedPostgresError::io(path))
    }

    /// Names the first folder on the way to `folder` (itself included) that keeps this account out.
    pub(super) fn check_can_enter(&self, folder: &Path) -> Result<(), EmbeddedPostgresError> {
        let mut way: Vec<_> = folder.ancestors().collect();
        way.reverse();
        for step in way {
            let found = std::fs::metadata(step).map_err(EmbeddedPostgresError::io(step))?;
            if !self.may_enter(&found) {
                let (folder, user) = (step.to_owned(), self.name.clone());
                return Err(EmbeddedPostgresError::Unreachable { folder, user });
            }
        }
        Ok(())
    }

    fn may_enter(&self, folder: &Metadata) -> bool {
        let bit = match () {
            () if folder.uid() == self.uid => 0o100,
            () if folder.gid() == self.gid => 0o010,
            () => 0o001,
        };
        folder.mode() & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_read_from_passwd_and_root_is_never_one() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:PG,,,:/var/lib:/bin/sh\n";
        let found = find_in_passwd(passwd, "postgres").unwrap();
        assert_eq!((found.uid, found.gid), (101, 104));
        assert_eq!(find_in_passwd(passwd, "nobody"), None);
        assert_eq!(find_in_passwd(passwd, "root"), None);
    }

    #[test]
    fn a_folder_that_keeps_the_account_out_is_named_with_the_remedy() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let closed = folder.path().join("closed");
        std::fs::create_dir_all(closed.join("data")).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
        let stranger = Account { name: "mallory".to_owned(), uid: 999_999, gid: 999_999 };
        let error = stranger.check_can_enter(&closed.join("data")).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod o+x {}", closed.display())), "{error}");
        assert!(error.contains("mallory"), "{error}");
    }
}
