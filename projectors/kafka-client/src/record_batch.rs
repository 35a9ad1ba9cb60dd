//! Records, and the batches in which they travel (format 2): <https://kafka.apache.org/documentation/#recordbatch>.
//!
//! Invariants: whatever others wrote, reading goes on behind it: what cannot be read is named by its offsets. Nothing
//! grows beyond [`BATCH_MAX_BYTES`]. The checksum is not computed again: the broker has, and TCP or TLS keep the way.

pub(crate) use encoding::encode;

use std::io::Read as _;

mod encoding;

/// The most that one batch is unpacked to.
const BATCH_MAX_BYTES: u64 = 64 << 20;
/// The bytes before the length of a batch ends.
const PREFIX_BYTES: usize = 12;
/// Attributes: the codec.
const CODEC_MASK: i16 = 0x07;
/// Attributes: the broker's own time counts for all records.
const LOG_APPEND_TIME: i16 = 0x08;
/// Attributes: a transaction's marker, not records.
const CONTROL: i16 = 0x20;
const CODEC_NONE: i16 = 0;
const CODEC_ZSTD: i16 = 4;
/// The format of a batch that is read and written here.
const MAGIC: u8 = 2;

/// A record to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// By it the partition is chosen.
    pub key: Vec<u8>,
    /// The message.
    pub value: Vec<u8>,
    /// Names and values, in this order.
    pub headers: Vec<(&'static str, Vec<u8>)>,
    /// Milliseconds since 1970. Retention counts from it, and brokers refuse what is an hour ahead: the time of
    /// sending, not that of the event.
    pub timestamp_ms: i64,
}

/// A record that stands in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailRecord {
    /// Where.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Absent for records of others.
    pub key: Option<Vec<u8>>,
    /// Absent for records of others: a deletion.
    pub value: Option<Vec<u8>>,
    /// Names and values; others may write a name without one.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl TailRecord {
    /// The last header of this name that has a value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut found = self.headers.iter().rev().filter(|(found, _)| found == name);
        found.find_map(|(_, value)| value.as_deref())
    }
}

/// Records that others wrote in a way that is not read here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRecords {
    /// The first of them.
    pub first_offset: i64,
    /// The last of them.
    pub last_offset: i64,
    /// Why.
    pub reason: String,
}

/// What an answer to a fetch holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) records: Vec<TailRecord>,
    pub(crate) unreadable: Vec<UnreadableRecords>,
    /// Behind the last batch that was there as a whole.
    pub(crate) next_offset: Option<i64>,
}

/// The records in `bytes`: batches, the last of which may be cut off.
pub(crate) fn decode(bytes: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut rest = bytes;
    while let Some((base_offset, length)) = read_prefix(rest) {
        let Some(batch) = rest.get(PREFIX_BYTES..PREFIX_BYTES + length) else { break };
        rest = &rest[PREFIX_BYTES + length..];
        let before = decoded.records.len();
        // Where even the head cannot be read, the batch is one record of an old format: the offset is its own.
        let last_offset = last_offset(base_offset, batch).unwrap_or(base_offset);
        if let Err(reason) = decode_batch(base_offset, batch, &mut decoded.records) {
            decoded.records.truncate(before);
            let unreadable = UnreadableRecords { first_offset: base_offset, last_offset, reason };
            decoded.unreadable.push(unreadable);
        }
        decoded.next_offset = Some(last_offset.saturating_add(1));
    }
    decoded
}

fn read_prefix(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut bytes = Bytes(bytes);
    let base_offset = i64::from_be_bytes(bytes.array()?);
    let length = i32::from_be_bytes(bytes.array()?);
    Some((base_offset, usize::try_from(length).ok()?))
}

fn last_offset(base_offset: i64, batch: &[u8]) -> Option<i64> {
    let head = Head::read(&mut Bytes(batch))?;
    (head.magic == MAGIC).then_some(base_offset.saturating_add(i64::from(head.last_offset_delta)))
}

/// Epoch, magic, checksum, attributes, last offset, times, producer, count.
struct Head {
    magic: u8,
    attributes: i16,
    last_offset_delta: i32,
    first_timestamp: i64,
    max_timestamp: i64,
    count: i32,
}

impl Head {
    fn read(bytes: &mut Bytes<'_>) -> Option<Self> {
        bytes.take(4)?;
        let [magic] = bytes.array()?;
        bytes.take(4)?;
        let attributes = i16::from_be_bytes(bytes.array()?);
        let last_offset_delta = i32::from_be_bytes(bytes.array()?);
        let first_timestamp = i64::from_be_bytes(bytes.array()?);
        let max_timestamp = i64::from_be_bytes(bytes.array()?);
        bytes.take(8 + 2 + 4)?;
        let count = i32::from_be_bytes(bytes.array()?);
        Some(Self { magic, attributes, last_offset_delta, first_timestamp, max_timestamp, count })
    }
}

fn decode_batch(
    base_offset: i64,
    batch: &[u8],
    records: &mut Vec<TailRecord>,
) -> Result<(), String> {
    let mut bytes = Bytes(batch);
    let head = Head::read(&mut bytes).filter(|head| head.magic == MAGIC);
    let head = head.ok_or("its format is older than 2")?;
    if head.attributes & CONTROL != 0 {
        return Ok(());
    }
    let unpacked;
    let mut bytes = match head.attributes & CODEC_MASK {
        CODEC_NONE => bytes,
        CODEC_ZSTD => {
            unpacked = unpack_records(bytes.0)?;
            Bytes(&unpacked)
        }
        codec => return Err(format!("it is packed by codec {codec}, not by zstd")),
    };
    for _ in 0..head.count {
        let record = decode_record(base_offset, &head, &mut bytes);
        records.push(record.ok_or("it is malformed")?);
    }
    Ok(())
}

fn unpack_records(packed: &[u8]) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::new();
    let decoder = zstd::Decoder::new(packed).map_err(|error| error.to_string())?;
    let read = decoder.take(BATCH_MAX_BYTES + 1).read_to_end(&mut unpacked);
    let count = read.map_err(|error| error.to_string())?;
    if count as u64 > BATCH_MAX_BYTES {
        return Err(format!("it is larger than {BATCH_MAX_BYTES} bytes"));
    }
    Ok(unpacked)
}

fn decode_record(base_offset: i64, head: &Head, bytes: &mut Bytes<'_>) -> Option<TailRecord> {
    let length = usize::try_from(bytes.varint()?).ok()?;
    let mut bytes = Bytes(bytes.take(length)?);
    bytes.take(1)?;
    let timestamp_delta = bytes.varint()?;
    let offset = base_offset.checked_add(bytes.varint()?)?;
    let (key, value) = (bytes.nullable()?, bytes.nullable()?);
    let mut headers = Vec::new();
    for _ in 0..bytes.varint()? {
        let name = String::from_utf8_lossy(&bytes.nullable()??).into_owned();
        headers.push((name, bytes.nullable()?));
    }
    let timestamp_ms = match head.attributes & LOG_APPEND_TIME {
        0 => head.first_timestamp.checked_add(timestamp_delta)?,
        _ => head.max_timestamp,
    };
    Some(TailRecord { offset, timestamp_ms, key, value, headers })
}

/// What is still to be read; each step is `None` where there is too little.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A zigzag number of at most ten bytes.
    fn varint(&mut self) -> Option<i64> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        None
    }

    /// Bytes, or none where their length is -1.
    fn nullable(&mut self) -> Option<Option<Vec<u8>>> {
        match self.varint()? {
            -1 => Some(None),
            length => Some(Some(self.take(usize::try_from(length).ok()?)?.to_vec())),
        }
    }
}

#[cfg(test)]
mod tests;
