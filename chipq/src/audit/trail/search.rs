//! What a trail is searched for, and what to say of where it was.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::ANYBODY;
use platform::event_log::{Position, Recorded};
use projectors::Concerns;

use crate::cli::AuditTrailArgs;

/// What an event must be to stand in the trail.
pub(super) struct TrailSearch {
    inspection: Option<String>,
    subject: Option<String>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
}

/// What was looked at.
#[derive(Debug, Default)]
pub(super) struct Searched {
    pub(super) found: u64,
    events: u64,
    last: Position,
    /// When the first event and the latest one were.
    times: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Searched {
    pub(super) fn look_at(&mut self, event: &Recorded) {
        let at = event.occurred_at();
        self.events += 1;
        self.last = event.position;
        let (first, latest) = self.times.unwrap_or((at, at));
        self.times = Some((first.min(at), latest.max(at)));
    }
}

impl TrailSearch {
    pub(super) fn new(args: &AuditTrailArgs) -> Self {
        let AuditTrailArgs { inspection, subject, from, to, .. } = args;
        let inspection = inspection.map(|id| id.to_string());
        Self { inspection, subject: subject.clone(), from: *from, to: *to }
    }

    pub(super) fn takes(&self, event: &Recorded) -> bool {
        let at = event.occurred_at();
        if self.from.is_some_and(|from| at < from) || self.to.is_some_and(|to| at >= to) {
            return false;
        }
        if self.inspection.is_none() && self.subject.is_none() {
            return true;
        }
        let Concerns { subjects, inspection } = Concerns::named_by(event);
        let is_about = |subject: &String| subjects.contains(subject) || subjects.contains(ANYBODY);
        (self.inspection.is_none() || self.inspection == inspection)
            && self.subject.as_ref().is_none_or(is_about)
    }

    /// How much was found, of what, and in which part of the log.
    pub(super) fn summary(&self, searched: &Searched) -> String {
        let found = match searched.found {
            0 => "no event".to_owned(),
            1 => "1 event".to_owned(),
            count => format!("{count} events"),
        };
        let what = self.words();
        let Some((first, latest)) = searched.times else {
            return format!("{found} {what}: the log has no events yet");
        };
        let (events, last) = (searched.events, searched.last);
        let looked = format!("looked at {events} events up to position {last}");
        let (first, latest) = (time(first), time(latest));
        format!("{found} {what}: {looked}, from {first} to {latest}{}", self.hint(searched))
    }

    /// What a person may have meant who searched where the log has nothing.
    fn hint(&self, searched: &Searched) -> &'static str {
        let Some((first, latest)) = searched.times.filter(|_| searched.found == 0) else {
            return "";
        };
        if self.to.is_some_and(|to| to <= first) {
            return "; the log begins later: give a later --to";
        }
        if self.from.is_some_and(|from| from > latest) {
            return "; the log ends earlier: give an earlier --from";
        }
        match (&self.inspection, &self.subject) {
            (Some(_), None) => {
                "; compare the id with the one of the report, or of GET /v1/inspections"
            }
            (None, Some(_)) => "; compare the name with chipq accounts list and chipq clients list",
            _ => "; leave a condition out to see more",
        }
    }

    fn words(&self) -> String {
        let inspection = self.inspection.as_ref().map(|id| format!("about inspection {id}"));
        let subject = self.subject.as_ref().map(|who| format!("by or about {who:?}"));
        let from = self.from.map(|from| format!("from {}", time(from)));
        let to = self.to.map(|to| format!("before {}", time(to)));
        let words: Vec<_> = [inspection, subject, from, to].into_iter().flatten().collect();
        words.join(", ")
    }
}

/// A time as people read it.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
