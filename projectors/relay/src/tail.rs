//! What stands at the end of a partition, as the relay understands it.
//!
//! Invariants: of records that came before what is known to be acknowledged nothing is concluded, because sending again
//! may have put them there in any order; a partition in which others write is not guessed about.

use kafka_client::{AnswerClass, Tail, TailError, TopicPartition, partition_of};
use platform::event_log::LogPlace;

use crate::cloud_event::place_of;
use crate::partition_state::Sent;

/// How many records are looked at first; a batch ends with its last event, so one would do in most cases.
const LOOK_BACK: u32 = 64;
/// How many, where none of the first is ours.
const LOOK_BACK_FARTHER: u32 = 2_000;

/// What stands at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TailFinding {
    /// The offset of the next record.
    pub(crate) latest: i64,
    /// Ours, by offset.
    pub(crate) places: Vec<(i64, LogPlace)>,
}

impl TailFinding {
    /// The farthest place in the log that was sent behind what is `known`.
    pub(crate) fn place_after(&self, known: Option<&Sent>) -> Option<LogPlace> {
        let after = known.map_or(-1, |known| known.offset);
        let behind = self.places.iter().filter(|(offset, _)| *offset > after);
        behind.map(|(_, place)| *place).max_by_key(|place| place.position)
    }

    /// Up to where the partition was sent, where so much of it is known already.
    pub(crate) fn sent_after(&self, known: Sent) -> Sent {
        let place = self.place_after(Some(&known));
        let position = place.map_or(known.position, |place| place.position.max(known.position));
        Sent { position, offset: self.latest - 1 }
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
            Self::Foreign { .. } | Self::Misplaced { .. } => false,
        }
    }
}

/// What stands at the end of `partition`, one of `count`, that was sent as `source`.
pub(crate) async fn find_place(
    partition: &mut TopicPartition,
    (source, count): (&str, i32),
) -> Result<TailFinding, FindError> {
    let mut tail = partition.read_tail(LOOK_BACK).await?;
    let mut finding =
        understand_tail(&tail, (partition.topic(), partition.number()), (source, count))?;
    if finding.places.is_empty() && has_records(&tail) {
        tail = partition.read_tail(LOOK_BACK_FARTHER).await?;
        finding = understand_tail(&tail, (partition.topic(), partition.number()), (source, count))?;
    }
    if finding.places.is_empty() && has_records(&tail) {
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
    let mut places = Vec::new();
    for record in &tail.records {
        let Some(place) = place_of(record, source) else { continue };
        let key = record.key.as_deref().unwrap_or_default();
        let right = partition_of(key, count);
        if right != partition {
            let (topic, key) = (topic.to_owned(), String::from_utf8_lossy(key).into_owned());
            return Err(FindError::Misplaced { topic, partition, key, right, count });
        }
        places.push((record.offset, place));
    }
    Ok(TailFinding { latest: tail.latest, places })
}
