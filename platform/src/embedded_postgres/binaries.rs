//! Finding the installed PostgreSQL programs.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::EmbeddedPostgresError;

/// The oldest major version that will do.
const OLDEST: u32 = 14;
/// The programs that are needed.
const PROGRAMS: [&str; 2] = ["postgres", "initdb"];

/// The programs of one PostgreSQL version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    folder: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) fn program_path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// Only here, when set.
    pub(super) explicit: Option<PathBuf>,
    /// Then in these folders.
    pub(super) folders: Vec<PathBuf>,
    /// Then in `<parent>/<prefix>*/bin`, for each of these.
    pub(super) versioned: Vec<(PathBuf, &'static str)>,
}

impl Places {
    pub(super) fn of_this_machine(explicit: Option<PathBuf>) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let versioned = [
            ("/usr/lib/postgresql", ""),
            ("/opt/homebrew/opt", "postgresql"),
            ("/usr/local/opt", "postgresql"),
            ("/home/linuxbrew/.linuxbrew/opt", "postgresql"),
            ("/usr", "pgsql-"),
            ("/Library/PostgreSQL", ""),
            ("/Applications/Postgres.app/Contents/Versions", ""),
        ];
        Self {
            explicit,
            folders: std::env::split_paths(&path).collect(),
            versioned: versioned.map(|(parent, prefix)| (parent.into(), prefix)).to_vec(),
        }
    }

    fn candidate_folders(&self) -> Vec<PathBuf> {
        if let Some(explicit) = &self.explicit {
            return vec![explicit.clone()];
        }
        let mut folders = self.folders.clone();
        for (parent, prefix) in &self.versioned {
            let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
            let fits = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with(prefix);
            folders.extend(entries.filter(|e| fits(&e.file_name())).map(|e| e.path().join("bin")));
        }
        folders
    }

    fn describe_places(&self) -> String {
        let Some(explicit) = &self.explicit else {
            let parents = self.versioned.iter().map(|(parent, prefix)| {
                format!("{}", parent.join(format!("{prefix}*/bin")).display())
            });
            return ["PATH".to_owned()].into_iter().chain(parents).collect::<Vec<_>>().join(", ");
        };
        format!("CHIPQ_POSTGRES_BIN = {}", explicit.display())
    }
}

/// The programs for the cluster: those of the version of its data, else the newest.
pub(super) async fn find(
    places: &Places,
    cluster: &Path,
) -> Result<Binaries, EmbeddedPostgresError> {
    let mut installed: Vec<Binaries> = Vec::new();
    for folder in places.candidate_folders() {
        if let Some(found) = inspect_folder(&folder).await
            && !installed.contains(&found)
        {
            installed.push(found);
        }
    }
    installed.sort_by_key(|binaries| binaries.major);
    let Some(newest) = installed.last() else {
        return Err(EmbeddedPostgresError::NotInstalled { searched: places.describe_places() });
    };
    match std::fs::read_to_string(cluster.join("PG_VERSION")) {
        Ok(data) if data.trim().parse::<u32>().is_err() => {
            Err(EmbeddedPostgresError::Damaged { path: cluster.join("PG_VERSION") })
        }
        Ok(data) => of_version(&installed, data.trim(), cluster),
        Err(_) if newest.major < OLDEST => Err(EmbeddedPostgresError::TooOld {
            binaries: newest.folder.clone(),
            found: newest.major,
            oldest: OLDEST,
        }),
        Err(_) => Ok(newest.clone()),
    }
}

fn of_version(
    installed: &[Binaries],
    data: &str,
    cluster: &Path,
) -> Result<Binaries, EmbeddedPostgresError> {
    let found = installed.iter().find(|binaries| binaries.major.to_string() == data);
    found.cloned().ok_or_else(|| EmbeddedPostgresError::OtherVersion {
        data_dir: cluster.to_owned(),
        data: data.to_owned(),
        installed: installed.iter().map(|b| b.major.to_string()).collect::<Vec<_>>().join(", "),
    })
}

/// The programs in `folder`, links resolved; `None` when one is missing or does not run.
async fn inspect_folder(folder: &Path) -> Option<Binaries> {
    let initdb = folder.join("initdb").canonicalize().ok()?;
    let folder = initdb.parent()?.to_owned();
    if !PROGRAMS.iter().all(|program| folder.join(program).is_file()) {
        return None;
    }
    let answer = Command::new(folder.join("postgres")).arg("--version").output().await.ok()?;
    let major = parse_major(&String::from_utf8_lossy(&answer.stdout))?;
    Some(Binaries { folder, major })
}

/// The major version in the likes of `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
fn parse_major(answer: &str) -> Option<u32> {
    let number = answer.split("(PostgreSQL) ").nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn when_postgresql_is_missing_the_message_names_the_packages() {
        let empty = tempfile::tempdir().unwrap();
        let places = Places { folders: vec![empty.path().to_owned()], ..Places::default() };
        let error = find(&places, empty.path()).await.unwrap_err().to_string();
        assert!(error.contains("sudo apt-get install postgresql"), "{error}");
        assert!(error.contains("brew install postgresql@17"), "{error}");
        assert!(error.contains("CHIPQ_POSTGRES_BIN"), "{error}");
    }

    #[tokio::test]
    async fn data_of_another_major_version_is_refused_with_both_versions() {
        let cluster = tempfile::tempdir().unwrap();
        std::fs::write(cluster.path().join("PG_VERSION"), "9\n").unwrap();
        let places = Places::of_this_machine(None);
        let error = find(&places, cluster.path()).await.unwrap_err().to_string();
        assert!(error.contains("written by PostgreSQL 9"), "{error}");
    }

    #[tokio::test]
    async fn an_explicit_folder_is_the_only_one_searched() {
        let empty = tempfile::tempdir().unwrap();
        let places = Places::of_this_machine(Some(empty.path().to_owned()));
        assert!(find(&places, empty.path()).await.is_err());
    }

    #[test]
    fn versions_are_read_from_what_the_programs_say() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_major("postgres"), None);
    }
}
