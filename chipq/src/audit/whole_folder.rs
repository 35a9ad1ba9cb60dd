//! A folder that is there whole or not at all.
//!
//! Invariant: it is filled beside its place, under another name, and gets its own when everything is in it; whoever is
//! interrupted leaves nothing.

use std::fs;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, exit};

/// A folder that is being filled.
pub(super) struct WholeFolder {
    place: PathBuf,
    beside: PathBuf,
}

impl WholeFolder {
    /// Begins one at `place`, where nothing may be.
    pub(super) fn begin(place: &Path) -> Result<Self, Failure> {
        if fs::symlink_metadata(place).is_ok() {
            return Err(Failure::new(
                format_args!("{} is there already", place.display()),
                "name a folder that is not there, so that nothing else is among what is written",
                exit::CANNOT_WRITE,
            ));
        }
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let hidden = format!(".{name}.unfinished-{}", std::process::id());
        let folder = Self { place: place.to_owned(), beside: place.with_file_name(hidden) };
        folder.note(fs::create_dir(&folder.beside))?;
        Ok(folder)
    }

    /// Makes a folder in it.
    pub(super) fn make_folder(&self, name: &str) -> Result<(), Failure> {
        self.note(fs::create_dir(self.beside.join(name)))
    }

    /// Writes a file into it.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.note(fs::write(self.beside.join(name), bytes))
    }

    /// A file in it, to be written line by line.
    pub(super) fn begin_lines(&self, name: &str) -> Result<Lines<'_>, Failure> {
        let file = self.note(fs::File::create(self.beside.join(name)))?;
        Ok(Lines { folder: self, file: BufWriter::new(file) })
    }

    /// Puts it in its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        self.note(fs::rename(&self.beside, &self.place))
    }

    fn note<T>(&self, done: io::Result<T>) -> Result<T, Failure> {
        done.map_err(|error| {
            Failure::new(
                format_args!("cannot write {}: {error}", self.place.display()),
                "make room there, or name a folder that you may make: --into DIR",
                exit::CANNOT_WRITE,
            )
        })
    }
}

impl Drop for WholeFolder {
    fn drop(&mut self) {
        // After it was put in its place there is none.
        let _ = fs::remove_dir_all(&self.beside);
    }
}

/// A file of lines.
pub(super) struct Lines<'f> {
    folder: &'f WholeFolder,
    file: BufWriter<fs::File>,
}

impl Lines<'_> {
    /// Writes a line.
    pub(super) fn push(&mut self, line: &str) -> Result<(), Failure> {
        self.folder.note(writeln!(self.file, "{line}"))
    }

    /// Writes out what is held back.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.folder.note(self.file.flush())
    }
}
