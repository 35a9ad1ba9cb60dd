//! Which formats annotated pictures are written in: the one that the file's suffix names.

use std::path::{Path, PathBuf};

use image::ImageFormat;

/// Suffixes, in lower case, and what is written for each.
const FORMATS: [(&str, ImageFormat); 3] =
    [("png", ImageFormat::Png), ("jpg", ImageFormat::Jpeg), ("jpeg", ImageFormat::Jpeg)];

/// The format of a file by its suffix; none when that names none that is written.
pub(crate) fn annotation_format(path: &Path) -> Option<ImageFormat> {
    let suffix = path.extension()?.to_str()?.to_ascii_lowercase();
    FORMATS.iter().find(|(known, _)| *known == suffix).map(|(_, format)| *format)
}

/// A file that an annotated picture can be written to.
///
/// # Errors
/// When its suffix names no format that is written.
pub(crate) fn annotated_file(path: PathBuf) -> Result<PathBuf, String> {
    if annotation_format(&path).is_some() {
        return Ok(path);
    }
    let suffixes = FORMATS.map(|(suffix, _)| format!(".{suffix}"));
    Err(format!("the suffix says the format, and must be one of {}", suffixes.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_says_the_format_and_another_is_answered_with_those_that_do() {
        for good in ["a.png", "A.PNG", "b.jpg", "c.d.JpEg"] {
            assert!(annotated_file(good.into()).is_ok(), "{good}");
        }
        for bad in ["a", "a.gif", ".png", "png", "a.webp", "a.tiff"] {
            let refused = annotated_file(bad.into());
            assert!(refused.is_err_and(|why| why.contains(".png, .jpg, .jpeg")), "{bad}");
        }
    }
}
