//! Boards in a folder, laid out as DeepPCB's manifest describes: `manifest.json` beside `images/`.
//!
//! The same types read real data sets; fields that nothing here needs are passed over.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use domain::{DefectClass, PixelBox, Sha256};
use image::{GrayImage, ImageFormat};
use serde::{Deserialize, Serialize};

use super::{BoardOptions, Design, design_seed, write_whole_file};

/// The file that says what is in the folder.
const MANIFEST: &str = "manifest.json";

/// Why boards could not be written.
#[derive(Debug, thiserror::Error)]
pub enum BoardsError {
    /// The disk refused.
    #[error("cannot write {path}")]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture did not encode.
    #[error("cannot encode a picture")]
    Encode(#[from] image::ImageError),
    /// The manifest did not encode.
    #[error("cannot encode the manifest")]
    Manifest(#[from] serde_json::Error),
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardsSummary {
    /// The manifest's path.
    pub manifest: PathBuf,
    /// Number of boards.
    pub boards: u64,
    /// Number of labelled defects on all of them.
    pub defects: u64,
}

/// A data set of picture pairs with labels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the data set.
    pub dataset: String,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    /// Terms of use.
    #[serde(default)]
    pub licence: String,
    /// Width and height of the pictures in pixels; of many data sets each item has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<[u32; 2]>,
    /// The classes that labels use, as the data set names them.
    #[serde(default)]
    pub classes: Vec<String>,
    /// Number of items.
    #[serde(default)]
    pub count: u64,
    /// The pairs.
    pub items: Vec<ManifestItem>,
}

impl Manifest {
    /// The manifest that `json` is; a byte order mark, with which some editors begin a file, is passed over.
    ///
    /// # Errors
    /// What it is instead, with line and column.
    pub fn from_json(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json))
    }
}

/// One pair: a picture under test, its golden sample, and the labels.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManifestItem {
    /// Unique in the manifest.
    pub id: String,
    /// `trainval`, `test`, or a name of the data set's own.
    pub split: String,
    /// Boards that resemble each other: one design, or one family.
    pub group: String,
    /// The picture under test.
    pub test: ManifestFile,
    /// The golden sample.
    pub template: ManifestFile,
    /// Golden samples that stand beside it: boards may also look like those.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<ManifestFile>,
    /// Pictures of other good boards of the same part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<ManifestFile>,
    /// What is wrong with the picture under test.
    pub boxes: Vec<LabelledBox>,
}

impl ManifestItem {
    /// Every picture of the pair.
    pub fn files(&self) -> impl Iterator<Item = &ManifestFile> {
        [&self.test, &self.template].into_iter().chain(&self.variants).chain(&self.accepted)
    }
}

/// A file beside the manifest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path relative to the manifest's folder.
    pub file: PathBuf,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// Its length in bytes.
    pub bytes: u64,
}

/// A labelled defect; pixels of the test picture, `x2` and `y2` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledBox {
    /// Left edge.
    pub x1: u32,
    /// Top edge.
    pub y1: u32,
    /// Right edge, excluded.
    pub x2: u32,
    /// Bottom edge, excluded.
    pub y2: u32,
    /// What it is.
    pub class: LabelClass,
}

/// What a label says is wrong: a class that the network names, or any other word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LabelClass {
    /// A class that the network names.
    Named(DefectClass),
    /// One that it does not: it may be found, and never by its name.
    Other,
}

impl LabelClass {
    /// The class, when it is one that the network names.
    #[must_use]
    pub const fn as_named(self) -> Option<DefectClass> {
        match self {
            Self::Named(class) => Some(class),
            Self::Other => None,
        }
    }
}

impl From<DefectClass> for LabelClass {
    fn from(class: DefectClass) -> Self {
        Self::Named(class)
    }
}

impl From<String> for LabelClass {
    fn from(word: String) -> Self {
        word.parse().map_or(Self::Other, Self::Named)
    }
}

impl From<LabelClass> for String {
    fn from(class: LabelClass) -> Self {
        let word = match class {
            LabelClass::Named(class) => class.as_str(),
            LabelClass::Other => "other",
        };
        word.to_owned()
    }
}

impl LabelledBox {
    /// The label of a defect.
    #[must_use]
    pub fn new(class: impl Into<LabelClass>, bounds: PixelBox) -> Self {
        let class = class.into();
        let PixelBox { x, y, width, height } = bounds;
        Self { x1: x, y1: y, x2: x + width, y2: y + height, class }
    }

    /// The label's box.
    #[must_use]
    pub const fn bounds(&self) -> PixelBox {
        PixelBox {
            x: self.x1,
            y: self.y1,
            width: self.x2.saturating_sub(self.x1),
            height: self.y2.saturating_sub(self.y1),
        }
    }
}

/// Writes `count` boards of the sequence that `seed` starts into `out`: `manifest.json` and
/// `images/*.png`. Equal arguments write equal files. Boards of one design share one golden sample
/// and one group.
///
/// # Errors
/// When a folder or file cannot be written.
pub fn write_boards(
    count: u64,
    seed: u64,
    options: &BoardOptions,
    out: &Path,
) -> Result<BoardsSummary, BoardsError> {
    begin_set(out)?;
    let per_design = u64::from(options.units_per_design.max(1));
    let mut items = Vec::new();
    let mut part: Option<(u64, Design, ManifestFile)> = None;
    for index in 0..count {
        let number = index / per_design;
        let (_, design, template) = match part.take() {
            Some(current) if current.0 == number => part.insert(current),
            _ => {
                let design = Design::new(design_seed(seed, number), options.size);
                let template = write_picture(
                    out,
                    &format!("part{number:05}_temp.png"),
                    &design.golden_sample(),
                )?;
                part.insert((number, design, template))
            }
        };
        let (test, defects) = design.print_unit(index, options);
        let boxes = defects.iter().map(|&(class, area)| LabelledBox::new(class, area)).collect();
        items.push(ManifestItem {
            id: format!("{index:08}"),
            split: "test".to_owned(),
            group: format!("part{number:05}"),
            test: write_picture(out, &format!("{index:08}_test.png"), &test)?,
            template: template.clone(),
            variants: Vec::new(),
            accepted: Vec::new(),
            boxes,
        });
    }
    let manifest = Manifest {
        dataset: "chipq generated boards".to_owned(),
        source: format!("chipq generate-boards --count {count} --seed {seed}"),
        licence: "MIT".to_owned(),
        image_size: Some([options.size; 2]),
        classes: DefectClass::OF_COPPER.map(|class| class.as_str().to_owned()).to_vec(),
        count,
        items,
    };
    write_manifest(out, &manifest)
}

/// Writes `manifest.json` into the folder.
pub(super) fn write_manifest(
    out: &Path,
    manifest: &Manifest,
) -> Result<BoardsSummary, BoardsError> {
    let path = out.join(MANIFEST);
    let json = serde_json::to_vec_pretty(manifest)?;
    let written = write_whole_file(&path, &json);
    written.map_err(|source| BoardsError::Write { path: path.clone(), source })?;
    let defects = manifest.items.iter().map(|item| item.boxes.len() as u64).sum();
    Ok(BoardsSummary { manifest: path, boards: manifest.count, defects })
}

fn write_picture(out: &Path, name: &str, picture: &GrayImage) -> Result<ManifestFile, BoardsError> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    write_image(out, name, &bytes)
}

/// Makes the folder for images. A manifest of another set, which is being written over, goes first: none says
/// what is no longer there, however this ends.
pub(super) fn begin_set(out: &Path) -> Result<(), BoardsError> {
    let (images, manifest) = (out.join("images"), out.join(MANIFEST));
    fs::create_dir_all(&images).map_err(|source| BoardsError::Write { path: images, source })?;
    match fs::remove_file(&manifest) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(BoardsError::Write { path: manifest, source })
        }
        _ => Ok(()),
    }
}

/// Writes an encoded picture into the folder for images.
pub(super) fn write_image(
    out: &Path,
    name: &str,
    bytes: &[u8],
) -> Result<ManifestFile, BoardsError> {
    let file = Path::new("images").join(name);
    let path = out.join(&file);
    write_whole_file(&path, bytes).map_err(|source| BoardsError::Write { path, source })?;
    Ok(ManifestFile { file, sha256: Sha256::digest_of(bytes), bytes: bytes.len() as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_of_other_classes_and_sizes_per_item_is_read() {
        let digest = Sha256::digest_of(b"file");
        let file = format!(r#"{{"file": "a.jpg", "sha256": "{digest}", "bytes": 4}}"#);
        let json = format!(
            r#"{{"dataset": "photographs", "items": [{{"id": "1", "split": "test", "group": "01",
                "test": {file}, "template": {file}, "image_size": [3034, 1586], "boxes": [
                {{"x1": 1, "y1": 2, "x2": 3, "y2": 4, "class": "missing_hole"}},
                {{"x1": 1, "y1": 2, "x2": 3, "y2": 4, "class": "short"}}]}}]}}"#
        );
        let manifest: Manifest = serde_json::from_str(&json).expect("a manifest");
        let classes: Vec<_> = manifest.items[0].boxes.iter().map(|label| label.class).collect();
        assert_eq!(classes, [LabelClass::Other, LabelClass::Named(DefectClass::Short)]);
        assert_eq!(serde_json::to_value(&classes).expect("JSON")[0], "other");
    }
}
