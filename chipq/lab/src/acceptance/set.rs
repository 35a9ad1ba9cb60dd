//! The boards of an acceptance: generated from fixed seeds, or read from a folder in DeepPCB's
//! layout. One board is in memory at a time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use boards::photographed::{BoardStyle, PhotographedBoard, Shot};
use boards::{BoardOptions, LabelClass, LabelledBox, Manifest, ManifestItem};
use domain::{NotComparable, PixelBox, Sha256};
use vision::{DecodedImage, ImageView, PreparedGolden, PreparedPicture};

/// Generated boards belong to this sequence; training uses others.
const SEED: u64 = 770_001;
/// Width and height of a generated photograph, pixels.
const PHOTOGRAPH_SIDE: u32 = 640;
/// Most flaws on one.
const PHOTOGRAPH_FLAWS: usize = 8;

/// Why a set, or a board of it, cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SetError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The manifest is not in the DeepPCB layout.
    #[error("{path} is not a manifest of picture pairs")]
    Manifest {
        /// Which file.
        path: PathBuf,
        /// Where it departs.
        source: serde_json::Error,
    },
    /// There is no board in it: nothing could be compared.
    #[error("{0} holds no board")]
    Empty(PathBuf),
    /// A picture is not what the manifest says.
    #[error("{path} is not the picture that the manifest names: its digest is {actual}")]
    Digest {
        /// Which file.
        path: PathBuf,
        /// Its digest now.
        actual: Sha256,
    },
}

/// Boards that every comparison of models sees alike.
#[derive(Debug)]
pub struct FixedSet {
    name: String,
    source: SetSource,
}

#[derive(Debug)]
enum SetSource {
    Generated(GeneratedBoards),
    Folder { folder: PathBuf, items: Vec<ManifestItem> },
}

/// How many boards are generated of each sort.
#[derive(Debug, Clone, Copy)]
pub struct GeneratedBoards {
    /// Binarised boards with 3 to 12 labelled defects each, 640 × 640 pixels.
    pub flawed: usize,
    /// Binarised boards without any.
    pub clean: usize,
    /// Photographs of boards with up to 8 labelled defects each, 640 × 640 pixels.
    pub photographs: usize,
}

/// A board made ready: its crops, or why there are none, and what is labelled on it.
pub(super) struct PreparedCase {
    pub(super) id: String,
    pub(super) prepared: Result<PreparedPicture, NotComparable>,
    pub(super) labels: Vec<(LabelClass, PixelBox)>,
}

impl FixedSet {
    /// Generated boards; the same numbers give the same boards.
    #[must_use]
    pub fn from_generator(boards: GeneratedBoards) -> Self {
        let GeneratedBoards { flawed, clean, photographs } = boards;
        let name = format!(
            "{flawed} flawed and {clean} clean generated boards and {photographs} photographs of \
             flawed ones, of seed {SEED}"
        );
        Self { name, source: SetSource::Generated(boards) }
    }

    /// Every pair of `folder/manifest.json`.
    ///
    /// # Errors
    /// When the manifest cannot be read or has no pair.
    pub fn from_folder(folder: &Path) -> Result<Self, SetError> {
        let path = folder.join("manifest.json");
        let bytes = read(&path)?;
        let digest = Sha256::digest_of(&bytes);
        let manifest = Manifest::from_json(&bytes)
            .map_err(|source| SetError::Manifest { path: path.clone(), source })?;
        if manifest.items.is_empty() {
            return Err(SetError::Empty(path));
        }
        let (items, dataset) = (manifest.items, manifest.dataset);
        let name = format!("{} boards of {dataset} (manifest {digest})", items.len());
        Ok(Self { name, source: SetSource::Folder { folder: folder.to_owned(), items } })
    }

    /// The set in words: two sets of one name are the same boards.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many boards it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.source {
            SetSource::Generated(GeneratedBoards { flawed, clean, photographs }) => {
                flawed + clean + photographs
            }
            SetSource::Folder { items, .. } => items.len(),
        }
    }

    /// True when it has no board.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Board `index` made ready; about 50 ms of computing, half a second for a photograph.
    pub(super) fn prepare_case(&self, index: usize) -> Result<PreparedCase, SetError> {
        match &self.source {
            SetSource::Generated(GeneratedBoards { flawed, clean, .. }) => {
                if index < flawed + clean {
                    Ok(prepare_generated(index, index >= *flawed))
                } else {
                    Ok(prepare_photograph(index))
                }
            }
            SetSource::Folder { folder, items } => prepare_from_folder(folder, &items[index]),
        }
    }
}

fn prepare_generated(index: usize, clean: bool) -> PreparedCase {
    let clean_per_cent = if clean { 100 } else { 0 };
    let options = BoardOptions { clean_per_cent, ..BoardOptions::default() };
    let board = boards::generate_board(SEED, index as u64, &options);
    let prepared = prepare_pair(&board.test, &board.golden);
    let labels = board.defects.into_iter();
    let labels = labels.map(|(class, bounds)| (LabelClass::Named(class), bounds)).collect();
    PreparedCase { id: format!("generated-{index:05}"), prepared, labels }
}

/// The golden sample's own piece, flawed and shot again.
fn prepare_photograph(index: usize) -> PreparedCase {
    let seed = SEED + index as u64;
    let style = BoardStyle::from_seed(seed, PHOTOGRAPH_SIDE, PHOTOGRAPH_SIDE);
    let board = PhotographedBoard::new(seed, style);
    let station = Shot::for_station(seed);
    let golden = DecodedImage::Colour(board.piece(0).photograph(&station).picture);
    let shot = station.repeated(1, 1.0);
    let flawed = board.flawed_piece(0, 1, PHOTOGRAPH_FLAWS).photograph(&shot);
    let prepared = prepare_pair(&DecodedImage::Colour(flawed.picture), &golden);
    let labels = flawed.labels.iter().map(|label| (label.class, label.bounds())).collect();
    PreparedCase { id: format!("photograph-{index:05}"), prepared, labels }
}

fn prepare_from_folder(folder: &Path, item: &ManifestItem) -> Result<PreparedCase, SetError> {
    let mut pictures = Vec::with_capacity(2);
    for file in [&item.test, &item.template] {
        let path = folder.join(&file.file);
        let bytes = read(&path)?;
        let actual = Sha256::digest_of(&bytes);
        if actual != file.sha256 {
            return Err(SetError::Digest { path, actual });
        }
        pictures.push(vision::decode(&bytes).map_err(|_| NotComparable::Unreadable));
    }
    let prepared = match pictures.as_slice() {
        [Ok(test), Ok(golden)] => prepare_pair(test, golden),
        _ => Err(NotComparable::Unreadable),
    };
    let label = |label: &LabelledBox| (label.class, label.bounds());
    Ok(PreparedCase {
        id: item.id.clone(),
        prepared,
        labels: item.boxes.iter().map(label).collect(),
    })
}

fn prepare_pair<'a>(
    test: impl Into<ImageView<'a>>,
    golden: impl Into<ImageView<'a>>,
) -> Result<PreparedPicture, NotComparable> {
    let prepared = PreparedGolden::new(golden).and_then(|golden| vision::prepare(test, &golden));
    prepared.map_err(|incomparable| incomparable.reason())
}

fn read(path: &Path) -> Result<Vec<u8>, SetError> {
    fs::read(path).map_err(|source| SetError::Read { path: path.to_owned(), source })
}
