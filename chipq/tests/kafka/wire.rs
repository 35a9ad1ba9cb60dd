//! What consumers receive is what `schemas/asyncapi.yaml` describes, over TLS, with a user and a password.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::broker::{Broker, PASSWORD, USER, is_installed};
use crate::consumers::Consumers;
use crate::document::Document;
use crate::platform::{Platform, chipq, finished, folder};
use crate::station::Station;
use crate::until;

const ALL_TOPICS: &str = "inspection,part,model-route,projection,access-control,access-attempts";
/// Events that a lot of boards leaves behind at least.
const EXPECTED: [&str; 7] = [
    "chipq.access-attempts.TokenGranted",
    "chipq.inspection.ArtifactUploaded",
    "chipq.inspection.InferenceCompleted",
    "chipq.inspection.InspectionCreated",
    "chipq.inspection.InspectionJudged",
    "chipq.part.GoldenSampleRegistered",
    "chipq.part.PartRegistered",
];

#[tokio::test]
async fn consumers_of_others_receive_every_event_as_the_document_describes_it() {
    let Some(consumers) = Consumers::find().filter(|_| is_installed()) else { return };
    let folder = folder();
    let broker = Broker::start(&folder.path().join("kafka"));
    let data = folder.path().join("data");
    let demo = chipq(&["demo", "--once", "--count", "4", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data)
        .output()
        .unwrap();
    assert!(demo.status.success(), "{demo:?}");

    let (address, authority) = (broker.tls_address(), broker.certificate());
    let url = format!(
        "kafka://{address}?tls=true&ca={}&sasl=scram-sha-512&partitions=2&topics={ALL_TOPICS}",
        authority.display()
    );
    let password_file = folder.path().join("password");
    std::fs::write(&password_file, format!("{PASSWORD}\n")).unwrap();
    let environment = [
        ("CHIPQ_KAFKA", &*url),
        ("CHIPQ_KAFKA_USER", USER),
        ("CHIPQ_KAFKA_PASSWORD_FILE", password_file.to_str().unwrap()),
        ("CHIPQ_EVENT_SOURCE", "https://chipq.example/plant-7"),
    ];
    let platform = Platform::start_with(&data, 0, &environment);
    until_sent(&platform).await;

    let authority = authority.to_str().unwrap().to_owned();
    let properties = [
        ("bootstrap.servers", &*address),
        ("group.id", "wire"),
        ("security.protocol", "SASL_SSL"),
        ("ssl.ca.location", &*authority),
        ("sasl.mechanism", "SCRAM-SHA-512"),
        ("sasl.username", USER),
        ("sasl.password", PASSWORD),
    ];
    let records = consumers.read_records(&properties, "chipq\\..*", 5);
    let found = assert_described(&records);
    for expected in EXPECTED {
        assert!(found.contains_key(expected), "no {expected} among {found:?}");
    }

    // Java's SDK takes every one of them for a CloudEvent, on the plain port.
    let plain = broker.plain_address();
    let properties = [("bootstrap.servers", &*plain), ("group.id", "java")];
    let events = consumers.read_events((folder.path(), &properties), "chipq\\..*", 5);
    assert_eq!(ids(&events, |event| &event["id"]), ids(&records, |r| &r["headers"]["ce_id"]));
    assert!(events.iter().all(|event| event["source"] == "https://chipq.example/plant-7"));

    let listed = chipq(&["topics", "list", "--json", "--data"]).arg(&data).output().unwrap();
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let listed = listed.as_array().unwrap().iter();
    let sent: i64 = listed.map(|partition| partition["records"].as_i64().unwrap()).sum();
    assert_eq!(usize::try_from(sent).unwrap(), records.len(), "as `chipq topics list` says");
    platform.stop();
    let (status, _, said) =
        finished(chipq(&["topics", "resend", "chipq.nothing", "--data"]).arg(&data));
    assert_eq!(status, 64, "{said}");
    assert!(said.contains("chipq.inspection"), "it names those that there are: {said}");
}

/// Waits until the relay has come to the end of the log, as its own figures say.
async fn until_sent(platform: &Platform) {
    let station = Station::sign_in(&platform.url).await;
    until("everything is sent", async || {
        let metrics = reqwest::get(format!("{}/metrics", station.url)).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let of = |name: &str| {
            let line = metrics
                .lines()
                .find(|line| line.starts_with(name) && line.contains(r#"follower="relay""#))?;
            line.rsplit(' ').next()?.parse::<f64>().ok()
        };
        of("chipq_follower_lag") == Some(0.0) && of("chipq_follower_position") > Some(0.0)
    })
    .await;
}

/// Each record has a message of the document whose headers and payload it fits; how many there are of each type.
fn assert_described(records: &[Value]) -> BTreeMap<String, usize> {
    let (document, mut found) = (Document::read(), BTreeMap::new());
    let mut validators = BTreeMap::new();
    for record in records {
        let headers = &record["headers"];
        let schema = headers["ce_dataschema"].as_str().unwrap();
        let named = schema.strip_prefix("urn:chipq:schema:event:").unwrap();
        let (event, version) = named.split_once(':').unwrap();
        let message = format!("{event}.v{version}");
        let (of_headers, of_payload) =
            validators.entry(message.clone()).or_insert_with(|| document.validators(&message));
        let payload: Value = serde_json::from_str(record["value"].as_str().unwrap()).unwrap();
        for (validator, value) in [(of_headers, headers), (of_payload, &payload)] {
            let wrong: Vec<_> = validator.iter_errors(value).map(|e| e.to_string()).collect();
            assert!(wrong.is_empty(), "{message}: {wrong:?}: {value}");
        }
        assert_eq!(record["key"], headers["ce_subject"], "{message}");
        let channel = record["topic"].as_str().unwrap().trim_start_matches("chipq.");
        let known = &document.0["channels"][channel]["messages"];
        assert!(known.get(&message).is_some(), "{message} in {channel}");
        let name = headers["ce_type"].as_str().unwrap().to_owned();
        *found.entry(name).or_default() += 1;
    }
    found
}

fn ids(all: &[Value], id: impl Fn(&Value) -> &Value) -> std::collections::BTreeSet<String> {
    all.iter().map(|one| id(one).as_str().unwrap().to_owned()).collect()
}
