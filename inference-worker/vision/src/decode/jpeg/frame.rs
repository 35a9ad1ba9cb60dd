//! The frame: the picture's size, its components and how it is coded (T.81, B.2.2).

use super::Unreadable;
use super::segment::Segment;

/// Components of a picture in CMYK or YCCK.
const INKS: usize = 4;

/// The header of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) is_progressive: bool,
    pub(super) components: Vec<Component>,
    /// Across and down.
    pub(super) units: (usize, usize),
}

/// A component: brightness, or a colour difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Blocks in a unit of interleaved components, across and down.
    pub(super) sampling: (usize, usize),
    /// Blocks that show the component, across and down.
    pub(super) blocks: (usize, usize),
    /// Blocks in a row when units are whole.
    pub(super) stride: usize,
}

impl Frame {
    /// The frame that the segment is the header of; none of any other segment.
    pub(super) fn read(segment: &Segment<'_>) -> Result<Option<Self>, Unreadable> {
        let is_progressive = match segment.marker {
            0xc0 | 0xc1 => false,
            0xc2 => true,
            0xc3 => return Err(Unreadable::Coding("lossless coding")),
            0xc5..=0xc7 => return Err(Unreadable::Coding("hierarchical coding")),
            0xc9..=0xcb | 0xcd..=0xcf => return Err(Unreadable::Coding("arithmetic coding")),
            _ => return Ok(None),
        };
        let [precision, high, low, wide, narrow, count, components @ ..] = segment.content else {
            return Err(Unreadable::Damaged("its frame header is too short"));
        };
        match (*precision, usize::from(*count)) {
            (_, INKS) => return Err(Unreadable::Inks),
            (8, 1 | 3) => {}
            (8, _) => return Err(Unreadable::Coding("other than one or three components")),
            (12, _) => return Err(Unreadable::Coding("12 bits a channel")),
            _ => return Err(Unreadable::Coding("other than 8 bits a channel")),
        }
        let height = u16::from_be_bytes([*high, *low]);
        let width = u16::from_be_bytes([*wide, *narrow]);
        if height == 0 || width == 0 {
            return Err(Unreadable::Coding("no height of its own"));
        }
        let (whole, cut) = components.as_chunks::<3>();
        if whole.len() != usize::from(*count) || !cut.is_empty() {
            return Err(Unreadable::Damaged("its frame header has the wrong length"));
        }
        let sampling = whole.iter().map(|[_, sampling, _]| {
            let (across, down) = (usize::from(sampling >> 4), usize::from(sampling & 15));
            let known = (1..=4).contains(&across) && (1..=4).contains(&down);
            known.then_some((across, down)).ok_or(Unreadable::Damaged("its sampling is impossible"))
        });
        let sampling = sampling.collect::<Result<Vec<_>, _>>()?;
        let ids = whole.iter().map(|[id, ..]| *id);
        Ok(Some(Self::new((width, height), is_progressive, ids.zip(sampling))))
    }

    fn new(
        (width, height): (u16, u16),
        is_progressive: bool,
        components: impl Iterator<Item = (u8, (usize, usize))>,
    ) -> Self {
        let components: Vec<_> = components.collect();
        let most = |side: fn(&(usize, usize)) -> usize| {
            components.iter().map(|(_, sampling)| side(sampling)).max().unwrap_or(1)
        };
        let most = (most(|sampling| sampling.0), most(|sampling| sampling.1));
        let size = (usize::from(width), usize::from(height));
        let units = (size.0.div_ceil(8 * most.0), size.1.div_ceil(8 * most.1));
        let components = components.into_iter().map(|(id, sampling)| Component {
            id,
            sampling,
            blocks: (
                (size.0 * sampling.0).div_ceil(most.0).div_ceil(8),
                (size.1 * sampling.1).div_ceil(most.1).div_ceil(8),
            ),
            stride: units.0 * sampling.0,
        });
        Self { width, height, is_progressive, components: components.collect(), units }
    }
}

impl Component {
    /// Blocks that whole units hold.
    pub(super) const fn blocks_of(&self, units: (usize, usize)) -> usize {
        self.stride * units.1 * self.sampling.1
    }
}
