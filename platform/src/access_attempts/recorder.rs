//! The one in a process who writes attempts into the log.
//!
//! Invariants: what waits for a log that is away is bounded, and what is left out of it is counted in the next sum;
//! whoever stops it in order loses nothing that was noted before, as long as the log answers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::Utc;
use domain::{AccessAttemptEvent, AccessAttempts, AccessAttemptsCommand, AccessAttemptsRejection};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use uuid::Uuid;

use super::NotedAttempts;
use super::tally::{AttemptCounts, AttemptTally};
use crate::event_log::{EventLog, EventMetadata};
use crate::execute::{ExecuteError, Request, execute};
use crate::shutdown::Shutdown;

/// How long repeats are counted before they are written.
const MINUTE: Duration = Duration::from_secs(60);
/// Events of one append.
const BATCH_MAX: usize = 256;
/// Events that wait for a log that is away.
const UNWRITTEN_MAX: usize = 1_024;
/// The pause after the log could not be written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long the last events may take.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Writes what is noted into `log` until `shutdown`, and then what is left. `service` is the process that it stands
/// for, as the log names it.
pub async fn record_attempts(
    noted: NotedAttempts,
    log: Arc<dyn EventLog>,
    service: &'static str,
    shutdown: Shutdown,
) {
    let mut recorder = AttemptWriter::new(noted, log, service);
    recorder.run_until(&shutdown, MINUTE).await;
    if timeout(FLUSH_WITHIN, recorder.flush()).await.is_err() {
        tracing::warn!("the last attempts to sign in were not recorded: the log does not answer");
    }
}

pub(super) struct AttemptWriter {
    noted: NotedAttempts,
    log: Arc<dyn EventLog>,
    service: &'static str,
    tally: AttemptTally,
    unwritten: VecDeque<AccessAttemptEvent>,
    /// What is being appended, under the id of its command: again under the same one where nobody knows whether it
    /// was.
    batch: Option<(Uuid, Vec<AccessAttemptEvent>)>,
    next_try: Instant,
}

impl AttemptWriter {
    pub(super) fn new(noted: NotedAttempts, log: Arc<dyn EventLog>, service: &'static str) -> Self {
        Self {
            noted,
            log,
            service,
            tally: AttemptTally::default(),
            unwritten: VecDeque::new(),
            batch: None,
            next_try: Instant::now(),
        }
    }

    pub(super) async fn run_until(&mut self, shutdown: &Shutdown, minute: Duration) {
        let mut minutes = interval_at(Instant::now() + minute, minute);
        minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut noted = Vec::new();
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                _ = minutes.tick() => self.end_minute(),
                count = self.noted.waiting.recv_many(&mut noted, BATCH_MAX) => {
                    if count == 0 {
                        // Nobody notes anything any more.
                        return shutdown.requested().await;
                    }
                    for (at, attempt) in noted.drain(..) {
                        let event = self.tally.take_in(attempt, at);
                        self.unwritten.extend(event);
                    }
                }
                () = tokio::time::sleep_until(self.next_try), if self.has_unwritten() => {
                    self.write().await;
                }
            }
            self.bound_unwritten();
        }
    }

    /// Writes what was noted until now, and what is left to be said of the minute.
    pub(super) async fn flush(&mut self) {
        while let Ok((at, attempt)) = self.noted.waiting.try_recv() {
            let event = self.tally.take_in(attempt, at);
            self.unwritten.extend(event);
        }
        self.end_minute();
        while self.has_unwritten() {
            self.write().await;
            tokio::time::sleep_until(self.next_try).await;
        }
    }

    fn has_unwritten(&self) -> bool {
        self.batch.is_some() || !self.unwritten.is_empty()
    }

    fn end_minute(&mut self) {
        let overflow = &self.noted.overflow;
        let granted = overflow.granted.swap(0, Ordering::Relaxed);
        let refused = overflow.refused.swap(0, Ordering::Relaxed);
        let rejected = overflow.rejected.swap(0, Ordering::Relaxed);
        self.tally.add_to_sum(AttemptCounts { granted, refused, rejected }, Utc::now());
        self.unwritten.extend(self.tally.end_minute());
    }

    fn bound_unwritten(&mut self) {
        while self.unwritten.len() > UNWRITTEN_MAX
            && let Some(event) = self.unwritten.pop_front()
        {
            self.tally.add_unwritten(&event);
        }
    }

    /// Appends one batch, if the log takes it.
    async fn write(&mut self) {
        let (command_id, events) = self.batch.take().unwrap_or_else(|| {
            let count = self.unwritten.len().min(BATCH_MAX);
            (Uuid::new_v4(), self.unwritten.drain(..count).collect())
        });
        let request = Request::<AccessAttempts> {
            aggregate_id: AccessAttempts::id_at(Utc::now()),
            command: AccessAttemptsCommand::Record(events.clone()),
            is_new: false,
            if_match: None,
            metadata: EventMetadata::by_service(self.service).with_command_id(command_id),
        };
        match execute(&*self.log, request).await {
            Ok(_) => {}
            Err(ExecuteError::Rejected(AccessAttemptsRejection::HourIsFull)) => {
                tracing::error!(
                    events = events.len(),
                    "attempts to sign in are not recorded one by one: the hour's stream is full"
                );
                events.iter().for_each(|event| self.tally.add_unwritten(event));
            }
            Err(error) => {
                tracing::warn!(%error, "attempts to sign in could not be recorded; again in a moment");
                self.batch = Some((command_id, events));
                self.next_try = Instant::now() + RETRY_PAUSE;
            }
        }
    }
}
