//! The boards of a demo, with what is known to be wrong with them: generated, or from a folder.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use boards::{BoardOptions, Design, LabelledBox, Manifest, ManifestItem};
use image::{GrayImage, ImageFormat};

use crate::failure::{Failure, exit};
use crate::http_client::PictureFile;

/// Width and height of generated boards in pixels.
const SIZE: u32 = 640;
/// Per cent of generated boards without a defect.
const CLEAN_PER_CENT: u32 = 40;

/// Boards to push, and the parts that they are of.
pub(crate) struct Lot {
    /// Parts, each with a name and its golden sample.
    pub(crate) parts: Vec<(String, Picture)>,
    /// The boards.
    pub(crate) boards: Vec<Board>,
}

/// A board to push.
#[derive(Clone)]
pub(crate) struct Board {
    /// What it is called in the table.
    pub(crate) name: String,
    /// Its part's place in [`Lot::parts`].
    pub(crate) part: usize,
    picture: Picture,
}

/// Where a picture comes from; it is made or read when it is needed.
#[derive(Clone)]
pub(crate) enum Picture {
    Golden(Arc<Design>),
    Unit(Arc<Design>, u64),
    File(PathBuf, Vec<LabelledBox>),
}

impl Lot {
    /// `count` boards of one generated part; some are clean.
    pub(crate) fn generated(count: usize, seed: u64) -> Self {
        let design = Arc::new(Design::new(seed, SIZE));
        let board = |unit: usize| Board {
            name: format!("{unit:04}"),
            part: 0,
            picture: Picture::Unit(Arc::clone(&design), unit as u64),
        };
        Self {
            parts: vec![("BOARD".to_owned(), Picture::Golden(Arc::clone(&design)))],
            boards: (1..=count).map(board).collect(),
        }
    }

    /// The pairs of a DeepPCB-style folder, each a part of its own; at most `count`.
    pub(crate) fn from_folder(folder: &Path, count: Option<usize>) -> Result<Self, Failure> {
        let path = folder.join("manifest.json");
        let bytes = std::fs::read(&path).map_err(|error| {
            Failure::new(
                format_args!("cannot read {}: {error}", path.display()),
                "name a folder with a DeepPCB-style manifest.json, such as `chipq generate-boards` \
                 writes",
                exit::NO_INPUT,
            )
        })?;
        let manifest = Manifest::from_json(&bytes).map_err(|error| {
            Failure::new(
                format_args!("{} is not a manifest of picture pairs: {error}", path.display()),
                "compare it with one that `chipq generate-boards` writes",
                exit::DATA,
            )
        })?;
        let items = manifest.items.into_iter().take(count.unwrap_or(usize::MAX));
        let mut lot = Self { parts: Vec::new(), boards: Vec::new() };
        items.for_each(|item| lot.add(folder, item));
        Ok(lot)
    }

    fn add(&mut self, folder: &Path, item: ManifestItem) {
        let golden = Picture::File(folder.join(item.template.file), Vec::new());
        let test = Picture::File(folder.join(item.test.file), item.boxes);
        self.boards.push(Board { name: item.id.clone(), part: self.parts.len(), picture: test });
        self.parts.push((item.id, golden));
    }
}

impl Board {
    /// The file to upload, and what is known to be wrong with the board.
    pub(crate) async fn load(&self) -> anyhow::Result<(PictureFile, Vec<LabelledBox>)> {
        self.picture.load().await
    }
}

impl Picture {
    /// The file to upload, and what is known to be wrong. Computes on a thread for that.
    pub(crate) async fn load(&self) -> anyhow::Result<(PictureFile, Vec<LabelledBox>)> {
        let picture = self.clone();
        tokio::task::spawn_blocking(move || picture.make_file()).await?
    }

    fn make_file(self) -> anyhow::Result<(PictureFile, Vec<LabelledBox>)> {
        match self {
            Self::Golden(design) => Ok((encode_png(&design.golden_sample())?, Vec::new())),
            Self::Unit(design, unit) => {
                let options = BoardOptions {
                    size: SIZE,
                    clean_per_cent: CLEAN_PER_CENT,
                    ..BoardOptions::default()
                };
                let (picture, defects) = design.print_unit(unit, &options);
                let labels = defects.into_iter().map(|(class, at)| LabelledBox::new(class, at));
                Ok((encode_png(&picture)?, labels.collect()))
            }
            Self::File(path, labels) => {
                let bytes = std::fs::read(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let media_type =
                    if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
                Ok((PictureFile { media_type, bytes }, labels))
            }
        }
    }
}

fn encode_png(picture: &GrayImage) -> anyhow::Result<PictureFile> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(PictureFile { media_type: "image/png", bytes })
}
