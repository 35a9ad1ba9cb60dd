//! Where the number of each box stands on a picture: beside its box, clear of the others when it
//! can.

/// A rectangle on the page, in points from the picture's top left.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(super) struct PageRect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl PageRect {
    fn shared_area(&self, other: &Self) -> f64 {
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

/// The height of a label, in points.
const HEIGHT: f64 = 8.5;
const PADDING: f64 = 3.5;
const DIGIT: f64 = 4.3;
/// Covering another label hides a number; covering a box only its outline.
const LABEL_WEIGHT: f64 = 4.0;

/// A label for each box, in order; `board` is the picture's size in points.
pub(super) fn place_labels(boxes: &[(&str, PageRect)], board: (f64, f64)) -> Vec<PageRect> {
    let mut placed: Vec<PageRect> = Vec::with_capacity(boxes.len());
    for (number, bounds) in boxes {
        let width = PADDING + DIGIT * number.len() as f64;
        let cost = |label: &PageRect| {
            let labels: f64 = placed.iter().map(|other| label.shared_area(other)).sum();
            let outlines: f64 = boxes.iter().map(|(_, other)| label.shared_area(other)).sum();
            LABEL_WEIGHT * labels + outlines
        };
        let candidates = places_around(bounds, width).map(|label| label.moved_within(board));
        let best = candidates.into_iter().min_by(|a, b| cost(a).total_cmp(&cost(b)));
        placed.extend(best);
    }
    placed
}

/// Eight places around a box, the preferred first.
fn places_around(bounds: &PageRect, width: f64) -> [PageRect; 8] {
    let PageRect { x, y, width: w, height: h } = *bounds;
    let (above, below, before, after) = (y - HEIGHT, y + h, x - width, x + w);
    let at = |x, y| PageRect { x, y, width, height: HEIGHT };
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

    fn square(x: f64, y: f64) -> PageRect {
        PageRect { x, y, width: 10.0, height: 10.0 }
    }

    #[test]
    fn a_label_stands_above_its_box_and_on_the_board() {
        assert_eq!(place_labels(&[("1", square(20.0, 50.0))], BOARD)[0].y, 50.0 - HEIGHT);
        for corner in [square(0.0, 0.0), square(90.0, 90.0), square(90.0, 0.0)] {
            let label = place_labels(&[("D20", corner)], BOARD)[0];
            assert!(label.x >= 0.0 && label.x + label.width <= BOARD.0);
            assert!(label.y >= 0.0 && label.y + label.height <= BOARD.1);
            assert_eq!(label.shared_area(&corner), 0.0);
        }
    }

    #[test]
    fn labels_of_neighbours_do_not_cover_each_other() {
        let boxes: Vec<_> = ["1", "2", "3", "4"]
            .into_iter()
            .zip(1..)
            .map(|(label, n)| (label, square(20.0 + f64::from(n) * 3.0, 40.0)))
            .collect();
        let labels = place_labels(&boxes, BOARD);
        for (index, label) in labels.iter().enumerate() {
            assert!(labels[..index].iter().all(|other| label.shared_area(other) == 0.0));
        }
    }
}
