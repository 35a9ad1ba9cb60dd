//! The log in memory: records at positions in bytes, streams with revisions, truncation, tombstones.

use std::collections::HashMap;
use std::time::SystemTime;

use uuid::Uuid;

/// What a record takes beside what is in it.
const RECORD_BYTES: u64 = 137;
/// Truncated before everything: deleted, but not for ever.
const ALL_OF_IT: u64 = i64::MAX as u64;

#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: Uuid,
    pub(crate) stream: String,
    pub(crate) revision: u64,
    pub(crate) position: u64,
    pub(crate) created_ticks: i64,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) custom_metadata: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// What is appended.
#[derive(Debug, Clone)]
pub(crate) struct Proposed {
    pub(crate) id: Uuid,
    pub(crate) metadata: HashMap<String, String>,
    pub(crate) custom_metadata: Vec<u8>,
    pub(crate) data: Vec<u8>,
}

/// What an append expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    NoStream,
    Revision(u64),
}

/// What became of an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Appended { last_revision: u64, position: u64 },
    WrongRevision { current: Option<u64> },
    Deleted,
}

#[derive(Debug, Clone, Default)]
struct StreamFacts {
    /// Of the next event.
    next_revision: u64,
    /// What is before is not given out any more ($tb, $maxCount, $maxAge).
    truncated_before: u64,
    is_tombstoned: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct MemoryLog {
    records: Vec<Record>,
    streams: HashMap<String, StreamFacts>,
    end: u64,
}

impl MemoryLog {
    /// As a server makes it: the first records are its own.
    pub(crate) fn new() -> Self {
        let mut log = Self { records: Vec::new(), streams: HashMap::new(), end: 0 };
        log.append_system_event("$UserCreated");
        log
    }

    pub(crate) fn append_system_event(&mut self, event_type: &str) {
        let metadata = HashMap::from([("type".to_owned(), event_type.to_owned())]);
        let (custom_metadata, data) = (Vec::new(), b"{}".to_vec());
        let event = Proposed { id: Uuid::new_v4(), metadata, custom_metadata, data };
        self.write(event_type, event);
    }

    pub(crate) fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposed>,
    ) -> Outcome {
        let facts = self.streams.get(stream).cloned().unwrap_or_default();
        if facts.is_tombstoned {
            return Outcome::Deleted;
        }
        let next = match expected {
            // A stream that was deleted, but not for ever, counts as none, and goes on with its numbers.
            Expected::NoStream if facts.truncated_before == ALL_OF_IT => facts.next_revision,
            Expected::NoStream => 0,
            Expected::Revision(revision) => revision + 1,
        };
        if next == facts.next_revision {
            if facts.truncated_before == ALL_OF_IT {
                self.facts_of(stream).truncated_before = next;
            }
            let (mut last_revision, mut position) = (0, 0);
            for event in events {
                (last_revision, position) = self.write(stream, event);
            }
            return Outcome::Appended { last_revision, position };
        }
        let current = facts.next_revision.checked_sub(1);
        if next > facts.next_revision {
            return Outcome::WrongRevision { current };
        }
        // Events that are there already with the same ids: the append was sent again. Some of them alone are a
        // conflict like any other.
        let stored =
            |n: u64| self.records.iter().find(|r| r.stream == stream && r.revision == next + n);
        let is_again = (0..)
            .zip(&events)
            .all(|(n, event)| stored(n).is_some_and(|record| record.id == event.id));
        let last = events.len().checked_sub(1).and_then(|n| stored(n as u64));
        match last.filter(|_| is_again) {
            Some(last) => {
                Outcome::Appended { last_revision: last.revision, position: last.position }
            }
            None => Outcome::WrongRevision { current },
        }
    }

    fn write(&mut self, stream: &str, event: Proposed) -> (u64, u64) {
        let facts = self.facts_of(stream);
        let revision = facts.next_revision;
        facts.next_revision += 1;
        let position = self.end;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let bytes = event.data.len() + event.custom_metadata.len() + stream.len();
        self.end += RECORD_BYTES + bytes as u64;
        self.records.push(Record {
            id: event.id,
            stream: stream.to_owned(),
            revision,
            position,
            created_ticks: i64::try_from(now.as_nanos() / 100).unwrap(),
            metadata: event.metadata,
            custom_metadata: event.custom_metadata,
            data: event.data,
        });
        (revision, position)
    }

    fn facts_of(&mut self, stream: &str) -> &mut StreamFacts {
        self.streams.entry(stream.to_owned()).or_default()
    }

    /// The events of a stream that are given out; `None` when there is no such stream, or it is deleted.
    pub(crate) fn stream(&self, name: &str) -> Option<Vec<&Record>> {
        let facts = self.streams.get(name)?;
        let is_given = |r: &&Record| r.stream == name && r.revision >= facts.truncated_before;
        (facts.truncated_before != ALL_OF_IT)
            .then(|| self.records.iter().filter(is_given).collect())
    }

    pub(crate) fn is_tombstoned(&self, name: &str) -> bool {
        self.streams.get(name).is_some_and(|facts| facts.is_tombstoned)
    }

    /// Everything, in order.
    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    /// Where the next record comes.
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// As `$tb` in the metadata of a stream does, and `$maxAge` and `$maxCount` in time.
    pub(crate) fn truncate_stream(&mut self, name: &str, before: u64) {
        self.facts_of(name).truncated_before = before;
    }

    /// Deletes a stream, but not for ever.
    pub(crate) fn delete_stream(&mut self, name: &str) {
        self.facts_of(name).truncated_before = ALL_OF_IT;
    }

    /// Deletes a stream for ever.
    pub(crate) fn tombstone(&mut self, name: &str) {
        self.facts_of(name).is_tombstoned = true;
    }

    /// Loses one event, as a scavenge of a stream that was truncated and is no more does.
    pub(crate) fn lose_event(&mut self, name: &str, revision: u64) {
        self.records.retain(|r| r.stream != name || r.revision != revision);
    }
}
