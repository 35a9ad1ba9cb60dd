//! A binary drawing area: copper or bare substrate per pixel, with the shapes that layouts and
//! flaws are made of. Integer geometry only; drawing outside the area is clipped.

/// A position in pixels, origin at the top left, y downwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PixelPoint {
    pub(super) x: i32,
    pub(super) y: i32,
}

impl PixelPoint {
    pub(super) const fn new(x: i32, y: i32) -> Self {
        Self { x, y }
    }
}

/// A rectangle in pixels; right and bottom are excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
}

impl Area {
    /// The same rectangle, larger by `margin` on every side.
    pub(super) const fn grown_by(self, margin: i32) -> Self {
        Self {
            left: self.left - margin,
            top: self.top - margin,
            right: self.right + margin,
            bottom: self.bottom + margin,
        }
    }

    /// True when the two rectangles share a pixel.
    pub(super) const fn overlaps(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    /// True when `inner` lies wholly inside.
    pub(super) const fn encloses(self, inner: Self) -> bool {
        self.left <= inner.left
            && self.top <= inner.top
            && self.right >= inner.right
            && self.bottom >= inner.bottom
    }
}

/// What can be drawn. Widths, radii and sides are in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// A straight line with round ends.
    Line { from: PixelPoint, to: PixelPoint, width: i32 },
    /// A filled circle.
    Disc { centre: PixelPoint, radius: i32 },
    /// A filled rectangle whose corners are rounded with `round`.
    Rect { area: Area, round: i32 },
}

impl Shape {
    /// The shape, fatter by `margin` on every side.
    pub(super) const fn grown_by(self, margin: i32) -> Self {
        match self {
            Self::Line { from, to, width } => Self::Line { from, to, width: width + 2 * margin },
            Self::Disc { centre, radius } => Self::Disc { centre, radius: radius + margin },
            Self::Rect { area, round } => Self::Rect { area: area.grown_by(margin), round },
        }
    }

    fn bounding_area(self) -> Area {
        match self {
            Self::Line { from, to, width } => Area {
                left: from.x.min(to.x),
                top: from.y.min(to.y),
                right: from.x.max(to.x) + 1,
                bottom: from.y.max(to.y) + 1,
            }
            .grown_by(width / 2 + 1),
            Self::Disc { centre, radius } => {
                Area { left: centre.x, top: centre.y, right: centre.x + 1, bottom: centre.y + 1 }
                    .grown_by(radius + 1)
            }
            Self::Rect { area, .. } => area,
        }
    }

    fn contains(self, x: i32, y: i32) -> bool {
        match self {
            Self::Line { from, to, width } => near_segment(PixelPoint::new(x, y), from, to, width),
            Self::Disc { centre, radius } => {
                squared(x - centre.x) + squared(y - centre.y) <= squared(radius)
            }
            Self::Rect { area, round } => {
                let dx = (area.left + round - x).max(x - (area.right - 1 - round)).max(0);
                let dy = (area.top + round - y).max(y - (area.bottom - 1 - round)).max(0);
                squared(dx) + squared(dy) <= squared(round)
            }
        }
    }
}

fn squared(value: i32) -> i64 {
    i64::from(value) * i64::from(value)
}

/// True when `p` is at most half of `width` away from the segment.
fn near_segment(p: PixelPoint, from: PixelPoint, to: PixelPoint, width: i32) -> bool {
    let (dx, dy) = (i64::from(to.x - from.x), i64::from(to.y - from.y));
    let (px, py) = (i64::from(p.x - from.x), i64::from(p.y - from.y));
    let length2 = dx * dx + dy * dy;
    let along = px * dx + py * dy;
    let limit = squared(width);
    if along <= 0 || length2 == 0 {
        4 * (px * px + py * py) <= limit
    } else if along >= length2 {
        4 * (squared(p.x - to.x) + squared(p.y - to.y)) <= limit
    } else {
        let across = px * dy - py * dx;
        4 * across * across <= limit * length2
    }
}

/// The drawing area: `true` is copper.
#[derive(Debug, Clone)]
pub(super) struct Canvas {
    pub(super) width: i32,
    pub(super) height: i32,
    cells: Vec<bool>,
}

impl Canvas {
    /// A bare area; sides of less than one pixel count as one.
    pub(super) fn new(width: i32, height: i32) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        let cells = vec![false; usize::try_from(width * height).unwrap_or(0)];
        Self { width, height, cells }
    }

    fn index(&self, x: i32, y: i32) -> Option<usize> {
        ((0..self.width).contains(&x) && (0..self.height).contains(&y))
            .then(|| usize::try_from(y * self.width + x).ok())
            .flatten()
    }

    /// What is at a pixel; outside is bare.
    pub(super) fn is_copper(&self, x: i32, y: i32) -> bool {
        self.index(x, y).is_some_and(|index| self.cells[index])
    }

    /// Sets a pixel; outside nothing happens.
    pub(super) fn set(&mut self, x: i32, y: i32, copper: bool) {
        if let Some(index) = self.index(x, y) {
            self.cells[index] = copper;
        }
    }

    /// Fills a shape with copper, or clears it.
    pub(super) fn paint_shape(&mut self, shape: Shape, copper: bool) {
        let bounds = shape.bounding_area();
        for y in bounds.top.max(0)..bounds.bottom.min(self.height) {
            for x in bounds.left.max(0)..bounds.right.min(self.width) {
                if shape.contains(x, y) {
                    self.set(x, y, copper);
                }
            }
        }
    }

    /// Exchanges copper and substrate.
    pub(super) fn invert_copper(&mut self) {
        for cell in &mut self.cells {
            *cell = !*cell;
        }
    }

    /// Removes copper, then gaps, that are narrower than about five pixels: no layout has such
    /// slivers, and etching would make them come and go.
    pub(super) fn remove_slivers(&mut self) {
        for copper in [true, false] {
            // Shrinking by a square and a cross is shrinking by an octagon.
            for (grow, corners) in
                [(!copper, true), (!copper, false), (copper, false), (copper, true)]
            {
                self.spread_once(grow, corners);
            }
        }
    }

    /// Gives every pixel that has a neighbour of colour `copper` that colour; `corners` makes diagonal
    /// neighbours count. The outermost pixels stay.
    fn spread_once(&mut self, copper: bool, corners: bool) {
        let side = usize::try_from(self.width).unwrap_or(1);
        let any = |a: bool, b: bool, c: bool| {
            if copper { a | b | c } else { a & b & c }
        };
        let across: Vec<bool> = self.cells.windows(3).map(|w| any(w[0], w[1], w[2])).collect();
        let mut spread = self.cells.clone();
        for row in 1..usize::try_from(self.height).unwrap_or(1).saturating_sub(1) {
            let inner = row * side + 1..(row + 1) * side - 1;
            // `across[i]` is about pixel `i + 1`.
            let here = &across[inner.start - 1..inner.end - 1];
            let from = if corners { &across[..] } else { &self.cells[1..] };
            let above = &from[inner.start - 1 - side..inner.end - 1 - side];
            let below = &from[inner.start - 1 + side..(inner.end - 1 + side).min(from.len())];
            let lines = here.iter().zip(above).zip(below);
            for (cell, ((&h, &a), &b)) in spread[inner].iter_mut().zip(lines) {
                *cell = any(h, a, b);
            }
        }
        self.cells = spread;
    }

    /// Leaves nothing beyond a line `at` pixels from a side (0 left, 1 top, 2 right, 3 bottom).
    pub(super) fn cut_beyond(&mut self, side: i32, at: i32) {
        let (mut right, mut bottom) = (self.width, self.height);
        let (mut left, mut top) = (0, 0);
        match side {
            0 => right = at,
            1 => bottom = at,
            2 => left = self.width - at,
            _ => top = self.height - at,
        }
        self.paint_shape(Shape::Rect { area: Area { left, top, right, bottom }, round: 0 }, false);
    }

    /// Every pixel, row by row.
    pub(super) fn cells(&self) -> &[bool] {
        &self.cells
    }

    /// The smallest rectangle that holds all copper; none when there is none.
    pub(super) fn copper_extent(&self) -> Option<Area> {
        let mut found: Option<Area> = None;
        for y in 0..self.height {
            for x in 0..self.width {
                if self.is_copper(x, y) {
                    let dot = Area { left: x, top: y, right: x + 1, bottom: y + 1 };
                    let area = found.get_or_insert(dot);
                    area.left = area.left.min(x);
                    area.right = area.right.max(x + 1);
                    area.bottom = y + 1;
                }
            }
        }
        found
    }
}
