//! The addresses and options of a URL, right and wrong.

use super::*;

fn problems(text: &str) -> Vec<BrokerUrlProblem> {
    text.parse::<BrokerUrl>().map_or_else(|invalid| invalid.problems, |_| Vec::new())
}

#[test]
fn a_host_is_enough() {
    let url: BrokerUrl = "kafka://kafka.example".parse().unwrap();
    assert_eq!(url.addresses, [Address { host: "kafka.example".to_owned(), port: 9092 }]);
    assert_eq!((url.tls.clone(), url.sasl, url.partitions), (Tls::Off, None, 6));
    assert_eq!((url.replication, url.retention), (-1, None));
    assert_eq!("Kafka://kafka.example".parse(), Ok(url.clone()), "schemes have no case");
    let names: Vec<_> = url.topic_names().collect();
    let expected =
        ["chipq.inspection", "chipq.part", "chipq.model-route", "chipq.picture-retention"];
    assert_eq!(names, expected);
}

#[test]
fn every_option_is_read() {
    let text = "kafka://a:1,[::1]:2,10.0.0.1:3?topic_prefix=plant-1.&tls=true&ca=/etc/ca.pem&sasl=scram-sha-256&\
        partitions=12&replication=3&retention_hours=48&topics=part,access-control";
    let url: BrokerUrl = text.parse().unwrap();
    let addresses: Vec<_> = url.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["a:1", "[::1]:2", "10.0.0.1:3"]);
    assert_eq!(url.addresses[1].host, "::1");
    assert_eq!(url.tls, Tls::Private("/etc/ca.pem".into()));
    assert_eq!(url.sasl, Some(SaslMechanism::ScramSha256));
    assert_eq!((url.partitions, url.replication), (12, 3));
    assert_eq!(url.retention, Some(Duration::from_secs(48 * 3600)));
    let names: Vec<_> = url.topic_names().collect();
    assert_eq!(names, ["plant-1.part", "plant-1.access-control"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let text = "kafka://a:0,b:x?tls=perhaps&partitions=0&replication=0&retention_hours=0&\
        topics=parts&sasl=kerberos&acks=1&partitions=2&topic_prefix=a/b";
    let invalid = text.parse::<BrokerUrl>().unwrap_err();
    assert_eq!(invalid.problems.len(), 11, "{invalid}");
    let said = invalid.to_string();
    assert!(said.contains("partitions=\"0\" must be a number from 1 to 1000"), "{said}");
    assert!(said.contains("\"acks\" is not an option"), "{said}");
}

#[test]
fn a_secret_is_refused_wherever_it_stands_and_never_repeated() {
    for text in [
        "kafka://u:hunter2@a",
        "kafka://hunter2@a:1",
        "http://u:hunter2@a",
        "kafka://u:hun?ter2&x@a:9092",
        "kafka://a?password=hunter2",
        "kafka://a?user=hunter2",
    ] {
        assert_eq!(problems(text), [BrokerUrlProblem::Secret], "{text}");
    }
    let said = BrokerUrlProblem::Secret.to_string();
    assert!(said.contains("CHIPQ_KAFKA_PASSWORD_FILE") && !said.contains("hun"), "{said}");
}

#[test]
fn what_is_no_url_of_a_broker_is_refused() {
    for text in ["", "a:1", "http://a"] {
        assert_eq!(problems(text), [BrokerUrlProblem::Scheme], "{text}");
    }
    for text in ["kafka://", "kafka://a/topic", "kafka://a#b", "kafka://?tls=true"] {
        assert_eq!(problems(text), [BrokerUrlProblem::Shape], "{text}");
    }
    for text in [
        "kafka://::1",
        "kafka://[::1",
        "kafka://[a]:1",
        "kafka://a:",
        "kafka://a:1,",
        "kafka://a b",
    ] {
        assert!(matches!(problems(text)[..], [BrokerUrlProblem::Address(_)]), "{text}");
    }
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    assert_eq!(problems("kafka://a?ca=x.pem"), [BrokerUrlProblem::CaWithoutTls]);
    assert_eq!(problems("kafka://a?sasl=plain"), [BrokerUrlProblem::PlainWithoutTls]);
    assert_eq!(problems("kafka://127.0.0.1,[::1]?sasl=plain"), []);
    assert_eq!(problems("kafka://a?sasl=plain&tls=true"), []);
    assert_eq!(problems("kafka://a?topics=part,part").len(), 1);
}

#[test]
fn the_password_comes_from_the_environment_or_a_file() {
    let read = |is_asked, variables: &[(&str, &str)]| {
        Credentials::from_lookup(is_asked, |name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    };
    let user = ("CHIPQ_KAFKA_USER", "relay");
    let password = ("CHIPQ_KAFKA_PASSWORD", "secret");
    let relay = Credentials::new("relay".to_owned(), "secret".to_owned());
    assert_eq!(read(true, &[user, password]), Ok(Some(relay.clone())));
    assert!(!format!("{relay:?}").contains("secret"));

    let path = std::env::temp_dir().join(format!("kafka-client-password-{}", std::process::id()));
    std::fs::write(&path, "secret\n").unwrap();
    let file = ("CHIPQ_KAFKA_PASSWORD_FILE", path.to_str().unwrap());
    assert_eq!(read(true, &[user, file]), Ok(Some(relay)));
    assert_eq!(read(true, &[user, password, file]), Err(InvalidCredentials::TwoPasswords));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(read(true, &[user, file]), Err(InvalidCredentials::File { .. })));

    assert_eq!(read(true, &[user]), Err(InvalidCredentials::NoPassword));
    assert_eq!(read(true, &[password]), Err(InvalidCredentials::NoUser));
    assert_eq!(read(false, &[user]), Err(InvalidCredentials::NoMechanism));
    assert_eq!(read(false, &[]), Ok(None));
}
