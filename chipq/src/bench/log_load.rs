//! Load on the event log itself: a follower, and rebuilds from synthetic events.

mod copying;
mod synthetic;

pub(super) use synthetic::{append_part, fill_log};

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use platform::event_log::{EventLog, Position};
use platform::follower::LogTail;
use platform::shutdown::Shutdown;
use projectors::{ProjectorsConfig, RebuildOptions};
use rand::Rng as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use super::figures::{Figure, Figures};
use crate::installation::{Installation, InstallationArgs};
use crate::statistics::Durations;

/// How long read models may take to catch up with the synthetic events.
const CAUGHT_UP_WITHIN: Duration = Duration::from_secs(600);
/// The longest wait for the follower to see the last event.
const SEEN_WITHIN: Duration = Duration::from_secs(20);
/// Synthetic inspections under way at a time while the log is filled.
const WRITERS: usize = 4;

pub(super) fn installation_in(data: &Path) -> InstallationArgs {
    InstallationArgs::private(data.to_owned())
}

/// Times durable commits of one row each, one after the other, on a table of their own: the peer that
/// commands are held against.
pub(super) async fn bare_commits(data: &Path, count: usize) -> anyhow::Result<Durations> {
    let installation = Installation::visit(&installation_in(data)).await?;
    let foundation = installation.open_foundation().await?;
    let pool = foundation.pool();
    let mut connection = pool.acquire().await?;
    sqlx::query("CREATE SCHEMA bench CREATE TABLE commits (n bigint PRIMARY KEY)")
        .execute(&mut *connection)
        .await?;
    let mut measured = Vec::with_capacity(count);
    for n in 0..count {
        let started = Instant::now();
        sqlx::query("INSERT INTO bench.commits VALUES ($1)")
            .bind(i64::try_from(n)?)
            .execute(&mut *connection)
            .await?;
        measured.push(started.elapsed());
    }
    sqlx::query("DROP SCHEMA bench CASCADE").execute(&mut *connection).await?;
    drop(connection);
    pool.close().await;
    Ok(Durations::new(measured))
}

/// Times from the end of an append until a follower with a connection of its own has the event.
pub(super) async fn measure_follower(
    data: &Path,
    count: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let installation = Installation::visit(&installation_in(data)).await?;
    let foundation = installation.open_foundation().await?;
    let elsewhere = installation.open_foundation().await?;
    let (log, other) = (foundation.log(), elsewhere.log());
    let head = log.head().await?;
    let reader = tokio::spawn(count_events(other, head, count));
    let mut appended = HashMap::new();
    for _ in 0..count {
        let position = append_part(log.as_ref()).await?;
        appended.insert(position, Instant::now());
        let pause = rand::rng().random_range(5..=30);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    let measured = time_until_seen(&appended, reader).await?;
    let method = format!(
        "{count} appends 5 to 30 ms apart; from the answer to the append until a follower with its \
         own connections has the event, while the platform runs"
    );
    for (per_cent, goal_ms) in [(50, 20.0), (99, 20.0)] {
        let figure = Figure::for_percentile("append to follower", &measured, per_cent, goal_ms);
        figures.add(figure.measured_by(method.clone()));
    }
    Ok(())
}

/// When an append should begin, and when it was answered.
pub(super) struct AppendTimes {
    pub(super) due: Instant,
    pub(super) answered: Instant,
}

/// Appends `count` events, so many a second, whether or not those before were answered.
pub(super) async fn append_at_rate(
    log: &Arc<dyn EventLog>,
    per_second: u32,
    count: u32,
) -> anyhow::Result<HashMap<Position, AppendTimes>> {
    let mut tick = tokio::time::interval(Duration::from_secs(1) / per_second);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut appending = JoinSet::new();
    for _ in 0..count {
        let due = tick.tick().await.into_std();
        let log = Arc::clone(log);
        appending.spawn(async move {
            let position = append_part(log.as_ref()).await?;
            anyhow::Ok((position, AppendTimes { due, answered: Instant::now() }))
        });
    }
    let mut appended = HashMap::new();
    while let Some(done) = appending.join_next().await {
        appended.extend([done??]);
    }
    Ok(appended)
}

/// How long after each of these times `reader` had the event; an error when it misses one.
pub(super) async fn time_until_seen(
    appended: &HashMap<Position, Instant>,
    reader: JoinHandle<anyhow::Result<HashMap<Position, Instant>>>,
) -> anyhow::Result<Durations> {
    let seen = tokio::time::timeout(SEEN_WITHIN, reader).await???;
    let visible = |(position, at): (&Position, &Instant)| {
        seen.get(position).map(|seen| seen.saturating_duration_since(*at))
    };
    let measured = Durations::new(appended.iter().filter_map(visible).collect());
    let missed = appended.len() - measured.len();
    ensure!(missed == 0, "the follower missed {missed} of {} events", appended.len());
    Ok(measured)
}

/// When each of the next `count` events was there.
pub(super) async fn count_events(
    log: Arc<dyn EventLog>,
    after: Position,
    count: usize,
) -> anyhow::Result<HashMap<Position, Instant>> {
    let mut follow = LogTail::new(log).follow(after);
    let mut seen = HashMap::new();
    while seen.len() < count {
        let page = follow.next_page(100).await?;
        let now = Instant::now();
        seen.extend(page.events.iter().map(|event| (event.position, now)));
    }
    Ok(seen)
}

/// Fills the log, lets the read models catch up, then rebuilds each.
pub(super) async fn measure_rebuilds(
    data: &Path,
    events: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let installation = Installation::open(&installation_in(data)).await?;
    let outcome = rebuild_each(&installation, events, figures).await;
    installation.close().await?;
    outcome
}

async fn rebuild_each(
    installation: &Installation,
    events: usize,
    figures: &mut Figures,
) -> anyhow::Result<()> {
    let foundation = installation.open_foundation().await?;
    let (pool, log) = (foundation.pool().clone(), foundation.log());
    fill_log(&log, events, WRITERS).await?;
    catch_up(&pool, &log).await?;
    for projection in projectors::ALL {
        let options = RebuildOptions { expect_identical: true };
        let log = Arc::clone(&log);
        let report = projectors::rebuild(&pool, log, projection, options, &mut |_| {}).await?;
        let rate = report.events as f64 / report.filling.as_secs_f64().max(1e-3);
        let name = format!("rebuild of {}", report.projection);
        figures.add(Figure::at_least(&name, rate, "events/s", 10_000.0).measured_by(format!(
            "{} events of the whole log into a new generation in {:.2} s, identical to the old one",
            report.events,
            report.filling.as_secs_f64(),
        )));
        let copied = copying::time_copy(installation.data_dir(), &report).await?;
        figures.add(copying::share_figure(&report, copied));
    }
    pool.close().await;
    Ok(())
}

/// Runs the projectors until nothing is behind.
pub(super) async fn catch_up(
    pool: &platform::postgres::Pool,
    log: &Arc<dyn EventLog>,
) -> anyhow::Result<()> {
    let shutdown = Shutdown::new();
    let projectors = projectors::Service::new(ProjectorsConfig::default());
    let tail = LogTail::new(Arc::clone(log));
    let running = tokio::spawn(projectors.run(pool.clone(), tail, shutdown.clone()));
    let deadline = Instant::now() + CAUGHT_UP_WITHIN;
    loop {
        let statuses = projectors::list_generations(pool, log.as_ref()).await?;
        if !statuses.is_empty() && statuses.iter().all(|status| status.lag_events == 0) {
            break;
        }
        if Instant::now() > deadline {
            bail!("the read models did not catch up in {} s", CAUGHT_UP_WITHIN.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    shutdown.request();
    running.await?
}
