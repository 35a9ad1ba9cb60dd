//! What happens to brokers: silence, death, quotas, deletion. These run one at a time, with `--test-threads 1`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_client::{
    Address, AnswerCode, ClusterError, Connector, Limits, Produced, TopicPartition, ensure_topic,
};
use rskafka::protocol::messages::{
    FetchRequest, FetchRequestPartition, FetchRequestTopic, MetadataRequest, NORMAL_CONSUMER,
};
use rskafka::protocol::primitives::{Int32, Int64, String_};

use crate::support::{
    Site, is_each_once, open_as, partition, produce_exactly_once, records, sequences, spec,
    topic_name,
};

const IMPATIENT: Limits =
    Limits { connect: Duration::from_secs(3), request: Duration::from_secs(3) };

#[tokio::test]
async fn a_silent_broker_is_unknown_and_nothing_is_stored_twice() {
    let Some(site) = Site::find() else { return };
    let cluster = open_as(&site.url(""), None, "silent", IMPATIENT);
    let mut partition = partition(&cluster, "silent").await;
    produce_exactly_once(&mut partition, 1, 30).await;
    site.signal("-STOP");
    let began = Instant::now();
    let produced = partition.produce(&records(31, 10, 100)).await;
    eprintln!("FOUND after {:?}: {produced:?}", began.elapsed());
    assert!(matches!(produced, Produced::Unknown(_)), "{produced:?}");
    let other = open_as(&site.url(""), None, "silent", IMPATIENT);
    let error = other.topic("missing").await.unwrap_err();
    eprintln!("FOUND {error}");
    assert!(error.to_string().contains("has not answered"), "{error}");
    site.signal("-CONT");
    // The first thing after it: the tail, which says that the batch is there.
    let mut tail = partition.read_tail(64).await;
    while tail.is_err() {
        tail = partition.read_tail(64).await;
    }
    is_each_once(&tail.unwrap(), 1, 40);
    produce_exactly_once(&mut partition, 41, 30).await;
    is_each_once(&partition.read_tail(1000).await.unwrap(), 1, 70);
}

#[tokio::test]
async fn a_killed_broker_comes_back_and_nothing_is_stored_twice() {
    let Some(site) = Site::find() else { return };
    let cluster = open_as(&site.url(""), None, "killed", IMPATIENT);
    let mut partition = partition(&cluster, "killed").await;
    let task = tokio::spawn(async move {
        produce_exactly_once(&mut partition, 1, 3000).await;
        partition
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    tokio::task::spawn_blocking(move || {
        site.broker("kill");
        site.broker("start");
    })
    .await
    .unwrap();
    let mut partition = task.await.unwrap();
    is_each_once(&partition.read_tail(10_000).await.unwrap(), 1, 3000);
    eprintln!("FOUND killed and started again in {:?}", began.elapsed());
}

#[tokio::test]
async fn a_quota_makes_us_wait_and_nothing_is_stored_twice() {
    let Some(site) = Site::find() else { return };
    let quota = ["--alter", "--entity-type", "clients", "--entity-name", "throttled"];
    let quota = [&quota[..], &["--add-config", "producer_byte_rate=1000"]].concat();
    site.tool("kafka.admin.ConfigCommand", &quota);
    let cluster = open_as(&site.url(""), None, "throttled", Limits::default());
    let mut partition = partition(&cluster, "throttled").await;
    let mut waited = Duration::ZERO;
    for first in [1, 11, 21, 31] {
        let began = Instant::now();
        let produced = partition.produce(&records(first, 10, 500)).await;
        let Produced::Stored { base_offset, throttle } = produced else { panic!("{produced:?}") };
        assert_eq!(u64::try_from(base_offset).unwrap(), first - 1);
        eprintln!("FOUND batch at {base_offset} in {:?}, then {throttle:?}", began.elapsed());
        waited += throttle;
    }
    assert!(!waited.is_zero(), "the quota was not reached");
    is_each_once(&partition.read_tail(100).await.unwrap(), 1, 40);
}

#[tokio::test]
async fn a_deleted_topic_passes_when_it_is_made_again() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut partition = partition(&cluster, "deleted").await;
    produce_exactly_once(&mut partition, 1, 10).await;
    let name = partition.topic().to_owned();
    site.tool("org.apache.kafka.tools.TopicCommand", &["--delete", "--topic", &name]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let produced = partition.produce(&records(11, 1, 10)).await;
    let unknown = AnswerCode::UNKNOWN_TOPIC;
    assert_eq!(produced, Produced::Passing { code: unknown, is_perhaps_stored: false });
    let error = partition.read_tail(1).await.unwrap_err().to_string();
    eprintln!("FOUND {error}");
    let produced = partition.produce(&records(11, 1, 10)).await;
    let gone = ClusterError::Topic { topic: name.clone(), code: unknown };
    assert_eq!(produced, Produced::NotSent(gone));
    ensure_topic(&cluster, &spec(&name, 1)).await.unwrap();
    let mut tries = 0;
    while !matches!(partition.produce(&records(11, 1, 10)).await, Produced::Stored { .. }) {
        tries += 1;
        assert!(tries < 100);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let tail = partition.read_tail(10).await.unwrap();
    assert_eq!((tail.earliest, sequences(&tail)), (0, vec![11]));
}

#[tokio::test]
async fn history_expires_and_the_empty_tail_says_where_it_ends() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut partition = partition(&cluster, "expired").await;
    let mut old = records(1, 5, 100);
    for record in &mut old {
        record.timestamp_ms -= 86_400_000 * 30;
    }
    partition.produce(&old).await;
    let mut tries = 0;
    loop {
        let tail = partition.read_tail(64).await.unwrap();
        if tail.earliest == 5 {
            assert_eq!((tail.latest, tail.records.len()), (5, 0));
            break;
        }
        tries += 1;
        assert!(tries < 60, "{tail:?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Why each partition has a connection of its own: what waits on a connection holds all behind it.
#[tokio::test]
async fn one_slow_partition_does_not_hold_another() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let slow = partition(&cluster, "slow").await;
    let mut quick = partition(&cluster, "quick").await;
    assert!(matches!(quick.produce(&records(1, 1, 10)).await, Produced::Stored { .. }));

    let connector = Connector::open(cluster.url(), None, "shared", Limits::default()).unwrap();
    let address = cluster.find_leader(slow.topic(), 0).await.unwrap();
    let shared = connector.connect(&address).await.unwrap();
    let began = Instant::now();
    let waits = async {
        shared.request(waiting_fetch(slow.topic())).await.unwrap();
        began.elapsed()
    };
    let behind = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        shared.request(quick_request()).await.unwrap();
        began.elapsed()
    };
    let beside = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(matches!(quick.produce(&records(2, 1, 10)).await, Produced::Stored { .. }));
        began.elapsed()
    };
    let (waits, behind, beside) = tokio::join!(waits, behind, beside);
    eprintln!(
        "FOUND slow {waits:?}, behind it on the same connection {behind:?}, on another {beside:?}"
    );
    assert!(behind >= Duration::from_secs(2) && beside < Duration::from_secs(2));
}

/// A fetch for which the broker waits for two seconds, because nothing comes.
fn waiting_fetch(topic: &str) -> FetchRequest {
    let partition = FetchRequestPartition {
        partition: Int32(0),
        fetch_offset: Int64(0),
        partition_max_bytes: Int32(1000),
    };
    FetchRequest {
        replica_id: NORMAL_CONSUMER,
        max_wait_ms: Int32(2000),
        min_bytes: Int32(1),
        max_bytes: None,
        isolation_level: None,
        topics: vec![FetchRequestTopic {
            topic: String_(topic.to_owned()),
            partitions: vec![partition],
        }],
    }
}

fn quick_request() -> MetadataRequest {
    MetadataRequest { topics: Some(Vec::new()), allow_auto_topic_creation: None }
}

#[tokio::test]
async fn a_leader_moves_and_nothing_is_stored_twice() {
    let Some(site) = Site::find() else { return };
    let Some(second) = site.second() else { return };
    let both = format!("kafka://127.0.0.1:{},127.0.0.1:{}", site.plain, second.plain);
    let cluster = open_as(&both, None, "moved", IMPATIENT);
    let mut wanted = spec(&topic_name("moved"), 4);
    wanted.replication = 2;
    ensure_topic(&cluster, &wanted).await.unwrap();
    let metadata = cluster.topic(&wanted.name).await.unwrap();
    let is_led = |leader: &Option<Address>| leader.as_ref().is_some_and(|l| l.port == second.plain);
    let mut led = metadata.partitions.iter().filter(|(_, partition)| is_led(&partition.leader));
    let number = *led.next().expect("the second broker leads none of four").0;

    let mut partition = TopicPartition::new(Arc::clone(&cluster), wanted.name.clone(), number);
    let task = tokio::spawn(async move {
        produce_exactly_once(&mut partition, 1, 3000).await;
        partition
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    let second = tokio::task::spawn_blocking(move || {
        second.broker("kill");
        second
    });
    let second = second.await.unwrap();
    let mut partition = task.await.unwrap();
    eprintln!("FOUND all sent {:?} after the leader was killed", began.elapsed());
    is_each_once(&partition.read_tail(10_000).await.unwrap(), 1, 3000);
    assert_eq!(cluster.find_leader(&wanted.name, number).await.unwrap().port, site.plain);

    let alter = ["--alter", "--entity-type", "topics", "--entity-name", &wanted.name];
    let alter = [&alter[..], &["--add-config", "min.insync.replicas=2"]].concat();
    site.tool("kafka.admin.ConfigCommand", &alter);
    let produced = partition.produce(&records(3001, 1, 10)).await;
    assert_eq!(produced, Produced::Passing { code: AnswerCode(19), is_perhaps_stored: false });
    second.broker("start");
    while !matches!(partition.produce(&records(3001, 1, 10)).await, Produced::Stored { .. }) {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    is_each_once(&partition.read_tail(10_000).await.unwrap(), 1, 3001);
}
