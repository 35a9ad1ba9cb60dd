//! What of the attempts of a minute becomes an event: the first of a kind at once, its repeats as one event at the end
//! of the minute, and all that is too much in one sum.

use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::AccessAttemptEvent;

use super::{AccessAttempt, GrantedToken, RefusedAccess, RejectedCommand};

/// Refusals of different kinds that are written in a minute, and rejections as well, so that neither keeps the others
/// out; as many events more at its end say how often each came.
pub(super) const KINDS_MAX: usize = 60;
/// Grants that are written in a minute: the tokens of 4,500 stations, which ask for one every 15 minutes.
pub(super) const GRANTS_MAX: u32 = 300;

/// What counts as the same refusal again.
type Kind = (Option<IpAddr>, Option<String>, String);

/// The attempts of the minute so far.
#[derive(Debug, Default)]
pub(super) struct AttemptTally {
    kinds: HashMap<Kind, Repeats>,
    /// What came after the first rejection of each command.
    rejections: HashMap<RejectedCommand, Option<Times>>,
    grants: u32,
    sum: Option<Sum>,
}

/// What came after the first of a kind.
#[derive(Debug)]
struct Repeats {
    asked: String,
    times: Option<Times>,
}

/// How often something came that is not written one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct AttemptCounts {
    pub(super) granted: u64,
    pub(super) refused: u64,
    pub(super) rejected: u64,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    count: u64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    counts: AttemptCounts,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

impl Times {
    fn extended(of: Option<Self>, at: DateTime<Utc>) -> Self {
        let (count, first_at) = of.map_or((0, at), |times| (times.count, times.first_at));
        Self { count: count + 1, first_at, last_at: at }
    }
}

impl AttemptTally {
    /// The event that is written of it now, if any.
    pub(super) fn take_in(
        &mut self,
        attempt: AccessAttempt,
        at: DateTime<Utc>,
    ) -> Option<AccessAttemptEvent> {
        match attempt {
            AccessAttempt::Granted(granted) => self.take_grant(granted, at),
            AccessAttempt::Refused(refused) => self.take_refusal(refused, at),
            AccessAttempt::Rejected(rejected) => self.take_rejection(rejected, at),
        }
    }

    fn take_grant(
        &mut self,
        granted: GrantedToken,
        at: DateTime<Utc>,
    ) -> Option<AccessAttemptEvent> {
        if self.grants >= GRANTS_MAX {
            self.add_to_sum(AttemptCounts { granted: 1, ..AttemptCounts::default() }, at);
            return None;
        }
        self.grants += 1;
        let GrantedToken { subject, grant_type, token_id, address, scopes } = granted;
        let address = address.map(|address| address.to_string());
        Some(AccessAttemptEvent::TokenGranted {
            subject,
            grant_type,
            token_id,
            address,
            scopes,
            at,
        })
    }

    fn take_refusal(
        &mut self,
        refused: RefusedAccess,
        at: DateTime<Utc>,
    ) -> Option<AccessAttemptEvent> {
        let RefusedAccess { subject, address, asked, reason } = refused;
        let kind = (address, subject, reason);
        if let Some(repeats) = self.kinds.get_mut(&kind) {
            repeats.times = Some(Times::extended(repeats.times, at));
            return None;
        }
        if self.kinds.len() >= KINDS_MAX {
            self.add_to_sum(AttemptCounts { refused: 1, ..AttemptCounts::default() }, at);
            return None;
        }
        let event = refusal_event(kind.clone(), asked.clone(), Times::extended(None, at));
        self.kinds.insert(kind, Repeats { asked, times: None });
        Some(event)
    }

    fn take_rejection(
        &mut self,
        rejected: RejectedCommand,
        at: DateTime<Utc>,
    ) -> Option<AccessAttemptEvent> {
        if let Some(times) = self.rejections.get_mut(&rejected) {
            *times = Some(Times::extended(*times, at));
            return None;
        }
        if self.rejections.len() >= KINDS_MAX {
            self.add_to_sum(AttemptCounts { rejected: 1, ..AttemptCounts::default() }, at);
            return None;
        }
        let event = rejection_event(rejected.clone(), Times::extended(None, at));
        self.rejections.insert(rejected, None);
        Some(event)
    }

    /// Counts what is not written one by one.
    pub(super) fn add_to_sum(&mut self, counts: AttemptCounts, at: DateTime<Utc>) {
        if counts == AttemptCounts::default() {
            return;
        }
        let nothing = Sum { counts: AttemptCounts::default(), first_at: at, last_at: at };
        let sum = self.sum.get_or_insert(nothing);
        sum.counts.granted = sum.counts.granted.saturating_add(counts.granted);
        sum.counts.refused = sum.counts.refused.saturating_add(counts.refused);
        sum.counts.rejected = sum.counts.rejected.saturating_add(counts.rejected);
        sum.last_at = sum.last_at.max(at);
    }

    /// Counts an event that cannot be written, as what it says.
    pub(super) fn add_unwritten(&mut self, event: &AccessAttemptEvent) {
        let nothing = AttemptCounts::default();
        match *event {
            AccessAttemptEvent::TokenGranted { at, .. } => {
                self.add_to_sum(AttemptCounts { granted: 1, ..nothing }, at);
            }
            AccessAttemptEvent::AccessRefused { count, last_at, .. } => {
                self.add_to_sum(AttemptCounts { refused: count, ..nothing }, last_at);
            }
            AccessAttemptEvent::CommandRejected { count, last_at, .. } => {
                self.add_to_sum(AttemptCounts { rejected: count, ..nothing }, last_at);
            }
            AccessAttemptEvent::AttemptsSummed { granted, refused, rejected, last_at, .. } => {
                self.add_to_sum(AttemptCounts { granted, refused, rejected }, last_at);
            }
        }
    }

    /// What is left to be said of the minute; another one begins.
    pub(super) fn end_minute(&mut self) -> Vec<AccessAttemptEvent> {
        let Self { kinds, rejections, sum, .. } = std::mem::take(self);
        let repeated = kinds.into_iter().filter_map(|(kind, Repeats { asked, times })| {
            times.map(|times| refusal_event(kind, asked, times))
        });
        let mut events: Vec<_> = repeated.collect();
        let rejected = rejections.into_iter();
        events.extend(rejected.filter_map(|(kind, times)| Some(rejection_event(kind, times?))));
        events.extend(sum.map(|Sum { counts, first_at, last_at }| {
            let AttemptCounts { granted, refused, rejected } = counts;
            AccessAttemptEvent::AttemptsSummed { granted, refused, rejected, first_at, last_at }
        }));
        events
    }
}

fn refusal_event(
    (address, subject, reason): Kind,
    asked: String,
    times: Times,
) -> AccessAttemptEvent {
    let Times { count, first_at, last_at } = times;
    let address = address.map(|address| address.to_string());
    AccessAttemptEvent::AccessRefused { subject, address, asked, reason, count, first_at, last_at }
}

fn rejection_event(command: RejectedCommand, times: Times) -> AccessAttemptEvent {
    let RejectedCommand { subject, token_id, address, asked, resource, reason } = command;
    let Times { count, first_at, last_at } = times;
    AccessAttemptEvent::CommandRejected {
        subject,
        token_id,
        address: address.map(|address| address.to_string()),
        asked,
        resource,
        reason,
        count,
        first_at,
        last_at,
    }
}
