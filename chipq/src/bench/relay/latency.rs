//! How soon a consumer has what is appended at a steady rate.
//!
//! The consumer is in this process and keeps nothing but when it was given which event, so that its own work is not
//! measured; it asks each partition by a connection of its own, and the broker answers as soon as there is something.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kafka_client::TopicPartition;
use platform::event_log::{LogPlace, Position};
use platform::foundation::Foundation;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::topics::OwnTopics;
use crate::bench::figures::{Figure, Figures};
use crate::bench::log_load::{append_at_rate, append_part, time_until_seen};
use crate::cli::BenchRelayArgs;

/// Events a second that are appended, and how long it may take until a consumer has one, in milliseconds.
pub(super) const APPENDED_PER_SECOND: u32 = 1_000;
const CONSUMED_GOAL_MS: f64 = 100.0;
/// What is appended.
const PART: &str = "part";
/// The attribute that says where an event stands in the log.
const LOG_POSITION: &str = "ce_logposition";
/// How long the relay may take until it is at the end of the log.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(120);

/// Where in the log the event stands that came, and when that was.
type Consumed = (Position, Instant);

/// Measures p50 and p99.
pub(super) async fn measure(
    args: &BenchRelayArgs,
    foundation: &Foundation,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let log = foundation.log();
    let topics = OwnTopics::make(&args.relay, "bench-latency", Some(&[PART])).await?;
    let relaying = topics.relay(foundation)?;
    let (sender, mut consumed) = unbounded_channel();
    let mut consumers = JoinSet::new();
    for partition in topics.partitions {
        consumers.spawn(consume(partition, sender.clone()));
    }
    // The relay begins with the log's first event: when this one comes, it has caught up.
    let first = append_part(log.as_ref()).await?;
    let catching_up = async { while consumed.recv().await.is_some_and(|(at, _)| at != first) {} };
    timeout(CAUGHT_UP_WITHIN, catching_up).await.context("the relay does not catch up")?;

    let count = APPENDED_PER_SECOND * u32::try_from(args.seconds)?;
    let reader = tokio::spawn(take_in(consumed, count as usize));
    let begun = Instant::now();
    let appended = append_at_rate(&log, APPENDED_PER_SECOND, count).await?;
    let rate = f64::from(count) / begun.elapsed().as_secs_f64();
    let due = appended.into_iter().map(|(position, times)| (position, times.due)).collect();
    let measured = time_until_seen(&due, reader).await?;
    relaying.stop().await?;
    for per_cent in [50, 99] {
        let name = format!("append to consumer at {APPENDED_PER_SECOND}/s");
        let figure = Figure::for_percentile(&name, &measured, per_cent, CONSUMED_GOAL_MS);
        figures.add(figure.measured_by(format!(
            "{count} appends of one event, {APPENDED_PER_SECOND} a second asked for (open loop), {rate:.0} a second \
             answered; from when the append was due until a consumer of all partitions has the event",
        )));
    }
    Ok(())
}

/// When each of the next `count` events came.
async fn take_in(
    mut consumed: UnboundedReceiver<Consumed>,
    count: usize,
) -> anyhow::Result<HashMap<Position, Instant>> {
    let mut seen = HashMap::new();
    while seen.len() < count {
        let (position, at) = consumed.recv().await.context("the consumers are gone")?;
        seen.entry(position).or_insert(at);
    }
    Ok(seen)
}

/// Tells what comes into `partition`, until nobody listens.
async fn consume(
    mut partition: TopicPartition,
    consumed: UnboundedSender<Consumed>,
) -> anyhow::Result<()> {
    let mut next = 0;
    while !consumed.is_closed() {
        for record in partition.read_from(next).await? {
            let now = Instant::now();
            next = record.offset + 1;
            let place = record.header(LOG_POSITION).context("a record is not the relay's")?;
            let place: LogPlace = std::str::from_utf8(place)?.parse()?;
            let _ = consumed.send((place.position, now));
        }
    }
    Ok(())
}
