//! Whether a member has a right to a share and gets none of it.
//!
//! Invariant: whoever holds what is its share is not ready to be counted on either, so this must not last: a
//! lease that nobody renews stops standing after twice its own length. Absent: a member without a share,
//! because there are more members than partitions; it stands by, and is well.

use std::time::Duration;

use tokio::time::Instant;

/// So many of its own leases a member waits for others to give up or to lose what is its share.
const PATIENCE_LEASES: u32 = 3;

/// Nothing of a share could be taken for too long: what it stands for is not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it holds no partition, though {fair_share} are its share, for {} s: others hold them and may not do their \
     work; see follower_leases",
    lacking.as_secs()
)]
pub(super) struct Starved {
    fair_share: usize,
    lacking: Duration,
}

/// For how long a member has lacked its share.
#[derive(Debug)]
pub(super) struct Starvation {
    patience: Duration,
    lacks_since: Option<Instant>,
}

impl Starvation {
    /// Of a member that begins, whose leases last so long.
    pub(super) const fn new(lease: Duration) -> Self {
        Self { patience: lease.saturating_mul(PATIENCE_LEASES), lacks_since: None }
    }

    /// What a renewal found: so many partitions are kept of those that are its share.
    pub(super) fn observe(
        &mut self,
        kept: usize,
        fair_share: usize,
        now: Instant,
    ) -> Result<(), Starved> {
        if kept > 0 || fair_share == 0 {
            self.lacks_since = None;
            return Ok(());
        }
        let lacking = now - *self.lacks_since.get_or_insert(now);
        if lacking < self.patience { Ok(()) } else { Err(Starved { fair_share, lacking }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_may_be_waited_for_and_not_for_ever_and_no_share_is_not_waited_for() {
        let (now, lease) = (Instant::now(), Duration::from_secs(10));
        let mut starvation = Starvation::new(lease);
        assert_eq!(starvation.observe(0, 8, now), Ok(()));
        assert_eq!(starvation.observe(0, 8, now + 2 * lease), Ok(()), "as long as a lease stands");
        let starved = starvation.observe(0, 8, now + 4 * lease).unwrap_err().to_string();
        assert!(starved.contains("though 8 are its share, for 40 s"), "{starved}");
        assert_eq!(starvation.observe(1, 8, now + 5 * lease), Ok(()));
        assert_eq!(starvation.observe(0, 8, now + 6 * lease), Ok(()), "it begins anew");
        assert_eq!(starvation.observe(0, 0, now + 20 * lease), Ok(()), "others do the work");
    }
}
