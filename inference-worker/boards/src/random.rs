//! A small seeded generator (`SplitMix64`, Steele et al. 2014): integers only, so a seed gives the
//! same board on every platform. Not for secrets.

/// A stream of pseudo-random integers that its seed determines.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// A stream for the sequence of `parts`; different sequences give unrelated streams.
    pub(super) fn new(parts: &[u64]) -> Self {
        let mut random = Self(0x6368_6970_7120_7631);
        for part in parts {
            random.0 = random.next() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        random
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer from `low` to `high`, both included; `low` when the range is empty.
    pub(super) fn between(&mut self, low: i32, high: i32) -> i32 {
        let span = u64::try_from(i64::from(high) - i64::from(low) + 1).unwrap_or(1).max(1);
        let offset = ((self.next() >> 32) * span) >> 32;
        low.saturating_add(i32::try_from(offset).unwrap_or(0))
    }

    /// An integer around zero, within ±`reach`, small values likelier (a sum of two dice).
    pub(super) fn around_zero(&mut self, reach: i32) -> i32 {
        self.between(-reach, reach) / 2 + self.between(-reach, reach) / 2
    }

    /// True in `per_cent` of a hundred cases.
    pub(super) fn chance(&mut self, per_cent: i32) -> bool {
        self.between(1, 100) <= per_cent
    }

    /// One of `choices`.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        let last = i32::try_from(N).unwrap_or(1) - 1;
        choices[usize::try_from(self.between(0, last)).unwrap_or(0)]
    }

    /// A number from 0 to 1.
    pub(super) fn fraction(&mut self) -> f32 {
        self.between(0, 1 << 20) as f32 / (1 << 20) as f32
    }

    /// A number within ±`reach`, all equally likely.
    pub(super) fn within(&mut self, reach: f32) -> f32 {
        (2.0 * self.fraction() - 1.0) * reach
    }
}
