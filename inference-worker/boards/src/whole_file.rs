//! Files that are there whole or not at all: written beside their place, and moved there when they are complete.
//!
//! Invariant: whoever is killed while writing leaves what was there before. A file that is already in the place
//! keeps its permissions; what is no file there, such as a pipe or a terminal, is written to as it is.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file that is being written.
#[derive(Debug)]
pub struct WholeFile {
    writer: BufWriter<File>,
    /// None when it is written in its place, or has been moved there.
    draft: Option<Draft>,
}

#[derive(Debug)]
struct Draft {
    path: PathBuf,
    place: PathBuf,
}

impl WholeFile {
    /// Begins a file that will lie at `path`; a link there stays, and what it names is replaced.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn create(path: &Path) -> io::Result<Self> {
        let place = match fs::canonicalize(path) {
            Ok(place) => place,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let there = fs::metadata(&place).ok();
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            return Ok(Self { writer: BufWriter::new(File::create(&place)?), draft: None });
        }
        let draft = Draft { path: name_draft(&place)?, place };
        let file = File::create_new(&draft.path)?;
        let written = Self { writer: BufWriter::new(file), draft: Some(draft) };
        if let Some(there) = there {
            written.writer.get_ref().set_permissions(there.permissions())?;
        }
        Ok(written)
    }

    /// Moves the file to its place, once it is on the disk.
    ///
    /// # Errors
    /// When not all of it could be written. What was in its place before is there still.
    pub fn finish(mut self) -> io::Result<()> {
        self.writer.flush()?;
        if let Some(draft) = &self.draft {
            self.writer.get_ref().sync_all()?;
            fs::rename(&draft.path, &draft.place)?;
        }
        self.draft = None;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some(draft) = &self.draft {
            // Nobody is left to be told.
            let _ = fs::remove_file(&draft.path);
        }
    }
}

/// Writes a file whole.
///
/// # Errors
/// As [`WholeFile::create`] and [`WholeFile::finish`].
pub fn write_whole_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = WholeFile::create(path)?;
    file.write_all(bytes)?;
    file.finish()
}

/// A name beside `place` that no other process has.
fn name_draft(place: &Path) -> io::Result<PathBuf> {
    let name = place.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let mut draft = std::ffi::OsString::from(".");
    draft.push(name);
    draft.push(format!(".{}.part", std::process::id()));
    Ok(place.with_file_name(draft))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_what_was_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("out.jsonl");
        let mut begun = WholeFile::create(&place).expect("begun");
        begun.write_all(b"half").and_then(|()| begun.flush()).expect("written");
        assert!(!place.exists(), "nothing is there before it is whole");
        drop(begun);
        assert!(names(folder.path()).is_empty(), "nor after it was given up");

        write_whole_file(&place, b"first").expect("written");
        let mut begun = WholeFile::create(&place).expect("begun");
        begun.write_all(b"half").and_then(|()| begun.flush()).expect("written");
        assert_eq!(fs::read(&place).expect("read"), b"first");
        begun.finish().expect("finished");
        assert_eq!(fs::read(&place).expect("read"), b"half");
        assert_eq!(names(folder.path()), ["out.jsonl"]);
    }

    #[test]
    fn a_link_stays_and_what_it_names_is_replaced_and_a_device_is_written_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write_whole_file(&file, b"old").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("linked");
        write_whole_file(&link, b"new").expect("written");
        assert_eq!(fs::read(&file).expect("read"), b"new");
        assert!(link.is_symlink());
        write_whole_file(Path::new("/dev/null"), b"gone").expect("written");
        assert!(!Path::new("/dev/null").is_file());
        let missing = write_whole_file(&folder.path().join("no/such/folder"), b"");
        assert_eq!(missing.expect_err("no folder").kind(), io::ErrorKind::NotFound);
    }
}
