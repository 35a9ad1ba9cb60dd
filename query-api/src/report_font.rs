//! The font of this machine in which reports print Chinese, Japanese and Korean letters, which no font that comes
//! with the program has.
//!
//! Invariant: what it is called and the digest of its file are known, so that a report that was printed with it can
//! say so; it is read once, and a file that is replaced later changes nothing until the next start.

#[cfg(test)]
pub(crate) mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::LazyLock;

use domain::Sha256;
use ttf_parser::Permissions;
use typst::foundations::Bytes;
use typst::text::Font;

/// The largest file that is read: the largest fonts that systems come with have 100 MB.
const FILE_BYTES_MAX: u64 = 160 << 20;
/// A letter of each script: Han, Hiragana, Hangul. Whatever has one of a script has the others.
const SCRIPTS: [char; 3] = ['中', 'あ', '한'];

/// Where systems put a font with these letters: first what has all of them (what `make demo` installs on Debian and
/// Ubuntu; Noto of Debian, Fedora, Arch and Alpine; what macOS comes with), then what has most.
const USUAL_PLACES: [&str; 11] = [
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "/Library/Fonts/Arial Unicode.ttf",
    "/System/Library/Fonts/Hiragino Sans GB.ttc",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
    "/usr/share/fonts/truetype/droid/DroidSansFallback.ttf",
];

/// A font with letters of Chinese, Japanese or Korean. Clones share it.
#[derive(Clone)]
pub struct ReportFont {
    font: Font,
    sha256: Sha256,
}

/// Why a file is no font to print these letters in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportFontError {
    /// It is not there, or may not be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is a folder or a device.
    #[error("it is no file")]
    NotAFile,
    /// It is larger than any font.
    #[error("it is larger than {} MiB", FILE_BYTES_MAX >> 20)]
    TooLarge,
    /// It is something else.
    #[error("it is no TrueType or OpenType font")]
    NotAFont,
    /// It says that documents may not carry it.
    #[error("its maker does not allow documents to contain it")]
    NotToBeEmbedded,
    /// It is of other scripts.
    #[error("it has no letters of Chinese, Japanese or Korean")]
    OtherScripts,
}

impl ReportFont {
    /// The font in the file at `path`; of a collection, the first of those that have the most scripts.
    ///
    /// # Errors
    /// When there is no such font.
    pub(crate) fn read(path: &Path) -> Result<Self, ReportFontError> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(ReportFontError::NotAFile);
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(ReportFontError::TooLarge);
        }
        Self::from_file(bytes)
    }

    fn from_file(file: Vec<u8>) -> Result<Self, ReportFontError> {
        let sha256 = Sha256::digest_of(&file);
        let fonts: Vec<Font> = Font::iter(Bytes::new(file)).collect();
        // The first of the best: what the next program start finds, too.
        let best = fonts.into_iter().rev().max_by_key(scripts).ok_or(ReportFontError::NotAFont)?;
        if scripts(&best) == 0 {
            return Err(ReportFontError::OtherScripts);
        }
        if may_not_be_embedded(&best) {
            return Err(ReportFontError::NotToBeEmbedded);
        }
        Ok(Self { font: best, sha256 })
    }

    /// The one that this machine has where systems put them, if any. It is looked for once.
    pub(crate) fn of_this_machine() -> Option<Self> {
        static FOUND: LazyLock<Option<ReportFont>> = LazyLock::new(|| {
            let font = USUAL_PLACES.iter().find_map(|place| first_usable(Path::new(place)));
            if font.is_none() {
                tracing::info!(
                    "no font with Chinese, Japanese or Korean letters is installed: reports print their code points; \
                     CHIPQ_REPORT_FONT names one"
                );
            }
            font
        });
        FOUND.clone()
    }

    pub(crate) const fn font(&self) -> &Font {
        &self.font
    }

    /// What it is called; of a collection, which one it is.
    pub(crate) fn name(&self) -> String {
        let family = &self.font.info().family;
        match ttf_parser::fonts_in_collection(self.font.data()) {
            Some(_) => format!("{family} (font {} of its file)", self.font.index()),
            None => family.clone(),
        }
    }

    /// Of its file.
    pub(crate) const fn sha256(&self) -> Sha256 {
        self.sha256
    }
}

/// What is unusable in a usual place is passed over: nobody has named it.
fn first_usable(place: &Path) -> Option<ReportFont> {
    let font = ReportFont::read(place).ok()?;
    tracing::info!(file = %place.display(), font = font.name(), sha256 = %font.sha256, "the font of Chinese, \
        Japanese and Korean letters in reports");
    Some(font)
}

/// How many of the scripts it has.
fn scripts(font: &Font) -> usize {
    let coverage = &font.info().coverage;
    SCRIPTS.iter().filter(|letter| coverage.contains(u32::from(**letter))).count()
}

/// What PDF/A demands: that the file may be carried in a document, and less than all of it.
fn may_not_be_embedded(font: &Font) -> bool {
    let Ok(face) = ttf_parser::Face::parse(font.data(), font.index()) else { return true };
    let allows_all = face.is_subsetting_allowed() && face.is_outline_embedding_allowed();
    face.tables().os2.is_some()
        && (face.permissions() == Some(Permissions::Restricted) || !allows_all)
}

impl std::fmt::Debug for ReportFont {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportFont")
            .field("name", &self.name())
            .field("sha256", &self.sha256)
            .finish()
    }
}

impl PartialEq for ReportFont {
    fn eq(&self, other: &Self) -> bool {
        (self.sha256, self.font.index()) == (other.sha256, other.font.index())
    }
}

impl Eq for ReportFont {}
