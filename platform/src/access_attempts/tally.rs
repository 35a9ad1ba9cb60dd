//! What of the attempts of a minute becomes an event: the first of a kind at once, its repeats as one event at the end
//! of the minute, and all that is too much in one sum.

use std::collections::HashMap;
use std::net::IpAddr;

use chrono::{DateTime, Utc};
use domain::AccessAttemptEvent;

use super::{AccessAttempt, GrantedToken, RefusedAccess};

/// Refusals of different kinds that are written in a minute; as many events more at its end say how often each came.
pub(super) const KINDS_MAX: usize = 60;
/// Grants that are written in a minute: the tokens of 4,500 stations, which ask for one every 15 minutes.
pub(super) const GRANTS_MAX: u32 = 300;

/// What counts as the same thing tried again.
type Kind = (Option<IpAddr>, Option<String>, String);

/// The attempts of the minute so far.
#[derive(Debug, Default)]
pub(super) struct AttemptTally {
    kinds: HashMap<Kind, Repeats>,
    grants: u32,
    sum: Option<Sum>,
}

/// What came after the first of a kind.
#[derive(Debug)]
struct Repeats {
    asked: String,
    times: Option<Times>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    count: u64,
    first_at: DateTime<Utc>,
    last_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy)]
struct Sum {
    granted: u64,
    refused: u64,
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
        }
    }

    fn take_grant(
        &mut self,
        granted: GrantedToken,
        at: DateTime<Utc>,
    ) -> Option<AccessAttemptEvent> {
        if self.grants >= GRANTS_MAX {
            self.add_to_sum(1, 0, at);
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
            self.add_to_sum(0, 1, at);
            return None;
        }
        let event = refusal_event(kind.clone(), asked.clone(), Times::extended(None, at));
        self.kinds.insert(kind, Repeats { asked, times: None });
        Some(event)
    }

    /// Counts what is not written one by one.
    pub(super) fn add_to_sum(&mut self, granted: u64, refused: u64, at: DateTime<Utc>) {
        if granted == 0 && refused == 0 {
            return;
        }
        let sum = self.sum.get_or_insert(Sum { granted: 0, refused: 0, first_at: at, last_at: at });
        sum.granted = sum.granted.saturating_add(granted);
        sum.refused = sum.refused.saturating_add(refused);
        sum.last_at = sum.last_at.max(at);
    }

    /// Counts an event that cannot be written, as what it says.
    pub(super) fn add_unwritten(&mut self, event: &AccessAttemptEvent) {
        match event {
            AccessAttemptEvent::TokenGranted { at, .. } => self.add_to_sum(1, 0, *at),
            AccessAttemptEvent::AccessRefused { count, last_at, .. } => {
                self.add_to_sum(0, *count, *last_at);
            }
            AccessAttemptEvent::AttemptsSummed { granted, refused, last_at, .. } => {
                self.add_to_sum(*granted, *refused, *last_at);
            }
        }
    }

    /// What is left to be said of the minute; another one begins.
    pub(super) fn end_minute(&mut self) -> Vec<AccessAttemptEvent> {
        let Self { kinds, sum, .. } = std::mem::take(self);
        let repeated = kinds.into_iter().filter_map(|(kind, Repeats { asked, times })| {
            times.map(|times| refusal_event(kind, asked, times))
        });
        let mut events: Vec<_> = repeated.collect();
        events.extend(sum.map(|Sum { granted, refused, first_at, last_at }| {
            AccessAttemptEvent::AttemptsSummed { granted, refused, first_at, last_at }
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
