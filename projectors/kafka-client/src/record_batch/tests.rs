//! Batches as they are written and read back, also those of others.

use rskafka::protocol::record::{ControlBatchOrRecords, RecordBatch, RecordBatchCompression};
use rskafka::protocol::traits::ReadType as _;

use super::*;

fn record(number: u8) -> Record {
    Record {
        key: vec![number],
        value: vec![number; 300],
        headers: vec![("ce_sequence", vec![b'0' + number])],
        timestamp_ms: 1_000 + i64::from(number),
    }
}

fn bytes(base_offset: i64, count: u8) -> Vec<u8> {
    let mut bytes = encode(&(0..count).map(record).collect::<Vec<_>>()).unwrap();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes
}

/// A batch that is not packed: `attributes`, then records as they are.
fn raw(attributes: i16, count: i32, records: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0, 2, 0, 0, 0, 0];
    body.extend(attributes.to_be_bytes());
    body.extend((count - 1).to_be_bytes());
    body.extend(5_i64.to_be_bytes());
    body.extend(9_i64.to_be_bytes());
    body.extend([0xff; 14]);
    body.extend(count.to_be_bytes());
    body.extend(records);
    let mut bytes = 40_i64.to_be_bytes().to_vec();
    bytes.extend(i32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn what_is_written_is_read() {
    let mut written = bytes(10, 3);
    written.extend(bytes(13, 1));
    let decoded = decode(&written);
    assert_eq!(decoded.next_offset, Some(14));
    assert_eq!(decoded.unreadable, []);
    let offsets: Vec<_> = decoded.records.iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [10, 11, 12, 13]);
    let last = &decoded.records[2];
    assert_eq!((last.timestamp_ms, last.header("ce_sequence")), (1_002, Some(&b"2"[..])));
    assert_eq!((last.key.clone(), last.value.clone()), (Some(vec![2]), Some(vec![2; 300])));
}

/// By another reader than ours, which also computes the checksum.
#[test]
fn what_is_written_is_a_batch_to_others() {
    // Lengths of more than one byte, none at all, and times that go back.
    let mut records: Vec<_> = (0..200).map(record).collect();
    records[3] = Record { key: Vec::new(), value: vec![b'x'; 70_000], ..record(3) };
    records[4].headers.clear();
    records[5].timestamp_ms = -4_000_000_000_000;
    let written = encode(&records).unwrap();
    let read = RecordBatch::read(&mut &written[..]).unwrap();
    assert_eq!((read.first_timestamp, read.max_timestamp), (1_000, 1_199));
    assert_eq!((read.last_offset_delta, read.producer_id, read.base_sequence), (199, -1, -1));
    assert_eq!(read.compression, RecordBatchCompression::Zstd);
    let ControlBatchOrRecords::Records(read) = read.records else { panic!("{read:?}") };
    assert_eq!(read.len(), records.len());
    for ((number, written), read) in (0..).zip(&records).zip(read) {
        assert_eq!(
            (read.offset_delta, 1_000 + read.timestamp_delta),
            (number, written.timestamp_ms)
        );
        assert_eq!(
            (read.key, read.value),
            (Some(written.key.clone()), Some(written.value.clone()))
        );
        let headers = read.headers.into_iter().map(|header| (header.key, header.value));
        let expected =
            written.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        assert!(headers.eq(expected), "record {number}");
        let (mut size, one) = (Vec::new(), std::slice::from_ref(written));
        size.extend(encoding::write_records(one, written.timestamp_ms));
        assert!(size.len() <= written.size_max(), "record {number}");
    }
}

#[test]
fn a_batch_that_is_cut_off_is_left_for_the_next_answer() {
    let mut written = bytes(10, 3);
    let second = bytes(13, 1);
    written.extend(&second[..second.len() - 1]);
    let decoded = decode(&written);
    assert_eq!((decoded.records.len(), decoded.next_offset), (3, Some(13)));
    for length in 0..second.len() {
        assert_eq!(decode(&second[..length]), Decoded::default());
    }
}

#[test]
fn a_header_without_a_value_and_a_record_without_a_key_are_read() {
    // Length 9, attributes, times 0 and 0, key -1, value -1, one header "h" of -1.
    let decoded = decode(&raw(0, 1, &[18, 0, 0, 0, 1, 1, 2, 2, b'h', 1]));
    let expected = TailRecord {
        offset: 40,
        timestamp_ms: 5,
        key: None,
        value: None,
        headers: vec![("h".to_owned(), None)],
    };
    assert_eq!(decoded.records, [expected]);
    assert_eq!(decoded.records[0].header("h"), None);
}

#[test]
fn the_time_of_the_broker_counts_where_it_says_so() {
    let decoded = decode(&raw(LOG_APPEND_TIME, 1, &[12, 0, 0, 0, 1, 1, 0]));
    assert_eq!(decoded.records[0].timestamp_ms, 9);
}

#[test]
fn a_marker_of_a_transaction_is_passed_over() {
    let decoded = decode(&raw(CONTROL | 0x10, 1, &[1, 2, 3]));
    assert_eq!(decoded, Decoded { next_offset: Some(41), ..Decoded::default() });
}

#[test]
fn what_others_packed_in_another_way_is_named() {
    let mut written = raw(1, 5, &[1, 2, 3]);
    written.extend(bytes(45, 1));
    let decoded = decode(&written);
    assert_eq!((decoded.records.len(), decoded.next_offset), (1, Some(46)));
    let unreadable = &decoded.unreadable[0];
    assert_eq!((unreadable.first_offset, unreadable.last_offset), (40, 44));
    assert!(unreadable.reason.contains("codec 1"), "{unreadable:?}");
}

#[test]
fn nonsense_is_named_and_never_panics() {
    let whole = bytes(0, 2);
    for at in PREFIX_BYTES..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = whole.clone();
            broken[at] ^= flip;
            decode(&broken);
        }
    }
    assert_eq!(decode(&raw(0, 1, &[200, 1])).unreadable.len(), 1);
}

#[test]
fn nothing_is_no_batch() {
    assert_eq!(encode(&[]), None);
}
