//! Says which code this is: a digest of the sources that decide what becomes of an event.
//!
//! Version numbers are raised by hand and commits are not known to every build; the sources always are.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::{env, error, fs};

/// What decodes events, what they mean, and what is made of them.
const SOURCES: [&str; 4] = ["src", "../domain/src", "../platform/src/event_log", "../Cargo.lock"];

fn main() -> Result<(), Box<dyn error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut hasher = DefaultHasher::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        hash_files(&root.join(source), &mut hasher)?;
    }
    println!("cargo::rustc-env=PROJECTORS_CODE={:016x}", hasher.finish());
    Ok(())
}

/// Names and contents, in an order that does not depend on the file system.
fn hash_files(path: &Path, hasher: &mut DefaultHasher) -> Result<(), Box<dyn error::Error>> {
    if !path.is_dir() {
        path.file_name().hash(hasher);
        fs::read(path)?.hash(hasher);
        return Ok(());
    }
    let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<_>, _>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| hash_files(entry, hasher))
}
