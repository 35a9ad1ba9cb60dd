//! The answer to a fetch, with the records as they are.
//!
//! `rskafka` decodes them as well, and fails as a whole on a header without a value, a transaction's marker, or a
//! codec that is not compiled in. The records of others must not do that to us.

use std::io::{Read, Write};

use rskafka::protocol::api_key::ApiKey;
use rskafka::protocol::api_version::{ApiVersion, ApiVersionRange};
use rskafka::protocol::messages::{
    FetchRequest, FetchRequestPartition, FetchRequestTopic, NORMAL_CONSUMER, ReadVersionedError,
    ReadVersionedType, RequestBody, WriteVersionedError, WriteVersionedType,
};
use rskafka::protocol::primitives::{Int16, Int32, Int64, NullableBytes, String_};
use rskafka::protocol::traits::{ReadError, ReadType};

use crate::answer_code::AnswerCode;

/// How long the broker may wait for records that are not there.
const WAIT_MAX_MS: i32 = 500;
/// The most of one answer, in bytes, where the first batch is not larger.
const ANSWER_MAX_BYTES: i32 = 4 << 20;
/// The most entries of an array; one partition is asked for.
const ARRAY_MAX: i32 = 100_000;

/// A fetch of one partition.
#[derive(Debug)]
pub(crate) struct RawFetch(FetchRequest);

impl RawFetch {
    pub(crate) fn new(topic: &str, partition: i32, offset: i64) -> Self {
        let partition = FetchRequestPartition {
            partition: Int32(partition),
            fetch_offset: Int64(offset),
            partition_max_bytes: Int32(ANSWER_MAX_BYTES),
        };
        Self(FetchRequest {
            replica_id: NORMAL_CONSUMER,
            max_wait_ms: Int32(WAIT_MAX_MS),
            min_bytes: Int32(1),
            max_bytes: Some(Int32(ANSWER_MAX_BYTES)),
            isolation_level: None,
            topics: vec![FetchRequestTopic {
                topic: String_(topic.to_owned()),
                partitions: vec![partition],
            }],
        })
    }
}

impl<W: Write> WriteVersionedType<W> for RawFetch {
    fn write_versioned(
        &self,
        writer: &mut W,
        version: ApiVersion,
    ) -> Result<(), WriteVersionedError> {
        self.0.write_versioned(writer, version)
    }
}

impl RequestBody for RawFetch {
    type ResponseBody = RawFetchAnswer;

    const API_KEY: ApiKey = FetchRequest::API_KEY;
    const API_VERSION_RANGE: ApiVersionRange = FetchRequest::API_VERSION_RANGE;
    const FIRST_TAGGED_FIELD_IN_REQUEST_VERSION: ApiVersion =
        FetchRequest::FIRST_TAGGED_FIELD_IN_REQUEST_VERSION;
}

/// What comes back.
#[derive(Debug)]
pub(crate) struct RawFetchAnswer {
    pub(crate) throttle_ms: i32,
    /// Absent where the broker throttles: then it sends nothing.
    pub(crate) partition: Option<RawPartition>,
}

/// The partition that was asked for.
#[derive(Debug)]
pub(crate) struct RawPartition {
    pub(crate) code: Option<AnswerCode>,
    pub(crate) records: Vec<u8>,
}

impl<R: Read> ReadVersionedType<R> for RawFetchAnswer {
    fn read_versioned(reader: &mut R, _: ApiVersion) -> Result<Self, ReadVersionedError> {
        let throttle_ms = Int32::read(reader)?.0;
        let mut partition = None;
        for _ in 0..length(reader)? {
            String_::read(reader)?;
            for _ in 0..length(reader)? {
                partition = Some(read_partition(reader)?);
            }
        }
        Ok(Self { throttle_ms, partition })
    }
}

/// Version 4: number, code, high watermark, last stable offset, aborted transactions, records.
fn read_partition<R: Read>(reader: &mut R) -> Result<RawPartition, ReadVersionedError> {
    Int32::read(reader)?;
    let code = Some(Int16::read(reader)?.0).filter(|code| *code != 0).map(AnswerCode);
    Int64::read(reader)?;
    Int64::read(reader)?;
    for _ in 0..length(reader)? {
        Int64::read(reader)?;
        Int64::read(reader)?;
    }
    let records = NullableBytes::read(reader)?.0.unwrap_or_default();
    Ok(RawPartition { code, records })
}

fn length<R: Read>(reader: &mut R) -> Result<i32, ReadVersionedError> {
    match Int32::read(reader)?.0 {
        -1 => Ok(0),
        length @ 0..=ARRAY_MAX => Ok(length),
        length => Err(ReadError::Malformed(format!("an array of {length}").into()).into()),
    }
}
