//! Percentiles of measured durations.

use std::time::Duration;

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
}
