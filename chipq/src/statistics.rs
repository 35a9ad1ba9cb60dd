//! Percentiles of measured durations, and the spread of measured numbers.

use std::time::Duration;

use serde::Serialize;

/// Measured durations, sorted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Durations(Vec<Duration>);

impl Durations {
    /// Sorts `measured`.
    pub(crate) fn new(mut measured: Vec<Duration>) -> Self {
        measured.sort_unstable();
        Self(measured)
    }

    /// The smallest duration that at least `per_cent` of all do not exceed (nearest rank); `None`
    /// when nothing was measured.
    pub(crate) fn percentile(&self, per_cent: usize) -> Option<Duration> {
        let rank = (self.0.len() * per_cent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied()
    }

    /// The percentile in milliseconds; NaN when nothing was measured.
    pub(crate) fn percentile_ms(&self, per_cent: usize) -> f64 {
        self.percentile(per_cent).map_or(f64::NAN, |d| d.as_secs_f64() * 1e3)
    }

    /// How many were measured.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Smallest, middle and largest of measured numbers; NaN when there is none.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// Of `values`, in any order.
    pub(crate) fn from_values(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (Some(&least), Some(&most)) = (values.first(), values.last()) else {
            return Self { least: f64::NAN, median: f64::NAN, most: f64::NAN };
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Self { least, median, most }
    }

    /// The median, and from the least to the most, with so many digits.
    pub(crate) fn show(self, digits: usize) -> String {
        let Self { least, median, most } = self;
        format!("{median:.digits$} ({least:.digits$}–{most:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let measured = Durations::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(measured.percentile(50), Some(Duration::from_millis(50)));
        assert_eq!(measured.percentile(99), Some(Duration::from_millis(99)));
        assert_eq!(measured.percentile(100), Some(Duration::from_millis(100)));
        let one = Durations::new(vec![Duration::from_millis(7)]);
        assert_eq!(
            (one.percentile(50), one.percentile(99)),
            (one.percentile(1), one.percentile(99))
        );
        assert_eq!(Durations::default().percentile(50), None);
    }

    #[test]
    fn a_spread_is_shown_with_its_ends() {
        let spread = Spread::from_values([2.0, 1.0, 4.0].into_iter());
        assert_eq!(spread.show(1), "2.0 (1.0–4.0)");
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        let odd = Spread::from_values([3.0, 1.0, 2.0].into_iter());
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 3.0));
        assert_eq!(Spread::from_values([4.0, 1.0, 2.0, 3.0].into_iter()).median, 2.5);
        assert!(Spread::from_values(std::iter::empty()).median.is_nan());
    }
}
