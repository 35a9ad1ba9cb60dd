//! The client against a real broker, which `tests/with-brokers` starts. Without one each test says that it is skipped.
#![allow(clippy::unwrap_used, reason = "tests")]

mod faults;
mod refusals;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_client::{Produced, TopicPartition, ensure_topic};
use support::{Site, is_each_once, partition, records, sequences, spec, topic_name};

#[tokio::test]
async fn what_is_appended_stands_at_the_end() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut partition = partition(&cluster, "tail").await;
    let empty = partition.read_tail(64).await.unwrap();
    assert_eq!((empty.earliest, empty.latest, empty.records.len()), (0, 0, 0));

    let batch = records(1, 100, 200);
    let stored = partition.produce(&batch).await;
    assert!(matches!(stored, Produced::Stored { base_offset: 0, .. }), "{stored:?}");
    assert!(matches!(partition.produce(&[]).await, Produced::NoBatch));
    partition.produce(&records(101, 7, 200)).await;

    let tail = partition.read_tail(64).await.unwrap();
    assert_eq!((tail.earliest, tail.latest), (0, 107));
    is_each_once(&tail, 44, 64);
    let all = partition.read_tail(1000).await.unwrap();
    is_each_once(&all, 1, 107);
    assert_eq!(all.records[3].value.as_ref(), Some(&batch[3].value));
    assert_eq!(all.records[3].timestamp_ms, batch[3].timestamp_ms);
    assert_eq!(all.records[3].key.as_ref(), Some(&batch[3].key));
}

#[tokio::test]
async fn a_topic_is_made_once_and_its_own_number_of_partitions_counts() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut wanted = spec(&topic_name("made"), 3);
    wanted.retention = Some(Duration::from_secs(3600));
    let both = tokio::join!(ensure_topic(&cluster, &wanted), ensure_topic(&cluster, &wanted));
    let (first, second) = (both.0.unwrap(), both.1.unwrap());
    assert_eq!((first.partitions, second.partitions), (3, 3));
    assert!(first.is_new || second.is_new);
    let again = ensure_topic(&cluster, &spec(&wanted.name, 5)).await.unwrap();
    assert_eq!((again.partitions, again.is_new), (3, false));
    assert!(
        again.describe_difference(&spec(&wanted.name, 5)).unwrap().contains("has 3 partitions")
    );

    let mut many = spec(&topic_name("replicas"), 1);
    many.replication = 5;
    let said = ensure_topic(&cluster, &many).await.unwrap_err().to_string();
    assert!(said.contains("code 38") && said.contains("kafka-topics --bootstrap"), "{said}");
    eprintln!("FOUND {said}");
}

#[tokio::test]
async fn large_tails_come_in_several_answers() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut partition = partition(&cluster, "large").await;
    for first in [1, 101, 201] {
        let stored = partition.produce(&records(first, 100, 20_000)).await;
        // 2 MB packed by six bits of eight: more than the broker takes.
        assert!(matches!(stored, Produced::Refused { .. }), "{stored:?}");
        for part in 0..4 {
            let stored = partition.produce(&records(first + part * 25, 25, 20_000)).await;
            assert!(matches!(stored, Produced::Stored { .. }), "{stored:?}");
        }
    }
    is_each_once(&partition.read_tail(1000).await.unwrap(), 1, 300);
}

#[tokio::test]
async fn records_of_others_do_not_stop_us() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut partition = partition(&cluster, "others").await;
    partition.produce(&records(1, 2, 50)).await;
    site.produce_by_java(partition.topic(), "gzip", "h:v\ta\tb\n");
    site.produce_by_java(partition.topic(), "zstd", "h:NULL\tNULL\tNULL\nNULL\tk\tv\n");
    let tail = partition.read_tail(10).await.unwrap();
    eprintln!("FOUND {:?} {:?}", &tail.records[2..], tail.unreadable);
    assert_eq!((tail.latest, tail.records.len(), tail.unreadable.len()), (5, 4, 1));
    let unreadable = &tail.unreadable[0];
    assert_eq!((unreadable.first_offset, unreadable.last_offset), (2, 2));
    let theirs = &tail.records[2];
    assert_eq!((&theirs.key, &theirs.value), (&None, &None));
    assert_eq!(theirs.headers, [("h".to_owned(), None)]);
    assert!(matches!(partition.produce(&records(3, 1, 9)).await, Produced::Stored { .. }));
}

/// Not a test of right and wrong: says what a broker does with two requests on one connection, and how fast we are.
#[tokio::test]
async fn figures() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut partition = partition(&cluster, "figures").await;
    let batch = records(1, 500, 600);
    partition.produce(&batch).await;
    let (began, mut slowest) = (Instant::now(), Duration::ZERO);
    for _ in 0..100 {
        let one = Instant::now();
        assert!(matches!(partition.produce(&batch).await, Produced::Stored { .. }));
        slowest = slowest.max(one.elapsed());
    }
    let took = began.elapsed();
    let rate = 50_000.0 / took.as_secs_f64();
    eprintln!(
        "FOUND {rate:.0} records/s of one partition ({took:?} for 100 x 500 x 600 bytes, slowest {slowest:?})"
    );

    let began = Instant::now();
    let tail = partition.read_tail(64).await.unwrap();
    eprintln!("FOUND a tail of {} records in {:?}", sequences(&tail).len(), began.elapsed());

    let began = Instant::now();
    let mut fresh = TopicPartition::new(Arc::clone(&cluster), partition.topic().to_owned(), 0);
    fresh.read_tail(1).await.unwrap();
    eprintln!("FOUND leader, connection and tail in {:?}", began.elapsed());
}
