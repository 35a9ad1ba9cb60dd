//! Files that a tool writes: never one that it reads, under whatever name.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Which of `inputs`, if any, is the file that `out` names, also through a link of either kind. What is not there
/// is nobody's input.
#[must_use]
pub fn find_input<'a>(out: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Option<&'a Path> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    let written = identity(out)?;
    inputs.into_iter().find(|input| identity(input) == Some(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_found_through_links_and_a_new_file_is_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let [picture, other, soft, hard] =
            ["picture.png", "other.png", "soft", "hard"].map(|name| folder.path().join(name));
        fs::write(&picture, "same").expect("written");
        fs::write(&other, "same").expect("written");
        std::os::unix::fs::symlink(&picture, &soft).expect("linked");
        fs::hard_link(&picture, &hard).expect("linked");
        let inputs = || [other.as_path(), picture.as_path()];
        for out in [&picture, &soft, &hard, &folder.path().join("./picture.png")] {
            assert_eq!(find_input(out, inputs()), Some(picture.as_path()), "{}", out.display());
        }
        assert_eq!(find_input(&folder.path().join("new.png"), inputs()), None);
    }
}
