//! Says which commit this is, so that `chipq --version` can.
//!
//! `CHIPQ_COMMIT` is believed first: packages are built without the history. Without either the version stands alone.

use std::env;
use std::path::Path;
use std::process::Command;

/// Letters of a commit that name it in this project, and for long.
const COMMIT_LETTERS: usize = 12;

fn main() {
    println!("cargo:rerun-if-env-changed=CHIPQ_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let named = env::var("CHIPQ_COMMIT").ok().filter(|commit| !commit.is_empty());
    let version = match named.or_else(checked_out_commit) {
        Some(commit) => {
            let commit: String = commit.chars().take(COMMIT_LETTERS).collect();
            format!("{version} (commit {commit})")
        }
        None => version.to_owned(),
    };
    println!("cargo:rustc-env=CHIPQ_VERSION={version}");
}

/// The commit that is checked out, when this is a checkout and Git is there to ask.
fn checked_out_commit() -> Option<String> {
    // What moves with every commit and every checkout, wherever this worktree keeps it.
    for file in ["HEAD", "logs/HEAD"] {
        let path = ask_git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    ask_git(&["rev-parse", "HEAD"])
}

fn ask_git(arguments: &[&str]) -> Option<String> {
    let answered = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(answered.stdout).ok()?;
    answered.status.success().then(|| text.trim().to_owned())
}
