//! Where the relay sends to, and as whom.

use std::convert::Infallible;

use kafka_client::{BrokerUrl, Credentials, InvalidBrokerUrl, KafkaCluster, Limits};
use platform::config::ConfigErrors;

use crate::cloud_event::SOURCE_DEFAULT;

/// By this name brokers know the relay, for quotas and in their logs.
const CLIENT_ID: &str = "chipq-relay";

/// How events are sent to Kafka.
#[derive(Debug, Clone, clap::Args)]
pub struct RelayConfig {
    /// The Kafka that events are sent to, such as kafka://HOST:PORT?tls=true&sasl=scram-sha-512; docs/consumers.md has
    /// every option. User and password are CHIPQ_KAFKA_USER and CHIPQ_KAFKA_PASSWORD, or CHIPQ_KAFKA_PASSWORD_FILE,
    /// of the environment.
    #[arg(long, env = "CHIPQ_KAFKA", value_name = "URL", hide_env_values = true)]
    #[arg(value_parser = read_url)]
    pub kafka: Option<GivenUrl>,
    /// The source of the events, as CloudEvents' attribute of this name: a URI, the same for ever, and another one
    /// for each installation.
    #[arg(long, env = "CHIPQ_EVENT_SOURCE", value_name = "URI", default_value = SOURCE_DEFAULT)]
    #[arg(value_parser = check_source)]
    pub event_source: String,
}

/// A URL as it was given. What is wrong with it is said without repeating it, for it may have a password in it.
type GivenUrl = Result<BrokerUrl, InvalidBrokerUrl>;

fn read_url(text: &str) -> Result<GivenUrl, Infallible> {
    Ok(text.parse())
}

/// What stands in the variable of the environment, if anything does.
fn read_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A URI reference, as far as one needs to tell: something that can be seen, without spaces.
fn check_source(text: &str) -> Result<String, &'static str> {
    let is_source =
        !text.is_empty() && text.len() <= 500 && text.chars().all(|c| c.is_ascii_graphic());
    if is_source {
        Ok(text.to_owned())
    } else {
        Err("must be a URI, such as https://chipq.example")
    }
}

impl RelayConfig {
    /// Notes everything that is wrong, without connecting anywhere.
    pub fn check(&self, errors: &mut ConfigErrors) {
        let _ = self.open_cluster(errors);
    }

    /// The cluster, if one is configured and nothing is wrong with that; nobody is asked yet.
    pub fn open_cluster(&self, errors: &mut ConfigErrors) -> Option<KafkaCluster> {
        let url = errors.check("CHIPQ_KAFKA", self.kafka.clone()?)?;
        let credentials = Credentials::from_lookup(url.sasl.is_some(), read_variable);
        let credentials = errors.check("CHIPQ_KAFKA_USER", credentials)?;
        let cluster = KafkaCluster::open(url, credentials, CLIENT_ID, Limits::default());
        errors.check("CHIPQ_KAFKA", cluster)
    }
}
