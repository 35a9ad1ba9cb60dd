//! Accepted boards: good ones that show how good boards differ from their golden sample.
//!
//! A board widens the tolerance of the golden sample that it is most like. It is refused, in words that say
//! which one it is, when it deviates over so much of the area, or so grossly in one place, that flaws would go
//! unseen by it.

use domain::PixelBox;

use super::{BinaryImage, ImageView, Panel, PreparedGoldenSet, Variant, read_copper};
use crate::area::GoldenArea;
use crate::{ComparisonBasis, Incomparable, PreparedGolden, SetMember, copper};

/// From so many boards on a place has to differ on at least...
const AGREED_FROM: u32 = 3;
/// ...so many of them.
const AGREEING: usize = 2;
/// Around a place that differed so many pixels are tolerated as well: edges lie that much off.
const REACH: u32 = 2;
/// Copper that differs over more than this on an accepted board is a flaw, pixels: it does not fit a crop.
const PLACE_SIDE_MAX: u32 = 88;
/// The part of the area that may be tolerated because of accepted boards.
const TOLERATED_SHARE_MAX: f64 = 0.03;

/// Where the copper of accepted boards differs from the golden sample, in its pixels.
#[derive(Debug, Clone, Default)]
pub(super) struct CopperSpread {
    boards: u32,
    /// Board by board.
    places: Vec<Vec<PixelBox>>,
}

impl CopperSpread {
    pub(super) const fn new() -> Self {
        Self { boards: 0, places: Vec::new() }
    }

    fn add_board(&mut self, places: Vec<PixelBox>) {
        self.boards += 1;
        self.places.push(places);
    }

    /// The pixels in which enough boards differ.
    fn agreed_pixels(&self, size: (usize, usize)) -> BinaryImage {
        let needed = if self.boards >= AGREED_FROM { AGREEING } else { 1 };
        let mut seen = vec![BinaryImage::new(size.0, size.1); needed];
        for places in &self.places {
            let mut own = BinaryImage::new(size.0, size.1);
            places.iter().for_each(|place| own.fill_extent(grown_extent(place, size)));
            // What is seen once more than before.
            for times in (1..needed).rev() {
                let mut again = seen[times - 1].clone();
                again.intersect_with(&own);
                seen[times].join_with(&again);
            }
            seen[0].join_with(&own);
        }
        seen.pop().unwrap_or_else(|| BinaryImage::new(size.0, size.1))
    }
}

fn grown_extent(place: &PixelBox, size: (usize, usize)) -> [usize; 4] {
    let low = |at: u32| at.saturating_sub(REACH) as usize;
    let high = |at: u32, length: u32, end: usize| ((at + length + REACH) as usize).min(end);
    [
        low(place.x),
        low(place.y),
        high(place.x, place.width, size.0),
        high(place.y, place.height, size.1),
    ]
}

impl PreparedGoldenSet {
    /// Adds an accepted board. Where it differs from the golden sample that it is most like, differences
    /// that no finding explains are tolerated; on photographs, as far as its levels go.
    ///
    /// # Errors
    /// [`Incomparable::Member`] when it cannot be compared, or differs too much to be a good board.
    pub fn add_accepted<'a>(
        &mut self,
        board: impl Into<ImageView<'a>>,
    ) -> Result<(), Incomparable> {
        let board = board.into();
        let variant = self.choose_variant(board);
        let number = self.accepted + 1;
        self.learn_picture(board, variant).map_err(|cause| accepted_member(number, cause))?;
        self.accepted = number;
        Ok(())
    }

    /// As [`Self::add_accepted`], of a binarised panel.
    ///
    /// # Errors
    /// As [`Self::add_accepted`].
    pub fn add_accepted_panel(&mut self, board: Panel) -> Result<(), Incomparable> {
        let variant = self.choose_for_copper(&board.bits);
        let number = self.accepted + 1;
        self.learn_copper(board.bits, variant).map_err(|cause| accepted_member(number, cause))?;
        self.accepted = number;
        Ok(())
    }

    fn learn_picture(&mut self, board: ImageView<'_>, variant: usize) -> Result<(), Incomparable> {
        let Variant { golden, area, levels, .. } = &mut self.variants[variant];
        let bits = read_copper(board, golden)?;
        let Some(photograph) = &golden.photograph else { return self.learn_copper(bits, variant) };
        *levels = Some(photograph.learn_board(board, area.as_ref(), levels.take())?);
        Ok(())
    }

    /// The golden sample is compared with the board, so that places are in its pixels.
    fn learn_copper(&mut self, board: BinaryImage, index: usize) -> Result<(), Incomparable> {
        let variant = &mut self.variants[index];
        let golden = &variant.golden;
        super::super::same_size((board.width as u32, board.height as u32), golden)?;
        let size = golden.bits.size();
        let board = PreparedGolden::from_copper(board, golden.reading.clone());
        let basis = ComparisonBasis { bend_max: self.bend_max, ..ComparisonBasis::from(&board) };
        let compared = copper::prepare_copper(golden.bits.clone(), basis, &mut ())?;
        let excluded = variant.area.as_ref().map(GoldenArea::excluded_pixels);
        let is_inspected =
            |place: &PixelBox| !excluded.as_ref().is_some_and(|excluded| excluded.holds_box(place));
        let significant = compared.candidates.significant.iter();
        let places: Vec<PixelBox> =
            significant.map(|difference| difference.bounds).filter(is_inspected).collect();
        if let Some(bounds) = places.iter().find(|p| p.width.max(p.height) > PLACE_SIDE_MAX) {
            return Err(Incomparable::GrosslyDeviating { bounds: *bounds });
        }
        variant.copper.add_board(places);
        let agreed = variant.copper.agreed_pixels(size);
        let share = agreed.count_copper() as f64 / (size.0 * size.1) as f64;
        if share > TOLERATED_SHARE_MAX {
            return Err(Incomparable::WidelyDeviating { share });
        }
        let area = variant.area.take().unwrap_or_else(|| GoldenArea::whole(size));
        variant.area = Some(area.with_agreed_deviations(agreed));
        Ok(())
    }
}

fn accepted_member(number: u32, cause: Incomparable) -> Incomparable {
    Incomparable::Member { member: SetMember::AcceptedBoard(number), cause: Box::new(cause) }
}
