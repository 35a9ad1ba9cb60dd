//! Where uploads lie until they are whole: a folder for each process, locked as long as that lives.
//!
//! Invariant: what a process leaves there is removed, by itself when it ends in order, else by the next one
//! that starts; what a living process writes is never touched.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path as FsPath, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use object_store::path::Path;
use uuid::Uuid;

use super::ARTIFACTS;
use crate::disk;

/// Where unfinished uploads lie, below the store's root.
const STAGING: &str = "staging";
/// Where nobody can tell by a lock whether its process lives, what is older than this is removed.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// How long a process waits for others that start with it, and how often it looks.
const TURN_WITHIN: Duration = Duration::from_secs(5);
const TURN_PAUSE: Duration = Duration::from_millis(2);

/// The unfinished uploads of this process.
#[derive(Debug)]
pub(super) struct Staging {
    name: String,
    held: Option<HeldFolder>,
}

#[derive(Debug)]
struct HeldFolder {
    /// The store's.
    root: PathBuf,
    /// Of this process.
    folder: PathBuf,
    /// The system lets go of it when the process ends, however it does.
    _lock: File,
}

impl Staging {
    /// In a store that keeps no folder on this machine.
    pub(super) fn elsewhere() -> Self {
        Self { name: Uuid::new_v4().to_string(), held: None }
    }

    /// In the store in `root`; removes what processes that have ended left there.
    pub(super) fn open(root: &FsPath) -> io::Result<Self> {
        let staging = root.join(STAGING);
        fs::create_dir_all(&staging)?;
        // One after the other: nobody sweeps a folder away between its making and its locking. On a disk
        // without locks only what is old is swept.
        let _turn = take_turn(&staging)?;
        sweep(&staging)?;
        let name = Uuid::new_v4().to_string();
        let folder = staging.join(&name);
        fs::create_dir(&folder)?;
        let lock = File::open(&folder)?;
        let _ = lock.try_lock();
        let held = HeldFolder { root: root.to_owned(), folder, _lock: lock };
        Ok(Self { name, held: Some(held) })
    }

    /// A name for an upload that nobody else uses.
    pub(super) fn new_path(&self) -> Path {
        Path::from_iter([STAGING, &self.name, &Uuid::new_v4().to_string()])
    }

    /// Whether pictures can be written: there is room, and no folder belongs to somebody else, such as root,
    /// who ran this once.
    pub(super) fn check_writable(&self) -> Result<(), String> {
        let Some(HeldFolder { root, folder, .. }) = &self.held else { return Ok(()) };
        disk::check_room(root)?;
        disk::check_writable(folder)?;
        let pictures = root.join(ARTIFACTS);
        let Ok(shards) = fs::read_dir(&pictures) else { return disk::check_writable(root) };
        disk::check_writable(&pictures)?;
        shards.flatten().try_for_each(|shard| disk::check_writable(&shard.path()))
    }
}

impl Drop for HeldFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, "unfinished uploads stay until the next start");
        }
    }
}

/// Waits until no other process sweeps; not for ever, since that one may stand still.
fn take_turn(staging: &FsPath) -> io::Result<File> {
    let (turn, begun) = (File::open(staging)?, Instant::now());
    while let Err(TryLockError::WouldBlock) = turn.try_lock() {
        if begun.elapsed() > TURN_WITHIN {
            let message = format!("another process keeps {} locked", staging.display());
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, message));
        }
        std::thread::sleep(TURN_PAUSE);
    }
    Ok(turn)
}

fn sweep(staging: &FsPath) -> io::Result<()> {
    for entry in fs::read_dir(staging)? {
        let path = entry?.path();
        // Another process may finish or remove it meanwhile; then there is nothing to sweep.
        let Ok(found) = fs::metadata(&path) else { continue };
        let is_abandoned = if found.is_dir() { is_unlocked(&path, &found) } else { is_old(&found) };
        if is_abandoned {
            tracing::info!(path = %path.display(), "removing abandoned uploads");
            let _ = if found.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
    Ok(())
}

fn is_unlocked(folder: &FsPath, found: &fs::Metadata) -> bool {
    let Ok(file) = File::open(folder) else { return false };
    match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => is_old(found),
    }
}

fn is_old(found: &fs::Metadata) -> bool {
    let age = found.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > ABANDONED_AFTER)
}
