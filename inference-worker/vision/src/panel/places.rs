//! Where the windows of a panel lie, and in which order they are compared.

use super::{CORE_SIDE, MARGIN};

/// A window's place on the windows.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowPlace {
    pub(super) column: usize,
    pub(super) row: usize,
    /// Core: left, top, right, bottom.
    pub(super) core: [usize; 4],
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The windows that cover a panel of `size`.
#[derive(Debug, Clone, Copy)]
pub(super) struct WindowGrid {
    size: (usize, usize),
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl WindowGrid {
    pub(super) const fn new(size: (usize, usize)) -> Self {
        Self { size, columns: size.0.div_ceil(CORE_SIDE), rows: size.1.div_ceil(CORE_SIDE) }
    }

    pub(super) fn place(&self, index: usize) -> WindowPlace {
        let (column, row) = (index % self.columns, index / self.columns);
        // The last core of a row ends with the picture and is never a sliver.
        let extent = |index: usize, count: usize, length: usize| {
            let at = |index: usize| index * length / count;
            let (low, high) = (at(index), at(index + 1));
            let start = low.saturating_sub(MARGIN);
            (low, high, start, (high + MARGIN).min(length) - start)
        };
        let (low_x, high_x, left, width) = extent(column, self.columns, self.size.0);
        let (low_y, high_y, top, height) = extent(row, self.rows, self.size.1);
        WindowPlace { column, row, core: [low_x, low_y, high_x, high_y], left, top, width, height }
    }

    /// All windows: from the structured one nearest to the middle outwards.
    pub(super) fn order_from_middle(
        &self,
        is_structured: impl Fn(&WindowPlace) -> bool,
    ) -> Vec<usize> {
        let middle = (self.columns as f64 / 2.0 - 0.5, self.rows as f64 / 2.0 - 0.5);
        let from = |index: usize, (x, y): (f64, f64)| {
            let (column, row) = ((index % self.columns) as f64, (index / self.columns) as f64);
            (column - x).abs().max((row - y).abs())
        };
        let mut order: Vec<usize> = (0..self.columns * self.rows).collect();
        order.sort_by(|&a, &b| from(a, middle).total_cmp(&from(b, middle)));
        if let Some(&first) = order.iter().find(|&&index| is_structured(&self.place(index))) {
            let start = ((first % self.columns) as f64, (first / self.columns) as f64);
            order.sort_by(|&a, &b| from(a, start).total_cmp(&from(b, start)));
        }
        order
    }

    /// The window at a place, and those around it.
    pub(super) fn with_neighbours(self, place: &WindowPlace) -> impl Iterator<Item = usize> {
        let rows = place.row.saturating_sub(1)..(place.row + 2).min(self.rows);
        let columns = place.column.saturating_sub(1)..(place.column + 2).min(self.columns);
        rows.flat_map(move |row| columns.clone().map(move |column| row * self.columns + column))
    }
}
