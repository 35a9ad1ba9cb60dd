//! What stands at the end of a partition.

use std::time::Duration;

use rskafka::protocol::messages::{
    ListOffsetsRequest, ListOffsetsRequestPartition, ListOffsetsRequestTopic, NORMAL_CONSUMER,
};
use rskafka::protocol::primitives::{Int32, Int64, String_};
use tokio::time::sleep;

use super::{THROTTLE_MAX, TopicPartition};
use crate::answer_code::AnswerCode;
use crate::cluster::ClusterError;
use crate::connection::{BrokerConnection, ConnectionError};
use crate::fetch::RawFetch;
use crate::record_batch::{TailRecord, UnreadableRecords, decode};

/// The offset that asks for the end.
const LATEST: i64 = -1;
/// The offset that asks for the beginning.
const EARLIEST: i64 = -2;
/// How many answers may bring nothing before one gives up.
const EMPTY_ANSWERS_MAX: u32 = 10;
/// How often the beginning may run away from us, because history expires.
const EXPIRED_MAX: u32 = 5;

/// The end of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The first offset that is still there; equal to `latest` where nothing is.
    pub earliest: i64,
    /// The offset of the next record. 0 means that nothing was ever written.
    pub latest: i64,
    /// By offset. Fewer than were asked for where records were compacted away or offsets belong to transactions.
    pub records: Vec<TailRecord>,
    /// What others wrote and is not read here.
    pub unreadable: Vec<UnreadableRecords>,
}

/// Why the end is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TailError {
    /// The leader is not reached.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// It does not answer.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// It answers that it does not.
    #[error("the tail of {topic}/{partition} is not read: {code}{}", hint(*.code))]
    Answered {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The answer.
        code: AnswerCode,
    },
    /// It says that there is more, and does not send it.
    #[error(
        "the broker says that {topic}/{partition} ends at {latest}, and sends nothing from {offset} on"
    )]
    Stalled {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What was asked for.
        offset: i64,
        /// Where it ends.
        latest: i64,
    },
}

fn hint(code: AnswerCode) -> &'static str {
    match code {
        AnswerCode(29) => "; give the user READ and DESCRIBE on the topic",
        _ => "",
    }
}

impl TopicPartition {
    /// What stands in the last `count` offsets.
    ///
    /// # Errors
    /// [`TailError`]; the leader is looked up anew the next time.
    pub async fn read_tail(&mut self, count: u32) -> Result<Tail, TailError> {
        let connection = self.take_connection().await?;
        let tail = self.read_tail_by(&connection, count).await;
        self.keep_after(connection, &tail);
        tail
    }

    /// Where the partition ends: the offset of the next record.
    ///
    /// # Errors
    /// [`TailError`]; the leader is looked up anew the next time.
    pub async fn read_end(&mut self) -> Result<i64, TailError> {
        let connection = self.take_connection().await?;
        let latest = self.offset(&connection, LATEST).await;
        self.keep_after(connection, &latest);
        latest
    }

    /// The record at `offset`; `None` where it has expired, was compacted away, or cannot be read.
    ///
    /// # Errors
    /// [`TailError`]; the leader is looked up anew the next time.
    pub async fn read_record(&mut self, offset: i64) -> Result<Option<TailRecord>, TailError> {
        let connection = self.take_connection().await?;
        let (records, unreadable) = (Vec::new(), Vec::new());
        let mut one = Tail { earliest: offset, latest: offset + 1, records, unreadable };
        let read = match self.fill_tail(&connection, offset, &mut one).await {
            Err(TailError::Answered { code: AnswerCode::OFFSET_OUT_OF_RANGE, .. }) => Ok(()),
            read => read,
        };
        self.keep_after(connection, &read);
        read.map(|()| one.records.pop())
    }

    /// The records from `offset` on, as many as the broker sends at once. It waits for the first of them for half a
    /// second; then there are none.
    ///
    /// # Errors
    /// [`TailError`]; the leader is looked up anew the next time.
    pub async fn read_from(&mut self, offset: i64) -> Result<Vec<TailRecord>, TailError> {
        let connection = self.take_connection().await?;
        let request = RawFetch::new(&self.topic, self.partition, offset);
        let answer = connection.request(request).await.map_err(TailError::from);
        self.keep_after(connection, &answer);
        let Some(found) = answer?.partition else { return Ok(Vec::new()) };
        match found.code {
            Some(code) => Err(self.answered_error(code)),
            None => {
                let records = decode(&found.records).records.into_iter();
                Ok(records.filter(|record| record.offset >= offset).collect())
            }
        }
    }

    /// Keeps the connection where it is of more use.
    fn keep_after<T>(&mut self, connection: BrokerConnection, read: &Result<T, TailError>) {
        match read {
            Ok(_) => {
                self.silences = 0;
                self.connection = Some(connection);
            }
            Err(TailError::Connection(error)) => self.keep_if_silent(connection, error),
            // It may not lead any more.
            Err(_) => {}
        }
    }

    async fn read_tail_by(
        &self,
        connection: &BrokerConnection,
        count: u32,
    ) -> Result<Tail, TailError> {
        let mut expired = 0;
        loop {
            // The end first: a beginning that is asked for later is never behind an end that moves on.
            let latest = self.offset(connection, LATEST).await?;
            let earliest = self.offset(connection, EARLIEST).await?;
            let latest = latest.max(earliest);
            let from = earliest.max(latest - i64::from(count));
            let mut tail = Tail { earliest, latest, records: Vec::new(), unreadable: Vec::new() };
            match self.fill_tail(connection, from, &mut tail).await {
                Err(TailError::Answered { code: AnswerCode::OFFSET_OUT_OF_RANGE, .. })
                    if expired < EXPIRED_MAX =>
                {
                    expired += 1;
                }
                filled => return filled.map(|()| tail),
            }
        }
    }

    async fn fill_tail(
        &self,
        connection: &BrokerConnection,
        from: i64,
        tail: &mut Tail,
    ) -> Result<(), TailError> {
        let (mut offset, mut empty) = (from, 0);
        while offset < tail.latest {
            let request = RawFetch::new(&self.topic, self.partition, offset);
            let answer = connection.request(request).await?;
            if let Some(code) = answer.partition.as_ref().and_then(|found| found.code) {
                return Err(self.answered_error(code));
            }
            let decoded = decode(&answer.partition.map(|found| found.records).unwrap_or_default());
            // Whole batches come: those that begin before what was asked for, and end behind the end, too.
            let (latest, records) = (tail.latest, decoded.records.into_iter());
            tail.records.extend(records.filter(|r| (from..latest).contains(&r.offset)));
            let unreadable = decoded.unreadable.into_iter();
            tail.unreadable
                .extend(unreadable.filter(|u| u.last_offset >= from && u.first_offset < latest));
            match decoded.next_offset.filter(|next| *next > offset) {
                Some(next) => offset = next,
                None if empty == EMPTY_ANSWERS_MAX => {
                    return Err(self.stalled_error(offset, latest));
                }
                None => {
                    empty += 1;
                    // A broker that throttles us sends nothing but how long.
                    let pause = u64::try_from(answer.throttle_ms).unwrap_or(0);
                    sleep(Duration::from_millis(pause).min(THROTTLE_MAX)).await;
                }
            }
        }
        Ok(())
    }

    /// Where the partition begins or ends.
    async fn offset(&self, connection: &BrokerConnection, which: i64) -> Result<i64, TailError> {
        let partition = ListOffsetsRequestPartition {
            partition_index: Int32(self.partition),
            timestamp: Int64(which),
            max_num_offsets: None,
        };
        let request = ListOffsetsRequest {
            replica_id: NORMAL_CONSUMER,
            isolation_level: None,
            topics: vec![ListOffsetsRequestTopic {
                name: String_(self.topic.clone()),
                partitions: vec![partition],
            }],
        };
        let answer = connection.request(request).await?;
        let topic = answer.topics.into_iter().find(|topic| topic.name.0 == self.topic);
        let mut partitions = topic.map(|topic| topic.partitions).unwrap_or_default().into_iter();
        let found = partitions.find(|found| found.partition_index.0 == self.partition);
        let found = found.ok_or_else(|| self.answered_error(AnswerCode::UNKNOWN_TOPIC))?;
        if let Some(code) = AnswerCode::from_error(found.error_code) {
            return Err(self.answered_error(code));
        }
        Ok(found.offset.map_or(0, |offset| offset.0))
    }

    fn answered_error(&self, code: AnswerCode) -> TailError {
        TailError::Answered { topic: self.topic.clone(), partition: self.partition, code }
    }

    fn stalled_error(&self, offset: i64, latest: i64) -> TailError {
        TailError::Stalled { topic: self.topic.clone(), partition: self.partition, offset, latest }
    }
}
