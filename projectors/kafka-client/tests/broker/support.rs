//! What the tests against a real broker have in common.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kafka_client::{
    Credentials, KafkaCluster, Limits, Produced, Record, Tail, TopicPartition, TopicSpec,
    ensure_topic,
};

/// What formats, starts and kills brokers.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kafka-broker");

/// What `tests/with-brokers`, which starts the brokers, tells us.
pub(crate) struct Site {
    pub(crate) plain: u16,
    pub(crate) sasl: u16,
    pub(crate) sasl_tls: u16,
    pub(crate) folder: String,
}

impl Site {
    /// `None`, aloud, where there is no broker.
    pub(crate) fn find() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let port = |name: &str| variable(name)?.parse().ok();
        let found = (|| {
            Some(Self {
                plain: port("KAFKA_TEST_PORT")?,
                sasl: port("KAFKA_TEST_SASL_PORT")?,
                sasl_tls: port("KAFKA_TEST_SASL_TLS_PORT")?,
                folder: variable("KAFKA_TEST_DIR")?,
            })
        })();
        if found.is_none() {
            eprintln!(
                "SKIPPED: no broker; run tests/with-brokers, which sets KAFKA_TEST_PORT and the others"
            );
        }
        found
    }

    /// Another broker of the same cluster; `None`, aloud, where there is none.
    pub(crate) fn second(&self) -> Option<Self> {
        let port = std::env::var("KAFKA_TEST_SECOND_PORT").ok().and_then(|port| port.parse().ok());
        let found = port.zip(std::env::var("KAFKA_TEST_SECOND_DIR").ok());
        if found.is_none() {
            eprintln!("SKIPPED: no second broker; run tests/with-brokers");
        }
        let (plain, folder) = found?;
        let (sasl, sasl_tls) = (self.sasl, self.sasl_tls);
        Some(Self { plain, sasl, sasl_tls, folder })
    }

    pub(crate) fn url(&self, options: &str) -> String {
        format!("kafka://127.0.0.1:{}?{options}", self.plain)
    }

    pub(crate) fn cluster(&self, options: &str) -> Arc<KafkaCluster> {
        open(&self.url(options), None)
    }

    /// One of Kafka's own programs.
    pub(crate) fn tool(&self, class: &str, arguments: &[&str]) {
        let bootstrap = format!("127.0.0.1:{}", self.plain);
        let mut command = Command::new(SCRIPT);
        command.args(["tool", class, "--bootstrap-server", &bootstrap]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Records of somebody else, one for each line: `HEADER:VALUE<tab>KEY<tab>VALUE`, where `NULL` is nothing.
    pub(crate) fn produce_by_java(&self, topic: &str, codec: &str, lines: &str) {
        let input = std::env::temp_dir().join(format!("{topic}-{codec}"));
        std::fs::write(&input, lines).unwrap();
        let mut command = Command::new(SCRIPT);
        command.args(["tool", "org.apache.kafka.tools.ConsoleProducer", "--topic", topic]);
        command.args(["--bootstrap-server", &format!("127.0.0.1:{}", self.plain)]);
        command.args(["--compression-codec", codec]);
        for property in ["parse.headers=true", "parse.key=true", "null.marker=NULL"] {
            command.args(["--reader-property", property]);
        }
        let output = command.stdin(std::fs::File::open(input).unwrap()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn broker(&self, what: &str) {
        let script = SCRIPT;
        assert!(Command::new(script).args([what, &self.folder]).status().unwrap().success());
    }

    /// Stops the broker's process, or lets it go on.
    pub(crate) fn signal(&self, signal: &str) {
        let pid = std::fs::read_to_string(format!("{}/pid", self.folder)).unwrap();
        assert!(Command::new("kill").args([signal, pid.trim()]).status().unwrap().success());
    }
}

pub(crate) fn open(url: &str, user: Option<(&str, &str)>) -> Arc<KafkaCluster> {
    open_as(url, user, "kafka-client-test", Limits::default())
}

pub(crate) fn open_as(
    url: &str,
    user: Option<(&str, &str)>,
    client_id: &str,
    limits: Limits,
) -> Arc<KafkaCluster> {
    let user = user.map(|(name, word)| Credentials::new(name.to_owned(), word.to_owned()));
    Arc::new(KafkaCluster::open(url.parse().unwrap(), user, client_id, limits).unwrap())
}

/// A name that no other test has.
pub(crate) fn topic_name(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("test-{what}-{}-{count}", std::process::id())
}

pub(crate) fn spec(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, replication: -1, retention: None }
}

/// The only partition of a new topic, led by the broker that is asked first, which is the one that tests stop.
pub(crate) async fn partition(cluster: &Arc<KafkaCluster>, what: &str) -> TopicPartition {
    loop {
        let name = topic_name(what);
        ensure_topic(cluster, &spec(&name, 1)).await.unwrap();
        if cluster.find_leader(&name, 0).await.unwrap() == cluster.url().addresses[0] {
            return TopicPartition::new(Arc::clone(cluster), name, 0);
        }
    }
}

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Records whose `ce_sequence` counts from `first`, with values that do not pack well.
pub(crate) fn records(first: u64, count: u64, bytes: usize) -> Vec<Record> {
    let record = |sequence: u64| {
        let mut seed = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let byte = |_| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            b'!' + u8::try_from(seed % 64).unwrap()
        };
        Record {
            key: format!("key-{}", sequence % 17).into_bytes(),
            value: (0..bytes).map(byte).collect(),
            headers: vec![("ce_sequence", sequence.to_string().into_bytes())],
            timestamp_ms: now_ms(),
        }
    };
    (first..first + count).map(record).collect()
}

pub(crate) fn sequences(tail: &Tail) -> Vec<u64> {
    let sequence = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap().parse().unwrap();
    tail.records.iter().map(|record| sequence(record.header("ce_sequence").unwrap())).collect()
}

/// The caller that the client is made for: whatever happens, it reads the tail and sends what is not there yet.
pub(crate) async fn produce_exactly_once(partition: &mut TopicPartition, first: u64, count: u64) {
    let mut next = first;
    let mut is_unsure = false;
    let mut said = String::new();
    let mut say = |what: String| {
        if what != said {
            eprintln!("{what}");
            said = what;
        }
    };
    while next < first + count {
        if is_unsure {
            match partition.read_tail(64).await {
                Ok(tail) => {
                    is_unsure = false;
                    next =
                        next.max(sequences(&tail).into_iter().max().map_or(next, |last| last + 1));
                    continue;
                }
                Err(error) => say(format!("tail: {error}")),
            }
        } else {
            match partition.produce(&records(next, 10.min(first + count - next), 100)).await {
                Produced::Stored { .. } => next += 10.min(first + count - next),
                other => {
                    say(format!("produce: {other:?}"));
                    is_unsure = true;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(if is_unsure { 200 } else { 5 })).await;
    }
}

pub(crate) fn is_each_once(tail: &Tail, first: u64, count: u64) {
    assert_eq!(sequences(tail), (first..first + count).collect::<Vec<_>>());
}
