//! Records as the bytes of a batch.
//!
//! Each is written once, from where it lies into what is packed: this is done for every event of the log, and structures
//! in between would cost more than the packing.

use super::{CODEC_NONE, CODEC_ZSTD, MAGIC, PREFIX_BYTES, Record};

/// Where the checksum stands, and what it is computed of begins.
const CHECKSUM_AT: usize = PREFIX_BYTES + 4 + 1;
const CHECKED_FROM: usize = CHECKSUM_AT + 4;
/// All that stands before the records.
const HEAD_BYTES: usize = CHECKED_FROM + 2 + 4 + 8 + 8 + 8 + 2 + 4 + 4;
/// What the broker sets: the first offset, the leader's epoch.
const BASE_OFFSET: i64 = 0;
const LEADER_EPOCH: i32 = 0;
/// Nobody, who numbers nothing.
const PRODUCER_ID: i64 = -1;
const PRODUCER_EPOCH: i16 = -1;
const BASE_SEQUENCE: i32 = -1;
/// Numbers of a record beside key, value and headers, and lengths of a header, at most about.
const RECORD_FRAMING_BYTES: usize = 32;
const HEADER_FRAMING_BYTES: usize = 4;

/// The batch of `records`, packed by zstd; `None` where there are none, or more than a batch can hold.
pub(crate) fn encode(records: &[Record]) -> Option<Vec<u8>> {
    let first_timestamp = records.first()?.timestamp_ms;
    let max_timestamp = records.iter().map(|record| record.timestamp_ms).max()?;
    let count = i32::try_from(records.len()).ok()?;
    let unpacked = write_records(records, first_timestamp);
    // What cannot be packed is as good a batch.
    let (codec, records) = match zstd::bulk::compress(&unpacked, zstd::DEFAULT_COMPRESSION_LEVEL) {
        Ok(packed) => (CODEC_ZSTD, packed),
        Err(_) => (CODEC_NONE, unpacked),
    };
    let mut batch = Vec::with_capacity(HEAD_BYTES + records.len());
    let length = i32::try_from(HEAD_BYTES - PREFIX_BYTES + records.len()).ok()?;
    batch.extend(BASE_OFFSET.to_be_bytes());
    batch.extend(length.to_be_bytes());
    batch.extend(LEADER_EPOCH.to_be_bytes());
    batch.push(MAGIC);
    batch.extend(0_u32.to_be_bytes());
    batch.extend(codec.to_be_bytes());
    batch.extend((count - 1).to_be_bytes());
    batch.extend(first_timestamp.to_be_bytes());
    batch.extend(max_timestamp.to_be_bytes());
    batch.extend(PRODUCER_ID.to_be_bytes());
    batch.extend(PRODUCER_EPOCH.to_be_bytes());
    batch.extend(BASE_SEQUENCE.to_be_bytes());
    batch.extend(count.to_be_bytes());
    batch.extend(records);
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[CHECKSUM_AT..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
    Some(batch)
}

pub(super) fn write_records(records: &[Record], first_timestamp: i64) -> Vec<u8> {
    let mut written = Vec::with_capacity(records.iter().map(Record::size_max).sum());
    let mut body = Vec::new();
    for (offset_delta, record) in (0_i64..).zip(records) {
        body.clear();
        body.push(0);
        write_varint(&mut body, record.timestamp_ms.saturating_sub(first_timestamp));
        write_varint(&mut body, offset_delta);
        write_bytes(&mut body, &record.key);
        write_bytes(&mut body, &record.value);
        write_length(&mut body, record.headers.len());
        for (name, value) in &record.headers {
            write_bytes(&mut body, name.as_bytes());
            write_bytes(&mut body, value);
        }
        write_bytes(&mut written, &body);
    }
    written
}

impl Record {
    /// The most bytes that it takes in a batch before that is packed.
    #[must_use]
    pub fn size_max(&self) -> usize {
        let header =
            |(name, value): &(&str, Vec<u8>)| HEADER_FRAMING_BYTES + name.len() + value.len();
        let headers: usize = self.headers.iter().map(header).sum();
        RECORD_FRAMING_BYTES + self.key.len() + self.value.len() + headers
    }
}

fn write_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    write_length(to, bytes.len());
    to.extend_from_slice(bytes);
}

fn write_length(to: &mut Vec<u8>, length: usize) {
    // More than memory can hold is no length.
    write_varint(to, i64::try_from(length).unwrap_or(i64::MAX));
}

/// A zigzag number.
fn write_varint(to: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest > 0x7f {
        to.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    to.push(rest.to_le_bytes()[0]);
}
