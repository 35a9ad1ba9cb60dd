//! The work of one session: deletes what pages of the log say is retired, and looks now and then for what is due.
//!
//! Invariant: a class's cursor never passes what was given and done.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Aggregate as _, PictureRetention, RetentionClass, RetentionDays};
use futures::future::BoxFuture;
use opentelemetry::metrics::Counter;
use platform::artifact_store::ArtifactStore;
use platform::event_log::{EventLog, Page, Position, Recorded};
use platform::follower::ReactionError;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::cursors::Cursors;
use crate::due::retire_after;
use crate::files::{delete_files, retired_by};

/// How often one looks for pictures whose period is over.
const ROUND_INTERVAL: Duration = Duration::from_secs(60);
/// How many events are looked through at once.
const PAGE_EVENTS: usize = 500;

/// What time it is by the clock that dates events.
pub(crate) type EventClock =
    Arc<dyn Fn() -> BoxFuture<'static, Result<DateTime<Utc>, sqlx::Error>> + Send + Sync>;

/// How far a session has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Up to here every file that was retired is deleted.
    pub(crate) done: Position,
    /// Up to here each class was looked through.
    pub(crate) cursors: Cursors,
}

/// What looking through the log for a class came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum RoundOutcome {
    /// An event whose period is not over.
    NotDue,
    /// The end of what was given and done.
    EndOfDone,
    /// The end of the page.
    More,
}

/// One session at work.
pub(crate) struct Work {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) artifacts: ArtifactStore,
    pub(crate) clock: EventClock,
    pub(crate) policy: PictureRetention,
    pub(crate) pages: mpsc::Receiver<Page>,
    pub(crate) progress: watch::Sender<Progress>,
    pub(crate) deleted: Counter<u64>,
}

impl Work {
    /// Works until something is in the way, and says what.
    pub(crate) async fn run(mut self) -> ReactionError {
        match self.work().await {
            Ok(never) => match never {},
            Err(error) => error,
        }
    }

    async fn work(&mut self) -> Result<Infallible, ReactionError> {
        let (mut next_round, mut found) = (Instant::now(), RoundOutcome::NotDue);
        loop {
            tokio::select! {
                Some(page) = self.pages.recv() => {
                    let is_revised = self.take_page(page).await?;
                    if is_revised || found == RoundOutcome::EndOfDone {
                        next_round = Instant::now();
                    }
                }
                () = sleep_until(next_round) => {
                    found = self.look_for_due().await?;
                    let pause = if found == RoundOutcome::More { Duration::ZERO } else { ROUND_INTERVAL };
                    next_round = Instant::now() + pause;
                }
            }
        }
    }

    /// Deletes what the page says is retired; whether another policy is in force after it.
    async fn take_page(&mut self, page: Page) -> Result<bool, ReactionError> {
        let before = self.policy.revision;
        for event in &page.events {
            if event.stream.aggregate_type == PictureRetention::TYPE {
                self.policy.evolve(&event.decode::<PictureRetention>()?);
            }
            let pictures = retired_by(event)?;
            let count = pictures.len();
            if count == 0 {
                continue;
            }
            delete_files(&self.artifacts, pictures).await?;
            self.deleted.add(count as u64, &[]);
            tracing::info!(stream = %event.stream, count, "files of retired pictures deleted");
        }
        self.progress.send_modify(|progress| progress.done = page.up_to);
        Ok(self.policy.revision != before)
    }

    /// Retires what is due in the next page of each class.
    async fn look_for_due(&mut self) -> Result<RoundOutcome, ReactionError> {
        let mut found = RoundOutcome::NotDue;
        for class in RetentionClass::ALL {
            if let Some(days) = self.policy.periods.of_class(class) {
                found = found.max(self.look_through(class, days).await?);
            }
        }
        Ok(found)
    }

    async fn look_through(
        &mut self,
        class: RetentionClass,
        days: RetentionDays,
    ) -> Result<RoundOutcome, ReactionError> {
        let (done, after) = {
            let progress = self.progress.borrow();
            (progress.done, progress.cursors.get(&class).copied().unwrap_or_default())
        };
        if after >= done {
            return Ok(RoundOutcome::EndOfDone);
        }
        let over_by = (self.clock)().await? - TimeDelta::days(days.get().into());
        let page = self.log.read_all(after, PAGE_EVENTS).await?;
        let is_over =
            |event: &&Arc<Recorded>| event.position <= done && event.recorded_at <= over_by;
        let due: Vec<_> = page.events.iter().take_while(is_over).collect();
        for event in &due {
            retire_after(&*self.log, event, (class, self.policy.revision)).await?;
        }
        let is_all = due.len() == page.events.len();
        let reached = match due.last() {
            _ if is_all => page.up_to.min(done),
            Some(last) => last.position,
            None => after,
        };
        self.progress
            .send_if_modified(|progress| progress.cursors.insert(class, reached) != Some(reached));
        Ok(match page.events.get(due.len()) {
            None if reached < done => RoundOutcome::More,
            Some(next) if next.position <= done => RoundOutcome::NotDue,
            _ => RoundOutcome::EndOfDone,
        })
    }
}
