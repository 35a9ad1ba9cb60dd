//! What an accepted board teaches: it is compared like any other, and where it deviates its levels are kept. One
//! that deviates too much to be a good board teaches nothing and is refused.

use super::excess::ExcessMap;
use super::level_spread::LevelSpread;
use super::{CountingPixels, GoldenPhotograph, in_focus_everywhere};
use crate::area::GoldenArea;
use crate::binary_image::BinaryImage;
use crate::candidates;
use crate::decode::ImageView;
use crate::{BEND_MAX, Incomparable};

/// The part of the area over which an accepted board may deviate, and that may be tolerated because of all of
/// them.
const DEVIATING_SHARE_MAX: f64 = 0.2;
const WIDENED_SHARE_MAX: f64 = 0.5;
/// The part of the area over which one may deviate in one place.
const PLACE_SHARE_MAX: f64 = 0.03;

impl GoldenPhotograph {
    /// Adds an accepted board, of the same size, to what is known of others.
    ///
    /// # Errors
    /// [`Incomparable`] when it cannot be compared, or deviates too much to be a good board.
    pub(crate) fn learn_board(
        &self,
        board: ImageView<'_>,
        area: Option<&GoldenArea>,
        known: Option<Box<LevelSpread>>,
    ) -> Result<Box<LevelSpread>, Incomparable> {
        let counting = area.map(CountingPixels::from_area).unwrap_or_default();
        let registered = self.register(board, &counting);
        let score = registered.registration().score;
        if !registered.agrees() {
            return Err(Incomparable::Unlike { score });
        }
        let bend = registered.field().bend();
        if bend > BEND_MAX {
            return Err(Incomparable::Bent { bend, allowed: BEND_MAX });
        }
        let aligned = self.align_levels(registered)?;
        let pair = self.pair_with(&aligned, None);
        let map = pair.measure_excess(counting.excluded.as_ref());
        in_focus_everywhere(&map.edges)?;
        let left_out = counting.excluded.as_ref().map_or(0, BinaryImage::count_copper);
        let inspected = (map.values.len() as u64).saturating_sub(left_out).max(1) as f64;
        let deviating = deviating_pixels(&map, inspected)?;
        let channels = self.channels.levels.len();
        let mut spread = known.unwrap_or_else(|| Box::new(LevelSpread::new(self.size(), channels)));
        let lit = (0..channels).map(|channel| {
            let [_, test] = pair.normalise_channel(channel);
            test
        });
        spread.add_board(&deviating, &lit.collect::<Vec<_>>());
        let share = spread.count_widened() as f64 / inspected;
        if share > WIDENED_SHARE_MAX {
            return Err(Incomparable::WidelyDeviating { share });
        }
        Ok(spread)
    }
}

/// Where a board deviates: lines of one pixel, too. Where the edge of an opening moves by less than the band, they are
/// all that says that it moves. Single pixels and such lines make no board a bad one.
fn deviating_pixels(map: &ExcessMap, inspected: f64) -> Result<BinaryImage, Incomparable> {
    let deviating = map.differing.opened_by_two();
    let share = deviating.count_copper() as f64 / inspected;
    if share > DEVIATING_SHARE_MAX {
        return Err(Incomparable::WidelyDeviating { share });
    }
    let places = candidates::find_regions(&deviating.dilated(), usize::MAX).unwrap_or_default();
    let is_gross =
        |place: &&candidates::Region| f64::from(place.pixels) > PLACE_SHARE_MAX * inspected;
    match places.iter().find(is_gross) {
        Some(place) => Err(Incomparable::GrosslyDeviating { bounds: place.bounds() }),
        None => Ok(map.differing.clone()),
    }
}
