//! What goes wrong with Kafka is said, nothing of a key comes before what it waits for, and nothing is lost.

use std::collections::BTreeMap;
use std::path::Path;

use ::platform::event_log::StreamId;
use serde_json::Value;
use uuid::Uuid;

use crate::broker::{Broker, PASSWORD, USER, is_installed};
use crate::consumers::Consumers;
use crate::platform::{chipq, finished, folder};
use crate::relay_process::{Log, Relay, inspection};
use crate::until;

const TOPIC: &str = "chipq.inspection";

/// The positions that each key has in the topic, in the order of the partitions.
pub(crate) fn read(
    consumers: &Consumers,
    broker: &Broker,
    topic: &str,
) -> BTreeMap<String, Vec<u64>> {
    let (address, group) = (broker.plain_address(), Uuid::new_v4().to_string());
    let properties = [("bootstrap.servers", &*address), ("group.id", &*group)];
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in consumers.read_records(&properties, &topic.replace('.', "\\."), 3) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let sequence = text(&record["headers"]["ce_sequence"]).parse().unwrap();
        found.entry(text(&record["key"])).or_default().push(sequence);
    }
    found
}

/// Keys of the two partitions of a topic, by murmur2.
const KEYS: [&str; 2] = ["a", "d"];

#[tokio::test]
async fn a_record_that_is_refused_stops_its_partition_and_no_other_until_it_is_taken() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let broker = Broker::start(&folder.path().join("kafka"));
    broker.create_topic(TOPIC, 2, &["--config", "max.message.bytes=3000"]);
    let kafka = format!("kafka://{}?partitions=2&topics=inspection", broker.plain_address());
    let log = Log::new().await;
    let [stopped, other] = KEYS.map(inspection);
    // It does not pack well.
    let large: String = (0..200).map(|_| Uuid::new_v4().simple().to_string()).collect();
    log.append(&stopped, 0, 3, "small").await;
    log.append(&stopped, 3, 1, &large).await;
    log.append(&stopped, 4, 2, "small").await;
    log.append(&other, 0, 5, "small").await;

    let relay = Relay::start(&log.database, &kafka, folder.path());
    relay
        .until_it_says(&["at position 4 ", "max.message.bytes", "key a", "InspectionVoided"])
        .await;
    until("the other partition goes on", async || {
        let found = read(&consumers, &broker, TOPIC);
        found.get("d") == Some(&vec![7, 8, 9, 10, 11])
    })
    .await;
    assert_eq!(read(&consumers, &broker, TOPIC)["a"], [1, 2, 3], "nothing behind it");
    assert_eq!(log.checkpoint().await, Some(3));
    let troubles = relay.troubles().await.unwrap();
    assert_eq!(troubles.len(), 1, "one partition: {troubles:?}");

    broker.change_setting("topics", TOPIC, "max.message.bytes=100000");
    log.until_sent().await;
    relay.until_ready().await;
    let found = read(&consumers, &broker, TOPIC);
    assert_eq!((&*found["a"], &*found["d"]), (&[1, 2, 3, 4, 5, 6][..], &[7, 8, 9, 10, 11][..]));
}

#[tokio::test]
async fn who_may_not_enter_or_write_is_told_so_and_goes_on_when_he_may() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let broker = Broker::start_with(&folder.path().join("kafka"), &["--authorize"]);
    let log = Log::new().await;
    log.append(&inspection("a"), 0, 3, "small").await;
    let options = "partitions=2&topics=inspection";

    let nobody =
        Relay::start(&log.database, "kafka://127.0.0.1:9?topics=inspection", folder.path());
    nobody.until_it_says(&["127.0.0.1:9", "cannot be reached"]).await;
    nobody.kill();

    let plain = broker.plain_address();
    let secure = broker.tls_address();
    let url = format!(
        "kafka://{secure}?tls=true&ca={}&sasl=scram-sha-512&{options}",
        broker.certificate().display()
    );
    let wrong = [("CHIPQ_KAFKA_USER", USER), ("CHIPQ_KAFKA_PASSWORD", "wrong")];
    let refused = Relay::start_with(&log.database, &url, folder.path(), &wrong);
    refused.until_it_says(&["refuses user and password", "CHIPQ_KAFKA_PASSWORD"]).await;
    refused.kill();

    let without_tls = format!("kafka://{plain}?tls=true&{options}");
    let mistaken = Relay::start(&log.database, &without_tls, folder.path());
    mistaken.until_it_says(&["does not speak TLS"]).await;
    mistaken.kill();

    let right = [("CHIPQ_KAFKA_USER", USER), ("CHIPQ_KAFKA_PASSWORD", PASSWORD)];
    let relay = Relay::start_with(&log.database, &url, folder.path(), &right);
    relay.until_it_says(&[TOPIC, "is missing", "kafka-topics --bootstrap-server"]).await;
    broker.create_topic(TOPIC, 2, &[]);
    broker.allow(USER, &["--operation", "Describe", "--topic", TOPIC]);
    relay.until_it_says(&["give WRITE"]).await;
    broker.allow(USER, &["--operation", "Write", "--topic", TOPIC]);
    log.until_sent().await;
    relay.until_ready().await;

    // Nothing had to be read from a topic that was empty.
    relay.kill();
    let relay = Relay::start_with(&log.database, &url, folder.path(), &right);
    relay.until_it_says(&["give the user READ and DESCRIBE"]).await;
    broker.allow(USER, &["--operation", "Read", "--topic", TOPIC]);
    relay.until_ready().await;
    assert_eq!(read(&consumers, &broker, TOPIC)["a"], [1, 2, 3]);
}

#[tokio::test]
async fn a_topic_that_was_deleted_is_filled_again_when_somebody_decides_so() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let broker = Broker::start(&folder.path().join("kafka"));
    let kafka = format!("kafka://{}?partitions=2&topics=inspection,part", broker.plain_address());
    let log = Log::new().await;
    log.append(&inspection("a"), 0, 3, "small").await;
    let relay = Relay::start(&log.database, &kafka, folder.path());
    log.until_sent().await;

    // Under the relay, and made again by somebody: that was the decision.
    broker.delete_topic(TOPIC);
    log.append(&inspection("a"), 3, 1, "small").await;
    relay.until_it_says(&[TOPIC, "UnknownTopicOrPartition"]).await;
    broker.create_topic(TOPIC, 2, &[]);
    log.until_sent().await;
    relay.until_ready().await;
    assert_eq!(read(&consumers, &broker, TOPIC)["a"], [1, 2, 3, 4]);

    // While nobody relays; it is not made again by itself.
    relay.kill();
    broker.delete_topic(TOPIC);
    let relay = Relay::start(&log.database, &kafka, folder.path());
    relay.until_it_says(&["was deleted", "chipq topics resend chipq.inspection"]).await;
    let (status, _, said) =
        finished(chipq(&["topics", "resend", TOPIC]).env("CHIPQ_DATABASE_URL", log.database.url()));
    assert_eq!(status, 0, "{said}");
    relay.until_ready().await;
    log.until_sent().await;
    assert_eq!(read(&consumers, &broker, TOPIC)["a"], [1, 2, 3, 4]);

    // One that is new to the relay has everything from the log's beginning, and the others nothing twice.
    relay.kill();
    let more = format!("{kafka},projection");
    let repaired = StreamId { aggregate_type: "projection".into(), aggregate_id: "p".into() };
    log.append(&repaired, 0, 2, "small").await;
    let relay = Relay::start(&log.database, &kafka, folder.path());
    log.until_sent().await;
    relay.kill();
    let relay = Relay::start(&log.database, &more, folder.path());
    relay.until_ready().await;
    log.until_sent().await;
    assert_eq!(read(&consumers, &broker, "chipq.projection")["p"], [5, 6]);
    assert_eq!(read(&consumers, &broker, TOPIC)["a"], [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_expired_is_not_sent_again_and_a_changed_number_of_partitions_is_refused() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let broker = Broker::start(&folder.path().join("kafka"));
    let kafka = format!("kafka://{}?partitions=2&topics=inspection", broker.plain_address());
    let log = Log::new().await;
    log.append(&inspection("a"), 0, 3, "small").await;
    let relay = Relay::start(&log.database, &kafka, folder.path());
    log.until_sent().await;
    relay.kill();
    delete_records(&broker, folder.path());

    // Everything is looked through again, and nothing of it is sent.
    let back = "UPDATE follower_leases SET position = 0 WHERE follower = 'relay'";
    sqlx::query(back).execute(&log.database.pool()).await.unwrap();
    let relay = Relay::start(&log.database, &kafka, folder.path());
    log.append(&inspection("a"), 3, 1, "small").await;
    log.until_sent().await;
    assert_eq!(read(&consumers, &broker, TOPIC)["a"], [4]);

    relay.kill();
    broker.run_topics(&["--alter", "--topic", TOPIC, "--partitions", "3"]);
    let relay = Relay::start(&log.database, &kafka, folder.path());
    relay.until_it_says(&["had 2 partitions and has 3 now", "topic_prefix"]).await;
    assert_eq!(log.checkpoint().await, Some(4), "it has begun nothing");
}

#[tokio::test]
async fn what_a_topic_lacks_is_sent_when_it_comes_back_is_made_anew_or_is_asked_for() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let broker = Broker::start(&folder.path().join("kafka"));
    let one = format!("kafka://{}?partitions=2&topics=inspection", broker.plain_address());
    let both = format!("{one},projection");
    let log = Log::new().await;
    let repaired = StreamId { aggregate_type: "projection".into(), aggregate_id: "p".into() };
    log.append(&inspection("a"), 0, 3, "small").await;
    log.append(&repaired, 0, 2, "small").await;
    let relay = Relay::start(&log.database, &both, folder.path());
    log.until_sent().await;
    relay.kill();

    // Left out for a while, in which the checkpoint moves on without it.
    let relay = Relay::start(&log.database, &one, folder.path());
    log.append(&repaired, 2, 2, "small").await;
    log.append(&inspection("a"), 3, 1, "small").await;
    log.until_sent().await;
    relay.kill();
    let relay = Relay::start(&log.database, &both, folder.path());
    until("the topic that was left out has everything", async || {
        read(&consumers, &broker, "chipq.projection").get("p") == Some(&vec![4, 5, 6, 7])
    })
    .await;

    // Made anew while nothing is sent: what comes next is not taken for its first record.
    broker.delete_topic(TOPIC);
    broker.create_topic(TOPIC, 2, &[]);
    log.append(&inspection("a"), 4, 1, "small").await;
    let all = || read(&consumers, &broker, TOPIC).remove("a").unwrap_or_default();
    until("the new topic has everything in order", async || all() == [1, 2, 3, 8, 9]).await;

    // Emptied, and asked for, with nothing more to send.
    delete_records(&broker, folder.path());
    assert_eq!(all(), Vec::<u64>::new());
    let resend = ["topics", "resend", TOPIC];
    let asked = finished(chipq(&resend).env("CHIPQ_DATABASE_URL", log.database.url()));
    assert_eq!(asked.0, 0, "{asked:?}");
    until("everything was sent again", async || all() == [1, 2, 3, 8, 9]).await;
    relay.until_ready().await;
}

/// Empties both partitions of the topic.
fn delete_records(broker: &Broker, folder: &Path) {
    let all: Vec<_> = (0..2)
        .map(|partition| serde_json::json!({"topic": TOPIC, "partition": partition, "offset": -1}))
        .collect();
    let file = folder.join("delete.json");
    std::fs::write(&file, serde_json::json!({"version": 1, "partitions": all}).to_string())
        .unwrap();
    let delete = ["--offset-json-file", file.to_str().unwrap()];
    broker.run_tool("org.apache.kafka.tools.DeleteRecordsCommand", &delete);
}
