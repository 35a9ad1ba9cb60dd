//! What a broker does not want: users, ports, records.

use std::sync::Arc;
use std::time::{Duration, Instant};

use kafka_client::{
    AnswerCode, ClusterError, ConnectionError, Produced, TopicPartition, ensure_topic,
};

use crate::support::{Site, open, partition, records, sequences, spec, topic_name};

fn fault(error: &ClusterError) -> &ConnectionError {
    match error {
        ClusterError::Nobody(errors) => errors.first().unwrap(),
        ClusterError::Connection(error) | ClusterError::Leader { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn users_are_told_apart() {
    let Some(site) = Site::find() else { return };
    let ca = format!("tls=true&ca={}/tls/ca.pem", site.folder);
    for mechanism in ["scram-sha-256", "scram-sha-512"] {
        let url = format!("kafka://localhost:{}?{ca}&sasl={mechanism}", site.sasl_tls);
        let began = Instant::now();
        let good = open(&url, Some(("relay", "secret")));
        let found = good.topic("missing").await;
        // Whoever has no right to a topic is not told whether it is there.
        let expected = ClusterError::Topic { topic: "missing".to_owned(), code: AnswerCode(29) };
        assert_eq!(found, Err(expected));
        eprintln!("FOUND {mechanism} over TLS in {:?}", began.elapsed());

        let wrong = open(&url, Some(("relay", "wrong")));
        let error = wrong.topic("missing").await.unwrap_err();
        assert!(matches!(fault(&error), ConnectionError::SaslRefused { .. }), "{error}");
        eprintln!("FOUND {error}");
        let began = Instant::now();
        assert_eq!(wrong.topic("missing").await.unwrap_err(), error);
        assert!(began.elapsed().as_millis() < 50, "it was shown again");
    }
    let url = format!("kafka://localhost:{}?{ca}&sasl=plain", site.sasl_tls);
    let error = open(&url, Some(("relay", "secret"))).topic("missing").await.unwrap_err();
    let ConnectionError::MechanismNotOffered { offered, .. } = fault(&error) else {
        panic!("{error}")
    };
    assert!(offered.contains("SCRAM-SHA-512"), "{error}");
    eprintln!("FOUND {error}");
}

#[tokio::test]
async fn ports_of_another_kind_are_told_apart() {
    let Some(site) = Site::find() else { return };
    let ca = format!("tls=true&ca={}/tls/ca.pem", site.folder);
    let user = Some(("relay", "secret"));
    let cases = [
        (format!("kafka://127.0.0.1:{}?{ca}", site.plain), None, "does not speak TLS"),
        (format!("kafka://127.0.0.1:{}", site.sasl_tls), None, "before it answers"),
        (format!("kafka://127.0.0.1:{}", site.sasl), None, "before it answers"),
        (format!("kafka://127.0.0.1:{}?sasl=scram-sha-512", site.plain), user, "asks for no user"),
        (format!("kafka://127.0.0.1:{}?tls=true", site.sasl_tls), None, "is not believed"),
        ("kafka://127.0.0.1:1".to_owned(), None, "cannot be reached"),
        ("kafka://no-such-host.invalid:1".to_owned(), None, "cannot be reached"),
    ];
    for (url, user, expected) in cases {
        let began = Instant::now();
        let said = open(&url, user).topic("missing").await.unwrap_err().to_string();
        eprintln!("FOUND after {:?}: {said}", began.elapsed());
        assert!(said.contains(expected), "{url}: {said}");
    }
}

/// Brokers learn of a topic and of rights one after the other, in a moment.
async fn produce_until(partition: &mut TopicPartition, is_it: impl Fn(&Produced) -> bool) {
    let began = Instant::now();
    loop {
        let produced = partition.produce(&records(1, 1, 10)).await;
        if is_it(&produced) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{produced:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn what_is_forbidden_is_said_with_the_command_for_it() {
    let Some(site) = Site::find() else { return };
    let admin = site.cluster("");
    let name = topic_name("forbidden");
    let url = format!("kafka://127.0.0.1:{}?sasl=scram-sha-512", site.sasl);
    let cluster = open(&url, Some(("relay", "secret")));
    let said = ensure_topic(&cluster, &spec(&name, 1)).await.unwrap_err().to_string();
    assert!(said.contains("code 29") && said.contains("--create"), "{said}");
    eprintln!("FOUND {said}");

    ensure_topic(&admin, &spec(&name, 1)).await.unwrap();
    let allow = ["--add", "--allow-principal", "User:relay", "--topic", &name, "--operation"];
    site.tool("org.apache.kafka.tools.AclCommand", &[&allow[..], &["DESCRIBE"]].concat());
    let mut partition = TopicPartition::new(Arc::clone(&cluster), name.clone(), 0);
    let forbidden = Produced::Forbidden { code: AnswerCode(29) };
    produce_until(&mut partition, |produced| *produced == forbidden).await;
    site.tool("org.apache.kafka.tools.AclCommand", &[&allow[..], &["WRITE"]].concat());
    produce_until(&mut partition, |produced| matches!(produced, Produced::Stored { .. })).await;
    let said = partition.read_tail(1).await.unwrap_err().to_string();
    assert!(said.contains("READ"), "{said}");
    eprintln!("FOUND {said}");
}

#[tokio::test]
async fn records_that_are_not_taken_are_found_by_halving() {
    let Some(site) = Site::find() else { return };
    let cluster = site.cluster("");
    let mut partition = partition(&cluster, "refused").await;
    let limit = ["--alter", "--entity-type", "topics", "--entity-name", partition.topic()];
    let limit = [&limit[..], &["--add-config", "max.message.bytes=500"]].concat();
    site.tool("kafka.admin.ConfigCommand", &limit);
    let mut batch = records(1, 2, 10);
    batch.extend(records(3, 1, 2000));
    assert_eq!(partition.produce(&batch).await, Produced::Refused { code: AnswerCode(10) });
    assert!(matches!(
        partition.produce(&batch[..2]).await,
        Produced::Stored { base_offset: 0, .. }
    ));
    assert_eq!(partition.produce(&batch[2..]).await, Produced::Refused { code: AnswerCode(10) });
    let mut late = records(3, 1, 10);
    late[0].timestamp_ms += 7_200_000;
    assert_eq!(partition.produce(&late).await, Produced::Refused { code: AnswerCode(32) });
    assert_eq!(sequences(&partition.read_tail(9).await.unwrap()), [1, 2]);
}
