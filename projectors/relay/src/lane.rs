//! One partition at work: its events are sent in the log's order, one batch under way.
//!
//! Invariants: after every failure the partition's end is read before anything is sent again, so nothing is sent
//! twice by this lane where the broker tells what it has; what is refused is not passed over, and lets nothing behind
//! it through. Absent: which events are the partition's.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use kafka_client::{AnswerCode, Produced, Record, TopicPartition};
use platform::backoff::Backoff;
use platform::event_log::{EventLog, Incarnation, Position, Recorded};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::sleep;

use crate::beginning::{BegunPartition, ensure_in_log};
use crate::cloud_event::record_of;
use crate::metrics::SendMetrics;
use crate::partition_state::Sent;
use crate::progress::{PartitionName, Progress};
use crate::tail::{EndJudgement, FindError, find_end};
use crate::troubles::Troubles;

/// The most records in a batch.
const BATCH_MAX_RECORDS: usize = 500;
/// The most bytes in a batch before it is packed, but for one record that is larger: a broker takes 1,048,588 unless
/// told otherwise, however well they are packed.
const BATCH_MAX_BYTES: usize = 900_000;
/// Between attempts while the broker, or the network to it, is in the way.
const RETRY_BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(100), Duration::from_secs(2), 0.5);
/// For so long after a batch the partition is taken to end with it.
const END_TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Between looks where a person has to do something.
const STOPPED_INTERVAL: Duration = Duration::from_secs(30);

/// An event that is the lane's.
pub(crate) struct Given {
    pub(crate) event: Arc<Recorded>,
    /// The history of the log in which it was read.
    pub(crate) incarnation: Incarnation,
}

/// What all lanes of a session share.
#[derive(Clone)]
pub(crate) struct LaneShared {
    pub(crate) source: Arc<str>,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) troubles: Arc<Troubles>,
    pub(crate) metrics: SendMetrics,
}

/// A lane.
pub(crate) struct Lane {
    shared: LaneShared,
    partition: TopicPartition,
    name: PartitionName,
    /// How many partitions the topic has.
    count: i32,
    given: UnboundedReceiver<Given>,
    sent: Sent,
    /// Not acknowledged, in order; and what is sent of them.
    events: VecDeque<Arc<Recorded>>,
    records: VecDeque<Record>,
    /// How many go in one batch: fewer, while one that is refused is looked for.
    batch_records: usize,
    /// How often it failed in a row.
    failures: u32,
    /// When the end was seen last.
    sent_at: Instant,
    is_end_known: bool,
}

/// The lane is over: its session cannot go on.
struct LaneEnded;

impl Lane {
    /// The lane of a partition, one of `count`.
    pub(crate) fn new(
        shared: LaneShared,
        (begun, count): (BegunPartition, i32),
        given: UnboundedReceiver<Given>,
    ) -> Self {
        let BegunPartition { partition, sent, is_end_known, .. } = begun;
        let name = (partition.topic().to_owned(), partition.number());
        Self {
            shared,
            partition,
            name,
            count,
            given,
            sent,
            events: VecDeque::new(),
            records: VecDeque::new(),
            batch_records: BATCH_MAX_RECORDS,
            failures: 0,
            sent_at: Instant::now(),
            is_end_known,
        }
    }

    /// Sends what is given until the session ends.
    pub(crate) async fn run(mut self) {
        while self.fill_batch().await {
            if self.send().await.is_err() {
                return;
            }
        }
    }

    /// Waits until there is something to send; whether there may be.
    async fn fill_batch(&mut self) -> bool {
        while self.records.is_empty() {
            let Some(given) = self.given.recv().await else { return false };
            self.encode(given);
        }
        while self.records.len() < BATCH_MAX_RECORDS {
            let Ok(given) = self.given.try_recv() else { break };
            self.encode(given);
        }
        true
    }

    fn encode(&mut self, Given { event, incarnation }: Given) {
        if event.position <= self.sent.position {
            let already = std::iter::once(event.position);
            return self.shared.progress.acknowledge(&self.name, already, self.sent);
        }
        self.records.push_back(record_of(&event, (&self.shared.source, incarnation)));
        self.events.push_back(event);
    }

    async fn send(&mut self) -> Result<(), LaneEnded> {
        if !self.is_end_as_left().await && !self.look_at_end().await? {
            return Ok(());
        }
        let count = self.count_batch();
        if count == 0 {
            return Ok(());
        }
        let begun = Instant::now();
        let batch = &mut self.records.make_contiguous()[..count];
        // The time of this attempt: it may have waited for hours, or for a clock to be set right.
        let now_ms = Utc::now().timestamp_millis();
        batch.iter_mut().for_each(|record| record.timestamp_ms = now_ms);
        let produced = self.partition.produce(batch).await;
        let is_stored = matches!(produced, Produced::Stored { .. });
        self.shared.metrics.record_send(&self.name.0, (count, begun.elapsed()), is_stored);
        match produced {
            Produced::Stored { base_offset, .. } => self.stored(count, base_offset)?,
            Produced::Refused { .. } if count > 1 => self.batch_records = count / 2,
            Produced::Refused { code } => self.stop(self.describe_refused(code)).await,
            Produced::Forbidden { code } => {
                let topic = &self.name.0;
                self.stop(format!(
                    "the user may not write into {topic} ({code}): give WRITE on it"
                ))
                .await;
            }
            Produced::Passing { code, .. } => self.wait(describe_passing(code)).await,
            Produced::NotSent(error) => self.wait(error.to_string()).await,
            Produced::Unknown(error) => self.wait(error.to_string()).await,
            Produced::NoBatch => {}
        }
        Ok(())
    }

    /// How many of the records go in the next batch.
    fn count_batch(&self) -> usize {
        let mut bytes = 0;
        let fitting = self.records.iter().take(self.batch_records).take_while(|record| {
            bytes += record.size_max();
            bytes <= BATCH_MAX_BYTES
        });
        fitting.count().max(1).min(self.records.len())
    }

    fn stored(&mut self, count: usize, base_offset: i64) -> Result<(), LaneEnded> {
        if base_offset <= self.sent.offset {
            return self.fail_as_lost();
        }
        self.batch_records = (self.batch_records * 2).min(BATCH_MAX_RECORDS);
        self.go_on();
        if base_offset != self.sent.offset + 1 {
            // Somebody else has written between: an owner that was fenced off, or one who should not. What that was
            // is looked at before this batch counts, and before more is sent.
            self.is_end_known = false;
            return Ok(());
        }
        let offset = base_offset + i64::try_from(count).unwrap_or(i64::MAX) - 1;
        let positions = self.pass_over(count);
        let position = positions.last().copied().unwrap_or(self.sent.position);
        self.sent = Sent { position, offset, last: position };
        self.sent_at = Instant::now();
        self.shared.progress.acknowledge(&self.name, positions.into_iter(), self.sent);
        Ok(())
    }

    /// The first `count` are in the partition; where they stand in the log.
    fn pass_over(&mut self, count: usize) -> Vec<Position> {
        self.records.drain(..count);
        self.events.drain(..count).map(|event| event.position).collect()
    }

    fn go_on(&mut self) {
        self.failures = 0;
        self.shared.troubles.clear_partition(&self.name);
    }

    /// Whether the partition ends where this lane left it, as far as that has to be asked. A topic that is made anew
    /// while nothing is sent would take what comes next for its first records.
    async fn is_end_as_left(&mut self) -> bool {
        if self.is_end_known && self.sent_at.elapsed() > END_TRUSTED_FOR {
            let latest = self.partition.read_end().await;
            self.is_end_known = latest.is_ok_and(|latest| latest == self.sent.offset + 1);
        }
        self.is_end_known
    }

    /// Reads the partition's end, and passes over what is there already; whether that could be done.
    async fn look_at_end(&mut self) -> Result<bool, LaneEnded> {
        let of = (&*self.shared.source, self.count);
        let known = self.sent;
        let (finding, judgement) = match find_end(&mut self.partition, of, Some(known)).await {
            Ok(found) => found,
            Err(error @ FindError::Shared { .. }) => {
                self.shared.progress.fail(error.to_string());
                return Err(LaneEnded);
            }
            Err(error) => {
                self.wait(error.to_string()).await;
                return Ok(false);
            }
        };
        let places = finding.places_after(known);
        if let Err(error) = ensure_in_log(&*self.shared.log, &self.name.0, places).await {
            self.shared.progress.fail(error.to_string());
            return Err(LaneEnded);
        }
        let EndJudgement::AsLeft(sent) = judgement else {
            return self.fail_as_lost().map(|()| false);
        };
        self.sent = sent;
        (self.sent_at, self.is_end_known) = (Instant::now(), true);
        let there = self.events.partition_point(|event| event.position <= self.sent.position);
        let positions = self.pass_over(there);
        self.shared.progress.acknowledge(&self.name, positions.into_iter(), self.sent);
        Ok(true)
    }

    fn fail_as_lost(&self) -> Result<(), LaneEnded> {
        let (topic, number) = &self.name;
        self.shared.progress.fail(format!(
            "{topic}/{number} ends before what it had acknowledged: it was truncated, or the topic was made anew"
        ));
        Err(LaneEnded)
    }

    /// Waits before the next attempt. Said from the second time on: a connection may end for being idle.
    async fn wait(&mut self, sentence: String) {
        self.is_end_known = false;
        if self.failures > 0 {
            self.shared.troubles.note_trouble(&self.name, sentence, false);
        }
        RETRY_BACKOFF.wait(self.failures).await;
        self.failures = self.failures.saturating_add(1);
    }

    /// Says that a person has to do something, and waits.
    async fn stop(&mut self, sentence: String) {
        self.is_end_known = false;
        self.shared.troubles.note_trouble(&self.name, sentence, true);
        sleep(STOPPED_INTERVAL).await;
        self.failures = self.failures.saturating_add(1);
    }

    fn describe_refused(&self, code: AnswerCode) -> String {
        let remedy = match code {
            AnswerCode::MESSAGE_TOO_LARGE => "raise max.message.bytes of the topic",
            AnswerCode::INVALID_TIMESTAMP => "set this machine's clock right",
            _ => "look at the topic's configuration, such as cleanup.policy, and the broker's log",
        };
        let Some((event, record)) = self.events.front().zip(self.records.front()) else {
            return format!("the broker refuses an event ({code}): {remedy}");
        };
        let Recorded { event_id, event_type, stream, position, .. } = &**event;
        format!(
            "the broker refuses the event at position {} ({code}): {remedy}; nothing behind it is sent to this \
             partition (event {event_id}, {event_type}, key {}, {} bytes)",
            position.0,
            stream.aggregate_id,
            record.value.len()
        )
    }
}

/// What is in the way and passes by itself, or by what somebody does to the cluster.
fn describe_passing(code: AnswerCode) -> String {
    let what = match code.0 {
        3 => {
            "the broker has no such topic or partition; where it was deleted, make it again, or take it out of topics="
        }
        5 | 6 => "nobody leads the partition at the moment",
        19 | 20 => "fewer replicas are in sync than the topic's min.insync.replicas asks for",
        _ => "the broker does not take records at the moment",
    };
    format!("{what} ({code})")
}
