//! A folder of tree heads: files of signed notes, one for each month, to which nothing is done but appending.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use transparency::{NoteError, SignedNote, SignedTreeHead, TreeHead};

/// How the files end.
const NOTES_SUFFIX: &str = "notes";

/// Why tree heads cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum HeadFolderError {
    /// The file system refused.
    #[error("cannot use the tree heads in {}: {source}; see that it is there and that this user may use it", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{}: the tree head number {number} in it is none: {source}; put the file back from where it was copied to", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// From 1.
        number: usize,
        /// What is wrong.
        source: NoteError,
    },
}

/// A folder of tree heads.
#[derive(Debug, Clone)]
pub struct HeadFolder(PathBuf);

impl HeadFolder {
    /// The folder at `path`, or the one file of tree heads there.
    #[must_use]
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder.
    pub(crate) fn create(&self) -> Result<(), HeadFolderError> {
        std::fs::create_dir_all(&self.0).map_err(self.failed(&self.0))
    }

    fn failed<'a>(&self, path: &'a Path) -> impl Fn(io::Error) -> HeadFolderError + use<'a> {
        move |source| HeadFolderError::Io { path: path.to_owned(), source }
    }

    /// Its files, by month.
    fn list_files(&self) -> Result<Vec<PathBuf>, HeadFolderError> {
        if self.0.is_file() {
            return Ok(vec![self.0.clone()]);
        }
        let entries = std::fs::read_dir(&self.0).map_err(self.failed(&self.0))?;
        let paths = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(self.failed(&self.0))?;
        paths.retain(|path| path.extension().is_some_and(|suffix| suffix == NOTES_SUFFIX));
        paths.sort();
        Ok(paths)
    }

    /// The notes in a file. One at its end that a crash left unfinished was handed to nobody, and is passed over.
    fn read_file(&self, path: &Path) -> Result<Vec<SignedNote>, HeadFolderError> {
        let text = std::fs::read_to_string(path).map_err(self.failed(path))?;
        let finished = finished_length(&text);
        let malformed =
            |(number, source)| HeadFolderError::Malformed { path: path.to_owned(), number, source };
        SignedNote::parse_all(&text[..finished]).map_err(malformed)
    }

    /// Every tree head in it, in the order in which they were signed; nobody has verified them yet.
    ///
    /// # Errors
    /// When a file cannot be read, or holds something else.
    pub fn read_all(&self) -> Result<Vec<SignedNote>, HeadFolderError> {
        let files = self.list_files()?;
        let notes = files.iter().map(|path| self.read_file(path));
        Ok(notes.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// The last tree head of this origin in it.
    pub(crate) fn find_last(&self, origin: &str) -> Result<Option<TreeHead>, HeadFolderError> {
        for path in self.list_files()?.iter().rev() {
            for (number, note) in self.read_file(path)?.iter().enumerate().rev() {
                let malformed = |source| HeadFolderError::Malformed {
                    path: path.clone(),
                    number: number + 1,
                    source,
                };
                let head = TreeHead::read_unverified(note).map_err(malformed)?;
                if head.origin == origin {
                    return Ok(Some(head));
                }
            }
        }
        Ok(None)
    }

    /// Appends a tree head, and waits until it is on the disk. The folder has to be there.
    pub(crate) fn append_head(&self, signed: &SignedTreeHead) -> Result<(), HeadFolderError> {
        let month = signed.head.signed_at.format("%Y-%m");
        let path = self.0.join(format!("{month}.{NOTES_SUFFIX}"));
        self.append_to(&path, &format!("{}\n", signed.to_text())).map_err(self.failed(&path))
    }

    fn append_to(&self, path: &Path, note: &str) -> io::Result<()> {
        let is_new = !path.exists();
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let kept = std::fs::read_to_string(path)?;
        let finished = finished_length(&kept);
        if finished < kept.len() {
            // What a crash left unfinished would make the next one unreadable, too.
            tracing::warn!(path = %path.display(), "a tree head that was not written to its end is taken away");
            file.set_len(finished as u64)?;
        }
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        if is_new {
            File::open(&self.0)?.sync_all()?;
        }
        Ok(())
    }
}

/// Up to where a file consists of whole notes, each of which has two empty lines' ends: behind its text, and behind it.
fn finished_length(text: &str) -> usize {
    let mut ends = text.match_indices("\n\n").map(|(at, _)| at + 2);
    let mut finished = 0;
    while let (Some(_), Some(end)) = (ends.next(), ends.next()) {
        finished = end;
    }
    finished
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn signed(size: u64, origin: &str, month: i64) -> SignedTreeHead {
        let head = TreeHead {
            origin: origin.to_owned(),
            size,
            root: [1; 32],
            position: 5,
            chain: [2; 32],
            signed_at: DateTime::from_timestamp(1_790_000_000 + month * 31 * 86_400, 0).unwrap(),
        };
        SignedTreeHead::sign(head, &[3; 32], |_| [4; 64])
    }

    #[test]
    fn heads_are_appended_by_month_and_one_that_was_not_finished_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let folder = HeadFolder::new(directory.path().join("heads"));
        assert!(folder.append_head(&signed(1, "a", 0)).is_err(), "it has to be there");
        folder.create().unwrap();
        assert_eq!(folder.find_last("a").unwrap(), None);
        for head in [signed(1, "a", 0), signed(2, "a", 0), signed(3, "b", 1)] {
            folder.append_head(&head).unwrap();
        }
        assert_eq!(folder.read_all().unwrap().len(), 3);
        assert_eq!(folder.find_last("a").unwrap().unwrap().size, 2);
        let last = folder.list_files().unwrap().pop().unwrap();
        let text = std::fs::read_to_string(&last).unwrap();
        for torn in [10, text.len() - 1] {
            std::fs::write(&last, format!("{text}{}", &text[..torn])).unwrap();
            assert_eq!(folder.read_all().unwrap().len(), 3, "{torn}");
            folder.append_head(&signed(4, "b", 1)).unwrap();
            assert_eq!(folder.read_all().unwrap().len(), 4, "{torn}");
        }
        std::fs::write(&last, text.replace("position 5", "position five")).unwrap();
        assert!(folder.find_last("a").unwrap_err().to_string().contains("number 1 in it is none"));
        std::fs::write(&last, text.replace("— ", "- ")).unwrap();
        assert!(folder.read_all().is_err());
    }
}
