//! What stands at the end of a partition, as the relay understands it.
//!
//! Invariants: of records that came before what is known to be acknowledged nothing is concluded, because sending again
//! may have put them there in any order; a partition in which others write is not guessed about, and one to which another
//! installation sends is not sent to.

use kafka_client::{AnswerClass, Tail, TailError, TopicPartition, partition_of};
use platform::event_log::{LogPlace, Position};

use crate::cloud_event::{other_source_of, place_of};
use crate::partition_state::Sent;

/// How many records are looked at first; a batch ends with its last event, so one would do in most cases.
const LOOK_BACK: u32 = 64;
/// How many, where none of the first is ours, or more than these came since the end was known.
const LOOK_BACK_FARTHER: u32 = 2_000;

/// What stands at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TailFinding {
    /// The first offset that is still there.
    pub(crate) earliest: i64,
    /// The offset of the next record.
    pub(crate) latest: i64,
    /// Ours, by offset.
    pub(crate) places: Vec<(i64, LogPlace)>,
    /// The sources of those that other installations have sent, by offset.
    pub(crate) others: Vec<(i64, String)>,
}

/// What a partition's end says, beside what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndJudgement {
    /// It is as it was left, or was sent on.
    AsLeft(Sent),
    /// It ends before what it had acknowledged; what it holds is the beginning of that.
    Lost(Sent),
    /// It is not the partition that it was, and holds events before those that come first.
    Mixed,
}

impl TailFinding {
    /// The farthest places in the log that were sent behind what is `known`, one for each history of the log.
    pub(crate) fn places_after(&self, known: Sent) -> Vec<LogPlace> {
        let mut farthest: Vec<LogPlace> = Vec::new();
        for (_, place) in self.places.iter().filter(|(offset, _)| *offset > known.offset) {
            match farthest.iter_mut().find(|found| found.incarnation == place.incarnation) {
                Some(found) if found.position < place.position => *found = *place,
                Some(_) => {}
                None => farthest.push(*place),
            }
        }
        farthest
    }

    /// Which event stands at `offset`, if it is among those that were looked at.
    fn event_at(&self, offset: i64) -> Option<Position> {
        let found = self.places.iter().find(|(found, _)| *found == offset);
        found.map(|(_, place)| place.position)
    }

    /// Up to where the partition was sent, where so much of it is known already.
    fn sent_after(&self, known: Sent) -> Sent {
        if self.latest - 1 == known.offset {
            return known;
        }
        let places = self.places_after(known).into_iter().map(|place| place.position);
        let position = places.fold(known.position, Position::max);
        let offset = self.latest - 1;
        Sent { position, offset, last: self.event_at(offset).unwrap_or_default() }
    }

    /// What the end says, where `known` of the partition is known, and `there` stands at that offset now.
    pub(crate) fn judge_end(&self, known: Option<Sent>, there: Option<Position>) -> EndJudgement {
        let known = known.unwrap_or(Sent::NOTHING);
        if self.latest <= known.offset {
            let after_loss = self.sent_after(Sent::NOTHING);
            return if after_loss.position <= known.last {
                EndJudgement::Lost(after_loss)
            } else {
                EndJudgement::Mixed
            };
        }
        match there {
            Some(there) if known.last != Position(0) && there != known.last => EndJudgement::Mixed,
            _ => EndJudgement::AsLeft(self.sent_after(known)),
        }
    }
}

/// Why nothing is concluded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FindError {
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(
        "the last records of {topic}/{partition}, up to offset {offset}, are not of this installation: let nobody \
         else write into the topic, or give the relay another topic_prefix"
    )]
    Foreign { topic: String, partition: i32, offset: i64 },
    #[error(
        "{topic}/{partition} has a record of another installation ({source_found:?}, offset {offset}) beside those of \
         this one ({source_here:?}): give each its own topic_prefix, and CHIPQ_EVENT_SOURCE the value that it always \
         had; to keep this prefix, let the other one end, delete the topic and run `chipq topics resend {topic}`"
    )]
    Shared { topic: String, partition: i32, offset: i64, source_found: String, source_here: String },
    #[error(
        "key {key:?} in {topic}/{partition} belongs to partition {right} of the {count} that the topic has: its \
         number of partitions was changed; give the relay another topic_prefix, or delete the topic and run \
         `chipq topics resend {topic}`"
    )]
    Misplaced { topic: String, partition: i32, key: String, right: i32, count: i32 },
}

impl FindError {
    /// Whether it passes by itself, so that the partition need not keep others waiting.
    pub(crate) const fn passes(&self) -> bool {
        match self {
            Self::Tail(TailError::Answered { code, .. }) => {
                !matches!(code.class(), AnswerClass::Forbidden)
            }
            Self::Tail(_) => true,
            Self::Foreign { .. } | Self::Shared { .. } | Self::Misplaced { .. } => false,
        }
    }
}

/// What stands at the end of `partition`, one of `count`, that was sent as `source`, and what it says.
pub(crate) async fn find_end(
    partition: &mut TopicPartition,
    (source, count): (&str, i32),
    known: Option<Sent>,
) -> Result<(TailFinding, EndJudgement), FindError> {
    let offset = known.map_or(-1, |known| known.offset);
    let finding = find_place(partition, (source, count), offset).await?;
    if let Some((offset, found)) = finding.others.iter().find(|(other, _)| *other > offset) {
        return Err(FindError::Shared {
            topic: partition.topic().to_owned(),
            partition: partition.number(),
            offset: *offset,
            source_found: found.clone(),
            source_here: source.to_owned(),
        });
    }
    let mut there = finding.event_at(offset);
    if there.is_none() && (finding.earliest..finding.latest).contains(&offset) {
        let record = partition.read_record(offset).await?;
        // One of somebody else is another one, too.
        there = record
            .map(|record| place_of(&record, source).map_or(Position(-1), |place| place.position));
    }
    let judgement = finding.judge_end(known, there);
    Ok((finding, judgement))
}

/// What stands at the end, and behind the offset `known` as far as that is looked through.
async fn find_place(
    partition: &mut TopicPartition,
    (source, count): (&str, i32),
    known: i64,
) -> Result<TailFinding, FindError> {
    let mut tail = partition.read_tail(LOOK_BACK).await?;
    let mut finding =
        understand_tail(&tail, (partition.topic(), partition.number()), (source, count))?;
    let is_unknown_before = tail.latest - known > i64::from(LOOK_BACK) + 1;
    if has_records(&tail) && (finding.places.is_empty() || is_unknown_before) {
        tail = partition.read_tail(LOOK_BACK_FARTHER).await?;
        finding = understand_tail(&tail, (partition.topic(), partition.number()), (source, count))?;
    }
    if finding.places.is_empty() && finding.others.is_empty() && has_records(&tail) {
        let (topic, partition) = (partition.topic().to_owned(), partition.number());
        return Err(FindError::Foreign { topic, partition, offset: tail.latest - 1 });
    }
    Ok(finding)
}

fn has_records(tail: &Tail) -> bool {
    !tail.records.is_empty() || !tail.unreadable.is_empty()
}

fn understand_tail(
    tail: &Tail,
    (topic, partition): (&str, i32),
    (source, count): (&str, i32),
) -> Result<TailFinding, FindError> {
    let (mut places, mut others) = (Vec::new(), Vec::new());
    for record in &tail.records {
        let Some(place) = place_of(record, source) else {
            others.extend(other_source_of(record, source).map(|other| (record.offset, other)));
            continue;
        };
        let key = record.key.as_deref().unwrap_or_default();
        let right = partition_of(key, count);
        if right != partition {
            let (topic, key) = (topic.to_owned(), String::from_utf8_lossy(key).into_owned());
            return Err(FindError::Misplaced { topic, partition, key, right, count });
        }
        places.push((record.offset, place));
    }
    Ok(TailFinding { earliest: tail.earliest, latest: tail.latest, places, others })
}

#[cfg(test)]
mod tests;
