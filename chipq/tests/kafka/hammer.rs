//! Relays and the broker are killed while 32 writers append: every event arrives, in the order of its key.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::Rng as _;
use serde_json::Value;

use crate::broker::{Broker, is_installed};
use crate::consumers::Consumers;
use crate::platform::folder;
use crate::relay_process::{Log, Relay, inspection};

const WRITERS: u64 = 32;
/// In appends of ten.
const EVENTS_OF_A_WRITER: u64 = 3_130;
/// Each has so many streams, so that a key has several events under way.
const STREAMS_OF_A_WRITER: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_event_arrives_in_the_order_of_its_key_while_relays_and_the_broker_are_killed() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let mut broker = Broker::start(&folder.path().join("kafka"));
    let kafka = format!("kafka://{}?partitions=6&topics=inspection", broker.plain_address());
    let log = Arc::new(Log::new().await);
    let are_written = Arc::new(AtomicBool::new(false));
    let writing = {
        let (log, are_written) = (Arc::clone(&log), Arc::clone(&are_written));
        tokio::spawn(async move {
            let writers = (0..WRITERS).map(|writer| write(Arc::clone(&log), writer));
            futures::future::join_all(writers).await;
            are_written.store(true, Ordering::Relaxed);
        })
    };

    let start = || Relay::start(&log.database, &kafka, folder.path());
    let mut relays = vec![start(), start()];
    let mut kills = 0;
    while !are_written.load(Ordering::Relaxed) || kills < 9 {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(300..2_500))).await;
        match kills % 3 {
            0 => {
                relays.remove(rand::rng().random_range(0..2)).kill();
                relays.push(start());
            }
            1 => {
                broker.kill();
                broker.start_again();
            }
            // Longer than the relay waits for an answer to a question, shorter than for one to a batch.
            _ => {
                broker.stall();
                tokio::time::sleep(Duration::from_secs(rand::rng().random_range(1..8))).await;
                broker.resume();
            }
        }
        kills += 1;
    }
    writing.await.unwrap();
    log.until_sent().await;

    let address = broker.plain_address();
    let properties = [("bootstrap.servers", &*address), ("group.id", "hammer")];
    let records = consumers.read_records(&properties, "chipq\\.inspection", 5);
    let sent = WRITERS * EVENTS_OF_A_WRITER;
    let duplicates = assert_order(&records, sent);
    eprintln!("{sent} events, {kills} kills and stalls: all there, {duplicates} records twice");
}

async fn write(log: Arc<Log>, writer: u64) {
    for append in 0..EVENTS_OF_A_WRITER / 10 {
        let (stream, version) = (append % STREAMS_OF_A_WRITER, append / STREAMS_OF_A_WRITER * 10);
        let stream = inspection(&format!("writer-{writer}-{stream}"));
        log.append(&stream, version, 10, "hammered").await;
    }
}

/// Every event is there, and by the documented rule, which drops what is not above the last of its key, each is seen
/// once and in order. How many were dropped.
fn assert_order(records: &[Value], sent: u64) -> usize {
    let (mut last_of_key, mut seen, mut dropped) = (BTreeMap::new(), 0, 0);
    let mut partition_of_key = BTreeMap::new();
    for record in records {
        let key = record["key"].as_str().unwrap();
        let partition = record["partition"].as_u64().unwrap();
        assert_eq!(*partition_of_key.entry(key).or_insert(partition), partition, "{key}");
        let sequence: u64 = record["headers"]["ce_sequence"].as_str().unwrap().parse().unwrap();
        let last = last_of_key.entry(key).or_insert(0);
        if sequence <= *last {
            dropped += 1;
            continue;
        }
        *last = sequence;
        seen += 1;
    }
    assert_eq!(seen, sent, "an event was skipped: whatever comes later of its key was dropped");
    dropped
}
