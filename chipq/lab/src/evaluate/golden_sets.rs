//! Golden samples with variants and accepted boards, as a manifest names them: made ready once for the items
//! that share them, which follow one another.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use boards::{ManifestFile, ManifestItem};
use domain::{InspectedArea, NotComparable, Recipe};
use vision::{DecodedImage, Incomparable, PreparedGolden, PreparedGoldenSet};

use super::{EvaluateError, read};

/// The set of the last item, or why there is none.
#[derive(Default)]
pub(super) struct LastSet {
    last: RefCell<Option<(Vec<PathBuf>, ReadySet)>>,
}

pub(super) type ReadySet = Result<Arc<PreparedGoldenSet>, NotComparable>;

impl LastSet {
    /// The golden set of an item that names more than a golden sample. Pictures are grey when `grey`.
    pub(super) fn prepare(
        &self,
        folder: &Path,
        item: &ManifestItem,
        grey: bool,
    ) -> Result<Option<ReadySet>, EvaluateError> {
        if item.variants.is_empty() && item.accepted.is_empty() {
            return Ok(None);
        }
        let files = || std::iter::once(&item.template).chain(&item.variants).chain(&item.accepted);
        let key: Vec<PathBuf> = files().map(|file| file.file.clone()).collect();
        if let Some((known, set)) = &*self.last.borrow()
            && *known == key
        {
            return Ok(Some(set.clone()));
        }
        let set = read_set(folder, item, grey)?;
        *self.last.borrow_mut() = Some((key, set.clone()));
        Ok(Some(set))
    }
}

fn read_set(folder: &Path, item: &ManifestItem, grey: bool) -> Result<ReadySet, EvaluateError> {
    let read_picture = |file: &ManifestFile| {
        let bytes = read(&folder.join(&file.file))?;
        Ok(vision::decode(&bytes)
            .map_err(|_| NotComparable::Unreadable)
            .map(|picture| if grey { DecodedImage::Grey(picture.into_grey()) } else { picture }))
    };
    let read_all = |files: &[ManifestFile]| -> Result<Vec<_>, EvaluateError> {
        files.iter().map(read_picture).collect()
    };
    let golden = read_picture(&item.template)?;
    let (variants, accepted) = (read_all(&item.variants)?, read_all(&item.accepted)?);
    Ok(prepare_set(golden, variants, accepted).map(Arc::new))
}

type Picture = Result<DecodedImage, NotComparable>;

fn prepare_set(
    golden: Picture,
    variants: Vec<Picture>,
    accepted: Vec<Picture>,
) -> Result<PreparedGoldenSet, NotComparable> {
    let refused = |why: Incomparable| why.reason();
    let prepare = |picture: Picture| PreparedGolden::new(&picture?).map(Arc::new).map_err(refused);
    let variants = variants.into_iter().map(prepare).collect::<Result<_, _>>()?;
    let whole = InspectedArea::default();
    let set = PreparedGoldenSet::new(prepare(golden)?, variants, &whole, Recipe::BEND_MAX_PX);
    let mut set = set.map_err(refused)?;
    for board in accepted {
        set.add_accepted(&board?).map_err(refused)?;
    }
    Ok(set)
}
