//! Whether a member says that it can do its share, from what its reactor knows at each renewal.
//!
//! Invariant: it does not flap. What is missing for a moment is waited for; a member whose share others
//! do comes back after a pause that grows with every time, until it has been well for long. Absent: the
//! clock, which is the caller's, and what the others do about it (`lease`).

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;

/// The pauses before a member whose share others did, and that could do it again, takes it up.
const RETURN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(300), 0.5);
/// A member that was able for so long begins again with the shortest pause.
const STEADY_AFTER: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(super) struct Ability {
    /// How long what is missing is waited for before others may do the work.
    patience: Duration,
    state: State,
    /// How often others did its share since it was last steady.
    absences: u32,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Able {
        since: Instant,
        /// Since when something has been missing.
        missing_since: Option<Instant>,
    },
    Unable {
        /// Others do its share: it does not come back before this.
        until: Option<Instant>,
    },
}

impl Ability {
    /// Of a member that begins, and that waits so long for what is missing.
    pub(super) const fn new(patience: Duration, now: Instant) -> Self {
        let state = State::Able { since: now, missing_since: None };
        Self { patience, state, absences: 0 }
    }

    /// What the member says of itself from now on, when its reactor says that it is able or not.
    pub(super) fn observe(&mut self, is_able: bool, now: Instant) -> bool {
        match &mut self.state {
            State::Able { since, missing_since } => {
                *missing_since = missing_since.or(Some(now)).filter(|_| !is_able);
                let Some(missing) = *missing_since else { return true };
                if now - missing < self.patience {
                    return true;
                }
                if missing - *since >= STEADY_AFTER {
                    self.absences = 0;
                }
                self.state = State::Unable { until: None };
                false
            }
            State::Unable { until } => {
                let is_back = is_able && until.is_none_or(|until| until <= now);
                if is_back {
                    self.state = State::Able { since: now, missing_since: None };
                }
                is_back
            }
        }
    }

    /// Others do its share: those that are able. When nobody is, all keep theirs, and none is absent.
    pub(super) fn leave_share(&mut self, now: Instant) {
        if let State::Unable { until: until @ None } = &mut self.state {
            *until = Some(now + RETURN.delay(self.absences));
            self.absences = self.absences.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Not able from `at` until its share was left; returns how long after that it is back, when it
    /// is able again at once.
    fn be_absent(ability: &mut Ability, at: Instant) -> Duration {
        assert!(ability.observe(false, at));
        let left = at + PATIENCE;
        assert!(!ability.observe(false, left));
        ability.leave_share(left);
        let tenths = (1..10_000).map(|tenths| Duration::from_millis(100) * tenths);
        tenths.into_iter().find(|after| ability.observe(true, left + *after)).expect("it is back")
    }

    #[test]
    fn what_is_missing_for_a_moment_is_waited_for() {
        let now = Instant::now();
        let mut ability = Ability::new(PATIENCE, now);
        for second in 0..60 {
            // Nine seconds missing, one there.
            assert!(ability.observe(second % 10 == 9, now + Duration::from_secs(second)));
        }
    }

    #[test]
    fn whoever_comes_and_goes_stays_away_longer_each_time_until_it_was_steady() {
        let now = Instant::now();
        let mut ability = Ability::new(PATIENCE, now);
        let pauses: Vec<_> =
            (0..4).map(|n| be_absent(&mut ability, now + Duration::from_secs(60 * n))).collect();
        // Half of a bound that doubles is always waited.
        assert!(
            pauses.iter().zip([500, 1_000, 2_000, 4_000]).all(|(p, ms)| p.as_millis() >= ms),
            "{pauses:?}"
        );
        let steady = now + Duration::from_secs(300) + STEADY_AFTER;
        assert!(be_absent(&mut ability, steady) <= Duration::from_millis(1_100));
    }

    #[test]
    fn when_nobody_did_its_share_it_is_back_at_once() {
        let now = Instant::now();
        let mut ability = Ability::new(PATIENCE, now);
        assert!(ability.observe(false, now));
        assert!(!ability.observe(false, now + PATIENCE));
        assert!(ability.observe(true, now + PATIENCE));
    }
}
