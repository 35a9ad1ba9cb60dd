//! Two installations that were given one prefix: neither goes on in silence, and both say what to do.

use std::time::Duration;

use ::platform::event_log::{EventLog as _, StreamId};
use uuid::Uuid;

use crate::broker::{Broker, is_installed};
use crate::consumers::Consumers;
use crate::faults::read;
use crate::platform::{chipq, finished, folder};
use crate::relay_process::{Log, Relay, inspection};

const SOURCES: [&str; 2] = ["urn:line-1", "urn:line-2"];

/// Appends to both logs, so that both relays have something to send, until both say all of `parts`.
async fn until_both_say(both: [(&Log, &Relay); 2], parts: [&[&str]; 2]) {
    // One that begins behind what the other has sent is refused at once, and the other one sends on.
    for (_, relay) in both {
        relay.until_ready().await;
    }
    let (mut version, mut last) = ([0, 0], Vec::new());
    for turn in 0.. {
        assert!(turn < 600, "they do not say it, but {last:?}");
        last.clear();
        let mut said = 0;
        for (((log, relay), parts), version) in both.iter().zip(parts).zip(&mut version) {
            log.append(&inspection("a"), *version, 3, "small").await;
            *version += 3;
            let troubles = relay.troubles().await.unwrap_or_default();
            let mut details = troubles.iter().map(|(_, detail)| detail);
            said +=
                usize::from(details.any(|detail| parts.iter().all(|part| detail.contains(part))));
            last.push(troubles);
        }
        if said == both.len() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

#[tokio::test]
async fn two_installations_that_begin_with_one_prefix_both_stop_and_say_so() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let broker = Broker::start(&folder.path().join("kafka"));
    let address = broker.plain_address();
    let kafka = |prefix: &str| {
        format!("kafka://{address}?partitions=1&topics=inspection&topic_prefix={prefix}")
    };
    let start = |log: &Log, prefix: &str, source: &str| {
        let environment = [("CHIPQ_EVENT_SOURCE", source)];
        Relay::start_with(&log.database, &kafka(prefix), folder.path(), &environment)
    };

    // Each with a source of its own.
    let logs = [Log::new().await, Log::new().await];
    let relays = [start(&logs[0], "ours.", SOURCES[0]), start(&logs[1], "ours.", SOURCES[1])];
    let both = [(&logs[0], &relays[0]), (&logs[1], &relays[1])];
    let says =
        SOURCES.map(|other| ["ours.inspection/0", "another installation", other, "topic_prefix"]);
    until_both_say(both, [&says[1], &says[0]]).await;

    // With a prefix of its own, the second one sends everything, and the first one again when its topic was made anew.
    let [first, second] = relays;
    second.kill();
    let second = start(&logs[1], "line-2.", SOURCES[1]);
    logs[1].until_sent().await;
    second.until_ready().await;
    let sent = read(&consumers, &broker, "line-2.inspection");
    assert!(sent["a"].is_sorted() && sent["a"].len() >= 3, "{sent:?}");
    broker.delete_topic("ours.inspection");
    let resend = ["topics", "resend", "ours.inspection"];
    let asked = finished(chipq(&resend).env("CHIPQ_DATABASE_URL", logs[0].database.url()));
    assert_eq!(asked.0, 0, "{asked:?}");
    logs[0].until_sent().await;
    first.until_ready().await;
    let end = logs[0].log.end().await.unwrap().position.0.unsigned_abs();
    let sent = read(&consumers, &broker, "ours.inspection");
    assert_eq!(sent["a"], (1..=end).collect::<Vec<_>>());

    // With one source, by the histories of their logs.
    let logs = [Log::new().await, Log::new().await];
    let relays = [start(&logs[0], "one.", "urn:chipq"), start(&logs[1], "one.", "urn:chipq")];
    let both = [(&logs[0], &relays[0]), (&logs[1], &relays[1])];
    let says = ["one.inspection", "not in this log", "topic_prefix"];
    until_both_say(both, [&says, &says]).await;
}

#[tokio::test]
async fn all_topics_that_hold_more_than_the_log_are_named_at_once() {
    if !is_installed() {
        return;
    }
    let folder = folder();
    let broker = Broker::start(&folder.path().join("kafka"));
    let topics = "topics=inspection,part,projection";
    let kafka = format!("kafka://{}?partitions=2&{topics}", broker.plain_address());
    let log = Log::new().await;
    for aggregate_type in ["inspection", "projection"] {
        let stream = StreamId {
            aggregate_type: aggregate_type.into(),
            aggregate_id: Uuid::new_v4().to_string(),
        };
        log.append(&stream, 0, 3, "small").await;
    }
    let relay = Relay::start(&log.database, &kafka, folder.path());
    log.until_sent().await;
    relay.kill();

    // A log in which nothing of that ever happened.
    let earlier = Log::new().await;
    earlier.append(&inspection("a"), 0, 1, "small").await;
    let relay = Relay::start(&earlier.database, &kafka, folder.path());
    let named =
        "the topics chipq.inspection, chipq.projection hold events that are not in this log";
    relay.until_it_says(&[named, "`chipq topics resend chipq.projection`"]).await;
    let troubles = relay.troubles().await.unwrap();
    assert!(!format!("{troubles:?}").contains("chipq.part"), "it holds nothing: {troubles:?}");
    assert_eq!(earlier.checkpoint().await, Some(0), "it has begun nothing");
}
