//! What the tree over the log costs those who append, and how fast an export is verified.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use platform::auth::{KeyPlace, TreeHeadKey};
use platform::event_log::{EventLog, Position};
use platform::follower::LogTail;
use platform::foundation::Foundation;
use platform::postgres::Pool;
use platform::shutdown::Shutdown;
use proof::{ProofConfig, load_tree};
use tokio::task::JoinSet;

use super::append_for;
use crate::audit::{export_all, read_export};
use crate::bench::figures::{Figure, Figures};
use crate::statistics::Spread;

/// How much of the rate of appends is left beside the builder of the tree.
const APPENDS_GOAL: f64 = 0.95;
/// Events a second, on one core.
const VERIFIED_GOAL: f64 = 200_000.0;
/// How long the tree may take to catch up.
const BUILT_WITHIN: Duration = Duration::from_secs(600);
/// Events that a follower is given at once.
const PAGE_EVENTS: usize = 1_000;

/// Appends in turns beside a follower alone, and beside the builder of the tree as well; then verifies what was appended.
pub(super) async fn measure(
    (foundation, data): (&Foundation, &Path),
    (rounds, seconds): (u32, u64),
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let log = foundation.log();
    let mut following = JoinSet::new();
    following.spawn(follow_all(foundation.tail().clone(), log.head().await?));
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        errln!("round {round} of {rounds} beside the log's tree ...");
        without.push(append_for(&log, Duration::from_secs(seconds)).await?);
        let place = KeyPlace::in_data(data);
        let service = proof::Service::open(&ProofConfig::default(), (data, &place))?;
        let (pool, stop) = (foundation.pool().clone(), Shutdown::new());
        let building = tokio::spawn(service.run(pool, foundation.tail().clone(), stop.child()));
        wait_until_built(foundation.pool(), &log).await?;
        with.push(append_for(&log, Duration::from_secs(seconds)).await?);
        wait_until_built(foundation.pool(), &log).await?;
        stop.request();
        building.await??;
    }
    let ratio =
        Spread::from_values(with.iter().zip(&without).map(|(with, without)| with / without));
    let show = |rates: &[f64]| Spread::from_values(rates.iter().copied()).show(0);
    let name = "durable appends beside the log's tree, against without it";
    figures.add(Figure::at_least(name, ratio.median, "times", APPENDS_GOAL).measured_by(format!(
        "{} times: {} appends of one event a second against {}, {rounds} rounds of {seconds} s each in turns; in both another \
         follower takes every event, as in `chipq up`; the tree had caught up before, and has every event some seconds after",
        ratio.show(2),
        show(&with),
        show(&without),
    )));
    figures.add(verify_all(data).await?);
    Ok(())
}

/// Takes every event and does nothing with it.
async fn follow_all(tail: LogTail, after: Position) {
    let mut follow = tail.follow(after);
    while follow.next_page(PAGE_EVENTS).await.is_ok() {}
}

async fn wait_until_built(pool: &Pool, log: &Arc<dyn EventLog>) -> anyhow::Result<()> {
    let begun = Instant::now();
    while load_tree(pool).await?.position < log.head().await? {
        if begun.elapsed() > BUILT_WITHIN {
            bail!("the log's tree is not built after {} s", BUILT_WITHIN.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// For how long this thread has had a core, where the system says so: on a busy machine that is not what the clock says.
fn thread_work() -> Option<Duration> {
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    said.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Exports the log, and times how it is verified by one thread.
async fn verify_all(data: &Path) -> anyhow::Result<Figure> {
    let out = data.join("export.jsonl");
    export_all(data, &out).await?;
    let key = TreeHeadKey::find(&KeyPlace::in_data(data))?;
    let key = *key.ok_or_else(|| anyhow!("there is no key of tree heads"))?.public_key();
    let bytes = std::fs::metadata(&out)?.len();
    let reading = tokio::task::spawn_blocking(move || {
        let (begun, worked) = (Instant::now(), thread_work());
        let read = read_export(&out, Vec::new(), &[key]);
        let worked = thread_work().zip(worked).map(|(after, before)| after.saturating_sub(before));
        read.map(|summary| (summary, worked.unwrap_or_else(|| begun.elapsed())))
    });
    let (summary, worked) = reading.await??;
    let summary = summary.map_err(|difference| anyhow!("{difference}"))?;
    let took = worked.as_secs_f64();
    let rate = summary.events as f64 / took;
    Ok(Figure::at_least("export verified offline", rate, "events/s", VERIFIED_GOAL).measured_by(format!(
        "{} events, {} tree heads, {bytes} bytes in {took:.2} s of one core's time: leaves, chain, tree and heads computed again",
        summary.events, summary.heads
    )))
}
