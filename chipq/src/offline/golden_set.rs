//! What a board is compared with, as the command line names it: pictures and an area.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::{InspectedArea, Sha256};
use vision::{DecodedImage, Incomparable, PreparedGolden, PreparedGoldenSet};

use crate::cli::InspectArgs;
use crate::failure::{Failure, exit};

/// A picture's file.
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) sha256: Sha256,
}

/// The golden samples, what was learnt from accepted boards, and where they come from.
pub(super) struct GoldenFiles {
    /// The golden sample, then its variants.
    pub(super) variants: Vec<SourceFile>,
    pub(super) accepted: Vec<SourceFile>,
    pub(super) area: InspectedArea,
    /// Ready, or why the pictures cannot be compared with.
    pub(super) set: Result<PreparedGoldenSet, Incomparable>,
}

impl GoldenFiles {
    /// Reads the pictures that are named.
    pub(super) fn read(args: &InspectArgs) -> Result<Self, Failure> {
        let (keep_outs, tolerated) = (args.keep_outs.clone(), args.tolerated.clone());
        let area = InspectedArea::new(args.region, keep_outs, tolerated)
            .map_err(|error| Failure::new(error, "see `chipq inspect --help`", exit::USAGE))?;
        let golden = read_picture(&args.golden)?;
        let variants = read_pictures(&args.variants)?;
        let accepted = read_pictures(&args.accepted)?;
        let set = prepare_set(&golden.1, &variants, &accepted, (&area, args.bend_max));
        let file = |(file, _): (SourceFile, DecodedImage)| file;
        Ok(Self {
            variants: std::iter::once(golden).chain(variants).map(file).collect(),
            accepted: accepted.into_iter().map(file).collect(),
            area,
            set,
        })
    }
}

fn prepare_set(
    golden: &DecodedImage,
    variants: &[(SourceFile, DecodedImage)],
    accepted: &[(SourceFile, DecodedImage)],
    (area, bend_max): (&InspectedArea, f32),
) -> Result<PreparedGoldenSet, Incomparable> {
    let golden = Arc::new(PreparedGolden::new(golden)?);
    let variants = variants.iter().map(|(_, variant)| PreparedGolden::new(variant).map(Arc::new));
    let variants = variants.collect::<Result<_, _>>()?;
    let mut set = PreparedGoldenSet::new(golden, variants, area, bend_max)?;
    for (_, board) in accepted {
        set.add_accepted(board)?;
    }
    Ok(set)
}

fn read_pictures(paths: &[PathBuf]) -> Result<Vec<(SourceFile, DecodedImage)>, Failure> {
    paths.iter().map(|path| read_picture(path)).collect()
}

/// A picture and where it comes from.
pub(super) fn read_picture(path: &Path) -> Result<(SourceFile, DecodedImage), Failure> {
    let bytes = std::fs::read(path).map_err(|error| {
        Failure::new(
            format_args!("cannot read {}: {error}", path.display()),
            "check the path; the golden sample comes first, then the board",
            exit::NO_INPUT,
        )
    })?;
    let picture = vision::decode(&bytes).map_err(|error| {
        Failure::new(
            format_args!("{} is not a picture that can be read: {error}", path.display()),
            "use a whole PNG or JPEG file",
            exit::DATA,
        )
    })?;
    Ok((SourceFile { path: path.to_owned(), sha256: Sha256::digest_of(&bytes) }, picture))
}
