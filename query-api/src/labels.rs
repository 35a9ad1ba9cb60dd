//! Where the label of each box stands on a picture: beside its box, clear of the others when it can, and never
//! off the picture.

/// A rectangle from a picture's top left, in points of a page or in pixels.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct PlacedRect {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl PlacedRect {
    /// Of both, in square units.
    pub(crate) fn shared_area(&self, other: &Self) -> f64 {
        let along = |a: f64, a_len: f64, b: f64, b_len: f64| {
            ((a + a_len).min(b + b_len) - a.max(b)).max(0.0)
        };
        along(self.x, self.width, other.x, other.width)
            * along(self.y, self.height, other.y, other.height)
    }

    fn moved_within(mut self, board: (f64, f64)) -> Self {
        self.x = self.x.min(board.0 - self.width).max(0.0);
        self.y = self.y.min(board.1 - self.height).max(0.0);
        self
    }
}

/// Covering another label hides what it says; covering a box only its outline.
const LABEL_WEIGHT: f64 = 4.0;
/// Covering its own box hides what the label is about: whatever else it covers is better.
const OWN_WEIGHT: f64 = 1e9;

/// A label for each box, in order; a box comes with the width and height of its label, and `board` is the
/// picture's.
pub(crate) fn place_labels(
    boxes: &[((f64, f64), PlacedRect)],
    board: (f64, f64),
) -> Vec<PlacedRect> {
    let mut placed: Vec<PlacedRect> = Vec::with_capacity(boxes.len());
    for (size, bounds) in boxes {
        let cost = |label: &PlacedRect| {
            let labels: f64 = placed.iter().map(|other| label.shared_area(other)).sum();
            let outlines: f64 = boxes.iter().map(|(_, other)| label.shared_area(other)).sum();
            LABEL_WEIGHT * labels + OWN_WEIGHT * label.shared_area(bounds) + outlines
        };
        let candidates = places_around(bounds, *size).map(|label| label.moved_within(board));
        let best = candidates.into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        placed.extend(best);
    }
    placed
}

/// Eight places around a box, the preferred first.
fn places_around(bounds: &PlacedRect, (width, height): (f64, f64)) -> [PlacedRect; 8] {
    let PlacedRect { x, y, width: w, height: h } = *bounds;
    let (above, below, before, after) = (y - height, y + h, x - width, x + w);
    let at = |x, y| PlacedRect { x, y, width, height };
    [
        at(x, above),
        at(x, below),
        at(after, y),
        at(before, y),
        at(after - width, above),
        at(after - width, below),
        at(after, below),
        at(before, above),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: (f64, f64) = (100.0, 100.0);
    const SIZE: (f64, f64) = (12.0, 8.5);

    fn square(x: f64, y: f64) -> PlacedRect {
        PlacedRect { x, y, width: 10.0, height: 10.0 }
    }

    #[test]
    fn a_label_stands_above_its_box_and_on_the_board() {
        assert_eq!(place_labels(&[(SIZE, square(20.0, 50.0))], BOARD)[0].y, 50.0 - SIZE.1);
        for corner in [square(0.0, 0.0), square(90.0, 90.0), square(90.0, 0.0)] {
            let label = place_labels(&[(SIZE, corner)], BOARD)[0];
            assert!(label.x >= 0.0 && label.x + label.width <= BOARD.0);
            assert!(label.y >= 0.0 && label.y + label.height <= BOARD.1);
            assert_eq!(label.shared_area(&corner), 0.0);
        }
    }

    #[test]
    fn labels_of_neighbours_do_not_cover_each_other() {
        let boxes: Vec<_> =
            (1..=4).map(|n| (SIZE, square(20.0 + f64::from(n) * 3.0, 40.0))).collect();
        let labels = place_labels(&boxes, BOARD);
        for (index, label) in labels.iter().enumerate() {
            assert!(labels[..index].iter().all(|other| label.shared_area(other) == 0.0));
        }
    }
}
