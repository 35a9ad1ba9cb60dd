//! The relay to Kafka against a bare read of the log and, where Kafka's own programs are at hand, against its producer;
//! and how soon a consumer has what is appended at a steady rate.

mod latency;
mod topics;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use platform::config::ConfigErrors;
use platform::event_log::{EventLog, Position};
use platform::foundation::Foundation;
use tokio::process::Command;
use topics::OwnTopics;

use super::figures::{Figure, Figures};
use super::log_load::{fill_log, installation_in};
use super::print;
use super::wrk::read_output;
use crate::cli::BenchRelayArgs;
use crate::installation::Installation;
use crate::machine::Machine;
use crate::statistics::Spread;
use crate::temporary::TemporaryFolder;

/// How much of the rate of a bare read is asked of the relay, and of the producer's.
const READ_GOAL: f64 = 0.5;
const PRODUCER_GOAL: f64 = 1.0;
/// Events that are read, or sent at once, at a time.
const PAGE_EVENTS: usize = 1_000;
/// Synthetic inspections under way at a time while the log is filled.
const WRITERS: usize = 4;
/// Key and headers of an event of an inspection, about, in bytes.
const ENVELOPE_BYTES: usize = 400;
/// How long the relay may take for all events, and how often one looks how many Kafka has.
const SENT_WITHIN: Duration = Duration::from_secs(600);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Measures in a temporary folder; the topics stay in Kafka.
pub(super) async fn run(args: BenchRelayArgs) -> anyhow::Result<ExitCode> {
    let folder = TemporaryFolder::new("bench-relay")?;
    let mut figures = Figures::new(Machine::this());
    let installation = Installation::open(&installation_in(folder.path())).await?;
    let outcome = measure(&args, &installation, &mut figures).await;
    installation.close().await?;
    outcome?;
    print(args.json, &figures)?;
    Ok(ExitCode::SUCCESS)
}

/// Events a second, of each round.
#[derive(Default)]
struct Rates {
    read: Vec<f64>,
    relayed: Vec<f64>,
    produced: Vec<f64>,
}

async fn measure(
    args: &BenchRelayArgs,
    installation: &Installation,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let foundation = installation.open_foundation().await?;
    let log = foundation.log();
    errln!("filling the log with {} events ...", args.events);
    fill_log(&log, args.events, WRITERS).await?;
    let (mut rates, mut events, mut record_bytes) = (Rates::default(), 0, 0);
    for round in 1..=args.rounds {
        errln!("round {round} of {} ...", args.rounds);
        let begun = Instant::now();
        (events, record_bytes) = read_all(&log).await?;
        rates.read.push(rate(events, begun));
        rates.relayed.push(relay_all(args, &foundation, (events, round)).await?);
        if let Some(script) = &args.kafka_script {
            rates.produced.push(produce(args, script, (events, record_bytes)).await?);
        }
    }
    add_figures(&rates, (events, record_bytes), figures);
    errln!("appending {} events a second ...", latency::APPENDED_PER_SECOND);
    latency::measure(args, &foundation, figures).await?;
    foundation.pool().close().await;
    Ok(())
}

fn rate(events: usize, begun: Instant) -> f64 {
    events as f64 / begun.elapsed().as_secs_f64()
}

/// How many events there are, and how large a record of them is, with its key and its headers.
async fn read_all(log: &Arc<dyn EventLog>) -> anyhow::Result<(usize, usize)> {
    let (mut after, mut events, mut sampled) = (Position(0), 0, Vec::new());
    loop {
        let page = log.read_all(after, PAGE_EVENTS).await?;
        if page.events.is_empty() {
            let bytes: usize = sampled.iter().sum();
            return Ok((events, ENVELOPE_BYTES + bytes / sampled.len().max(1)));
        }
        sampled.extend(page.events.first().map(|event| event.payload.text().len()));
        events += page.events.len();
        after = page.up_to;
    }
}

/// Sends the whole log to topics of this round's own, and says how many events a second that were. The topics are there
/// before, as the producer's is.
async fn relay_all(
    args: &BenchRelayArgs,
    foundation: &Foundation,
    (events, round): (usize, u32),
) -> anyhow::Result<f64> {
    let mut topics = OwnTopics::make(&args.relay, &format!("bench-{round}"), None).await?;
    let begun = Instant::now();
    let relaying = topics.relay(foundation)?;
    let mut sent = 0;
    while sent < events {
        ensure!(begun.elapsed() < SENT_WITHIN, "the relay came to {sent} of {events} only");
        tokio::time::sleep(LOOK_INTERVAL).await;
        sent = topics.count_records().await?;
    }
    let rate = rate(events, begun);
    relaying.stop().await?;
    Ok(rate)
}

/// Kafka's own producer, with as many records of that size, packed by the same algorithm.
async fn produce(
    args: &BenchRelayArgs,
    script: &Path,
    (records, record_bytes): (usize, usize),
) -> anyhow::Result<f64> {
    let url = args.relay.kafka.as_ref().and_then(|url| url.as_ref().ok());
    let url = url.context("--kafka is not set")?;
    let address = url.addresses.first().context("--kafka names no address")?.to_string();
    let topic = format!("bench-{}.producer", uuid::Uuid::now_v7().simple());
    let create = [
        "tool",
        "org.apache.kafka.tools.TopicCommand",
        "--bootstrap-server",
        &*address,
        "--create",
        "--topic",
        &topic,
        "--partitions",
        "6",
    ];
    read_output(script, Command::new(script).args(create)).await?;
    let (records, bytes) = (records.to_string(), record_bytes.to_string());
    let server = format!("bootstrap.servers={address}");
    let producing = [
        "tool",
        "org.apache.kafka.tools.ProducerPerformance",
        "--topic",
        &topic,
        "--num-records",
        &records,
        "--record-size",
        &bytes,
        "--throughput",
        "-1",
        "--producer-props",
        &server,
        "acks=all",
        "compression.type=zstd",
    ];
    let said = read_output(script, Command::new(script).args(producing)).await?;
    parse_rate(&said).with_context(|| format!("the producer measured nothing: {said}"))
}

/// The number before `records/sec` in the last line.
fn parse_rate(said: &str) -> Option<f64> {
    let (before, _) = said.trim().lines().last()?.split_once(" records/sec")?;
    before.rsplit(' ').next()?.parse().ok()
}

fn add_figures(rates: &Rates, (events, record_bytes): (usize, usize), figures: &mut Figures) {
    let ratio_to = |others: &[f64]| {
        Spread::from_values(rates.relayed.iter().zip(others).map(|(ours, other)| ours / other))
    };
    let show = |rates: &[f64]| Spread::from_values(rates.iter().copied()).show(0);
    let (ratio, rounds) = (ratio_to(&rates.read), rates.read.len());
    let name = "relay, rate against a bare read of the log";
    figures.add(Figure::at_least(name, ratio.median, "times", READ_GOAL).measured_by(format!(
        "{} times: {} events a second to Kafka against {} read by pages of {PAGE_EVENTS}, {events} events of \
         {record_bytes} bytes with key and headers, {rounds} rounds in turns; until Kafka's partitions hold them all, into topics that were made before",
        ratio.show(2),
        show(&rates.relayed),
        show(&rates.read),
    )));
    if rates.produced.is_empty() {
        return;
    }
    let ratio = ratio_to(&rates.produced);
    let name = "relay, rate against Kafka's ProducerPerformance";
    figures.add(Figure::at_least(name, ratio.median, "times", PRODUCER_GOAL).measured_by(format!(
        "{} times: against {} records a second of {record_bytes} random bytes, acks=all, zstd, 6 partitions, whose \
         program and JVM start outside the time",
        ratio.show(2),
        show(&rates.produced),
    )));
}

/// Refuses what is wrong, before anything is measured.
pub(super) fn check(args: &BenchRelayArgs) -> Result<(), ConfigErrors> {
    let mut errors = ConfigErrors::new();
    args.relay.check(&mut errors);
    errors.require(args.relay.kafka.is_some(), "CHIPQ_KAFKA", "say which Kafka to measure");
    errors.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_read_from_what_the_producer_says() {
        let said = "50 records sent, 10.0 records/sec (0.01 MB/sec), 1.0 ms avg latency.\n\
                    100 records sent, 1234.5 records/sec (1.20 MB/sec), 8.42 ms avg latency, 9.00 ms max latency.\n";
        assert_eq!(parse_rate(said), Some(1234.5));
        assert_eq!(parse_rate(""), None);
    }
}
