//! How often somebody may guess a password or a secret: longer and longer pauses after wrong ones, before anything
//! is computed for another.
//!
//! Invariants: pauses are counted for a name and the network that it is tried from, so that whoever guesses from
//! elsewhere locks nobody out; the wider bounds, of an account over all networks and of a network over all names, slow
//! only those who have never signed in with that name from there. The secret of a client is not guessed (256 random
//! bits), so that what others try elsewhere says nothing of a client. A name that nobody has counts as one that
//! somebody has. What is remembered is bounded, and no name in it: what was typed may be a password.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::PrincipalKind;

/// After how many wrong ones pauses begin, and how long they become. The first takes a second, each further one twice
/// as long.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    after: u32,
    longest: Duration,
}

/// Of one name from one network.
const OF_PAIR: Pauses = Pauses { after: 5, longest: Duration::from_secs(15 * 60) };
/// Of one account from all networks together. It has to let somebody through who is somewhere new.
const OF_ACCOUNT: Pauses = Pauses { after: 50, longest: Duration::from_secs(60) };
/// Of one network with all names together.
const OF_NETWORK: Pauses = Pauses { after: 50, longest: Duration::from_secs(15 * 60) };
/// Wrong ones are forgotten so long after the last one.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);
/// The most names, networks and pairs that are remembered, each; those that were not tried for longest go first.
const REMEMBERED_MAX: usize = 65_536;
/// What somebody is told to wait whose own tries are still being looked at.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Somebody has guessed too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong passwords or secrets; try again in {} s", .retry_after.as_secs_f64().ceil().max(1.0))]
pub struct LockedOut {
    /// When it is worth another try.
    pub retry_after: Duration,
}

impl LockedOut {
    /// Whole seconds until another try is worth it.
    #[must_use]
    pub fn retry_after_s(&self) -> u64 {
        (self.retry_after.as_secs_f64().ceil() as u64).max(1)
    }
}

/// Who has guessed how often, in the memory of one process. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SignInGuard(Arc<Guarded>);

#[derive(Debug, Default)]
struct Guarded {
    hasher: RandomState,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    pairs: Failures<(u64, u64)>,
    accounts: Failures<u64>,
    networks: Failures<u64>,
    /// Who has signed in from where, and when last.
    known: HashMap<(u64, u64), Instant>,
}

#[derive(Debug)]
struct Failures<K>(HashMap<K, Count>);

impl<K> Default for Failures<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

/// The wrong ones of one key.
#[derive(Debug, Clone, Copy)]
struct Count {
    wrong: u32,
    /// Being looked at now: they may all be wrong.
    pending: u32,
    /// Nothing is looked at before.
    open_at: Instant,
    last: Instant,
}

/// A try that is being looked at. One that is dropped was neither right nor wrong.
#[derive(Debug)]
pub struct SignInTry {
    guard: SignInGuard,
    pair: (u64, u64),
    kind: PrincipalKind,
}

impl SignInGuard {
    /// A try to sign in as `name`, by the password of an account or the secret of a client, from `network`; say how it
    /// ended.
    ///
    /// # Errors
    /// When there were too many wrong ones.
    pub fn begin_try(
        &self,
        (name, kind): (&str, PrincipalKind),
        network: &str,
    ) -> Result<SignInTry, LockedOut> {
        self.begin_try_at((name, kind), network, Instant::now())
    }

    fn begin_try_at(
        &self,
        (name, kind): (&str, PrincipalKind),
        network: &str,
        now: Instant,
    ) -> Result<SignInTry, LockedOut> {
        // As names of principals are compared.
        let name = self.0.hasher.hash_one(name.trim().to_ascii_lowercase());
        let pair = (name, self.0.hasher.hash_one(network));
        let mut counts = self.counts();
        let is_known = counts.known.contains_key(&pair);
        counts.pairs.check(&pair, OF_PAIR, is_known, now)?;
        if !is_known {
            if kind == PrincipalKind::Account {
                counts.accounts.check(&pair.0, OF_ACCOUNT, is_known, now)?;
            }
            counts.networks.check(&pair.1, OF_NETWORK, is_known, now)?;
        }
        counts.pairs.begin(pair, now);
        if kind == PrincipalKind::Account {
            counts.accounts.begin(pair.0, now);
        }
        counts.networks.begin(pair.1, now);
        Ok(SignInTry { guard: self.clone(), pair, kind })
    }

    /// Nothing that holds it can panic half-way.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SignInTry {
    /// It was right.
    pub fn succeed(self) {
        self.succeed_at(Instant::now());
    }

    /// It was wrong.
    pub fn fail(self) {
        self.fail_at(Instant::now());
    }

    fn succeed_at(self, now: Instant) {
        let mut counts = self.guard.counts();
        if let Some(count) = counts.pairs.0.get_mut(&self.pair) {
            count.wrong = 0;
            count.open_at = now;
        }
        if counts.known.len() >= REMEMBERED_MAX {
            forget_older_half(&mut counts.known, |at| *at);
        }
        counts.known.insert(self.pair, now);
    }

    fn fail_at(self, now: Instant) {
        let (name, network) = self.pair;
        let mut counts = self.guard.counts();
        counts.pairs.fail(&self.pair, OF_PAIR, now);
        if self.kind == PrincipalKind::Account {
            counts.accounts.fail(&name, OF_ACCOUNT, now);
        }
        counts.networks.fail(&network, OF_NETWORK, now);
    }
}

impl Drop for SignInTry {
    fn drop(&mut self) {
        let (name, network) = self.pair;
        let mut counts = self.guard.counts();
        counts.pairs.end(&self.pair);
        if self.kind == PrincipalKind::Account {
            counts.accounts.end(&name);
        }
        counts.networks.end(&network);
    }
}

impl<K: std::hash::Hash + Eq + Copy> Failures<K> {
    /// Whether another try of `key` may be looked at. Of whoever is known there, many at once may be.
    fn check(
        &self,
        key: &K,
        pauses: Pauses,
        is_known: bool,
        now: Instant,
    ) -> Result<(), LockedOut> {
        let Some(count) = self.0.get(key).filter(|count| !count.is_forgotten(now)) else {
            return Ok(());
        };
        let wait = count.open_at.saturating_duration_since(now);
        if !wait.is_zero() {
            return Err(LockedOut { retry_after: wait });
        }
        let allowed = if count.wrong >= pauses.after {
            // One by one: each of them may make the pause longer.
            1
        } else if is_known {
            u32::MAX
        } else {
            pauses.after - count.wrong
        };
        if count.pending < allowed { Ok(()) } else { Err(LockedOut { retry_after: BUSY_PAUSE }) }
    }

    fn begin(&mut self, key: K, now: Instant) {
        if self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(&key) {
            self.0.retain(|_, count| !count.is_forgotten(now));
            if self.0.len() >= REMEMBERED_MAX {
                forget_older_half(&mut self.0, |count| count.last);
            }
        }
        let fresh = Count { wrong: 0, pending: 0, open_at: now, last: now };
        let count = self.0.entry(key).or_insert(fresh);
        if count.is_forgotten(now) {
            *count = Count { pending: count.pending, ..fresh };
        }
        count.pending += 1;
        count.last = now;
    }

    fn fail(&mut self, key: &K, pauses: Pauses, now: Instant) {
        let Some(count) = self.0.get_mut(key) else { return };
        count.wrong = count.wrong.saturating_add(1);
        count.last = now;
        if let Some(doublings) = count.wrong.checked_sub(pauses.after) {
            let pause = 1_u64.checked_shl(doublings).map_or(pauses.longest, Duration::from_secs);
            count.open_at = count.open_at.max(now + pause.min(pauses.longest));
        }
    }

    fn end(&mut self, key: &K) {
        if let Some(count) = self.0.get_mut(key) {
            count.pending = count.pending.saturating_sub(1);
            if count.pending == 0 && count.wrong == 0 {
                self.0.remove(key);
            }
        }
    }
}

impl Count {
    fn is_forgotten(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) > FORGOTTEN_AFTER && self.open_at <= now
    }
}

fn forget_older_half<K, V>(map: &mut HashMap<K, V>, last: impl Fn(&V) -> Instant) {
    let mut times: Vec<_> = map.values().map(&last).collect();
    if times.is_empty() {
        return;
    }
    let middle = times.len() / 2;
    let (_, median, _) = times.select_nth_unstable(middle);
    let median = *median;
    map.retain(|_, value| last(value) > median);
}

#[cfg(test)]
mod tests;
