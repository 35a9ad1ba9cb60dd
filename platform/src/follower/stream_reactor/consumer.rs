//! The consumer loop of one member of a reactor: holds partitions, reads the log, and has streams
//! handled, from its start to its end.
//!
//! Invariants: what is started belongs to a partition that is held; of a partition that was lost
//! nothing goes on here. Each wakeup is handled before the next one is waited for, so the backlog and
//! the leases agree without a lock.
//!
//! Each renewal tells a member its *fair share*, by the number of members alive. Who holds more marks
//! the surplus as leaving and gives it back, at the next renewal at the latest; who holds less takes
//! what is free. So shares even out within a lease or two, whoever comes and goes, and no member has
//! to talk to another. A partition that was *lost* is one whose lease ran out before it was renewed
//! and that another member took with a newer epoch.
//!
//! A member whose reactor is not *able* to do its share for longer than a lease says so when it renews:
//! its fair share is nothing while others are able, and it goes on looking until it is able again.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::ability::Ability;
use super::backlog::{Backlog, StreamWork};
use super::lease::{Lease, LeaseError, Leases, Partition, Renewed};
use super::starvation::Starvation;
use super::{Handled, PartitionStatus, StreamReactor};
use crate::backoff::Backoff;
use crate::event_log::{EventLogError, Page, Position, StreamId};
use crate::follower::tail::{Follow, LogTail};
use crate::shutdown::Shutdown;

/// How many events are read at a time.
const PAGE_EVENTS: usize = 256;
/// After the log could not be read, or checkpoints not be saved.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5), 0.5);
/// How often checkpoints are saved at most; what is saved late is done again after a crash.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);
/// How long streams under way may take to finish after a shutdown was asked for.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// A lease is renewed so many times before it would expire.
const RENEWALS_PER_LEASE: u32 = 3;
/// A member that holds less than its share looks so many times per lease for what becomes free.
const LOOKS_PER_LEASE: u32 = 10;

pub(super) struct PartitionConsumer {
    reactor: Arc<dyn StreamReactor>,
    /// Most streams under way.
    concurrency: usize,
    leases: Leases,
    ability: Ability,
    starvation: Starvation,
    status: Arc<PartitionStatus>,
    shutdown: Shutdown,
    backlog: Backlog,
    tail: LogTail,
    follow: Follow,
    tasks: JoinSet<Ended>,
    /// To break off what is under way of a partition that was lost.
    abort_handles: HashMap<StreamId, AbortHandle>,
    renew_at: Instant,
    /// When to save what has moved; `None` when nothing has.
    save_at: Option<Instant>,
    /// How often in a row it could not be saved.
    failed_saves: u32,
    /// Not before this; later than now after the log could not be read.
    read_at: Instant,
    /// How often in a row it could not be read.
    failed_reads: u32,
}

/// A stream that was handled, or whose handling panicked.
pub(super) struct Ended {
    work: StreamWork,
    handled: std::thread::Result<Handled>,
}

/// Why the loop woke up.
pub(super) enum Wakeup {
    RenewalDue,
    SaveDue,
    PauseEnded,
    TaskEnded(Result<Ended, JoinError>),
    /// After the log could not be read there is no page at first: only that it can be read again.
    PageRead(Result<Option<Page>, EventLogError>),
}

impl PartitionConsumer {
    /// Takes this member's share, as far as it is free.
    pub(super) async fn start(
        (reactor, concurrency): (Arc<dyn StreamReactor>, usize),
        tail: LogTail,
        leases: Leases,
        status: Arc<PartitionStatus>,
        shutdown: Shutdown,
    ) -> Result<Self, LeaseError> {
        let renewed = leases.join_group().await?;
        let now = Instant::now();
        let mut consumer = Self {
            backlog: Backlog::new(reactor.partitions()),
            follow: tail.follow(Position::default()),
            reactor,
            concurrency,
            ability: Ability::new(leases.duration(), now),
            starvation: Starvation::new(leases.duration()),
            leases,
            status,
            shutdown,
            tail,
            tasks: JoinSet::new(),
            abort_handles: HashMap::new(),
            renew_at: now,
            save_at: None,
            failed_saves: 0,
            read_at: now,
            failed_reads: 0,
        };
        consumer.rebalance(renewed).await;
        Ok(consumer)
    }

    /// Starts as many streams as may be under way.
    pub(super) fn start_next(&mut self) {
        self.backlog.end_pauses(Instant::now());
        while self.tasks.len() < self.concurrency
            && let Some(work) = self.backlog.take_next()
        {
            let (reactor, shutdown) = (Arc::clone(&self.reactor), self.shutdown.clone());
            let stream = work.stream.clone();
            let task = async move {
                let handling =
                    async { reactor.handle(&work.stream, &work.events, &shutdown).await };
                // Of what a panic leaves behind only the events are used again, which nothing changes.
                let handled = AssertUnwindSafe(handling).catch_unwind().await;
                Ended { work, handled }
            };
            self.abort_handles.insert(stream, self.tasks.spawn(task));
        }
        self.status.report_under_way(self.tasks.len());
    }

    /// Waits for what has to be handled next. Cancel-safe: what is not returned is not lost.
    pub(super) async fn next_wakeup(&mut self) -> Wakeup {
        let may_read = self.backlog.has_room(self.concurrency);
        let (follow, read_at, has_failed) = (&mut self.follow, self.read_at, self.failed_reads > 0);
        tokio::select! {
            () = sleep_until(self.renew_at) => Wakeup::RenewalDue,
            () = sleep_until_some(self.save_at) => Wakeup::SaveDue,
            () = sleep_until_some(self.backlog.next_pause_end()) => Wakeup::PauseEnded,
            Some(done) = self.tasks.join_next() => Wakeup::TaskEnded(done),
            page = async {
                sleep_until(read_at).await;
                if has_failed {
                    // The next event may be long in coming.
                    return follow.is_at_end().await.map(|_| None);
                }
                follow.next_page(PAGE_EVENTS).await.map(Some)
            }, if may_read => Wakeup::PageRead(page),
        }
    }

    /// Does what a wakeup asks for.
    pub(super) async fn handle(&mut self, wakeup: Wakeup) {
        match wakeup {
            Wakeup::RenewalDue => self.renew_leases().await,
            Wakeup::SaveDue => self.save_checkpoints().await,
            // It is started again with whatever is next.
            Wakeup::PauseEnded => {}
            Wakeup::TaskEnded(done) => {
                self.finish_task(done);
                self.give_back(self.backlog.idle_leaving_partitions()).await;
            }
            Wakeup::PageRead(Ok(None)) => {
                self.failed_reads = 0;
                self.status.report_readable_log(self.backlog.lowest_checkpoint());
            }
            Wakeup::PageRead(Ok(Some(page))) => {
                let gives_work = |event: &_| self.reactor.gives_work(event);
                self.backlog.add_page(&page, gives_work);
                self.status.report_read(self.backlog.lowest_checkpoint(), page.head);
                self.schedule_save();
            }
            Wakeup::PageRead(Err(error)) => {
                tracing::warn!(%error, "the log cannot be read; trying again");
                self.status.report_unreadable_log(&error);
                if let EventLogError::Reissued { .. } | EventLogError::EndsBefore { .. } = error {
                    self.forget_everything();
                }
                self.read_at = Instant::now() + BACKOFF.delay(self.failed_reads);
                self.failed_reads = self.failed_reads.saturating_add(1);
            }
        }
    }

    /// Finishes what is under way, then gives everything back.
    pub(super) async fn drain(mut self) {
        self.backlog.mark_leaving(usize::MAX);
        if let Err(error) = self.leases.leave_group().await {
            tracing::warn!(%error, "the others could not be told; they find out");
        }
        let drained = tokio::time::timeout(DRAIN_LIMIT, async {
            loop {
                self.give_back(self.backlog.idle_leaving_partitions()).await;
                let Some(done) = self.tasks.join_next().await else { return };
                self.finish_task(done);
            }
        });
        if drained.await.is_err() {
            tracing::warn!("streams under way did not finish in time; others take them up");
        }
        self.give_back(self.backlog.leaving_partitions()).await;
    }

    async fn renew_leases(&mut self) {
        self.leases.set_able(self.ability.observe(self.reactor.is_able(), Instant::now()));
        match self.leases.renew().await {
            Ok(renewed) => self.rebalance(renewed).await,
            Err(error) => {
                tracing::warn!(%error, "leases not renewed; trying again");
                self.status.report_failure(&error);
                self.renew_at = Instant::now() + self.leases.duration() / LOOKS_PER_LEASE;
            }
        }
    }

    /// Brings what is held in line with what is still this member's and with its fair share, once per
    /// renewal and in this order: what was lost goes; what was leaving stays when it is within the share
    /// again; what should have left by now is given back although something of it is under way, so that
    /// a slow stream keeps no other member waiting; what is too much begins to leave, or what is
    /// missing is taken.
    async fn rebalance(&mut self, renewed: Renewed) {
        let Renewed { held, fair_share } = renewed;
        if fair_share == 0 {
            self.ability.leave_share(Instant::now());
        }
        self.drop_lost_leases(&held);
        self.backlog.unmark_leaving(fair_share.saturating_sub(self.backlog.count_kept()));
        self.give_back(self.backlog.leaving_partitions()).await;
        let kept = self.backlog.count_kept();
        if kept > fair_share {
            self.backlog.mark_leaving(kept - fair_share);
            self.give_back(self.backlog.idle_leaving_partitions()).await;
        } else if kept < fair_share {
            match self.leases.acquire(fair_share - kept).await {
                Ok(acquired) => self.add_leases(&acquired),
                Err(error) => tracing::warn!(%error, "no partition taken; trying again"),
            }
        }
        let kept = self.backlog.count_kept();
        match self.starvation.observe(kept, fair_share, Instant::now()) {
            Ok(()) => self.status.report_leases(kept, self.backlog.lowest_checkpoint()),
            Err(starved) => {
                tracing::warn!(%starved, "no work is done here");
                self.status.report_failure(&starved);
            }
        }
        self.status.report_held(self.backlog.held_partitions().len());
        let times = if kept < fair_share { LOOKS_PER_LEASE } else { RENEWALS_PER_LEASE };
        self.renew_at = Instant::now() + self.leases.duration() / times;
    }

    /// A lease of another epoch is another lease: this member lost the partition and has it again.
    fn drop_lost_leases(&mut self, held: &[Lease]) {
        let mut unknown = Vec::new();
        for lease in held {
            let known = self.backlog.current_lease(lease.partition);
            if known.is_none_or(|known| known.epoch != lease.epoch) {
                unknown.push(*lease);
            }
        }
        let same = |known: &Lease| {
            held.iter().any(|l| l.partition == known.partition && l.epoch == known.epoch)
        };
        for partition in self.backlog.held_partitions() {
            if !self.backlog.current_lease(partition).is_some_and(|known| same(&known)) {
                tracing::warn!(partition = partition.0, "lease lost to another member");
                self.drop_partition(partition);
            }
        }
        // Taken by an acquisition whose answer was lost on its way.
        self.add_leases(&unknown);
    }

    fn add_leases(&mut self, leases: &[Lease]) {
        for lease in leases {
            let (partition, epoch, position) = (lease.partition.0, lease.epoch, lease.position.0);
            tracing::debug!(partition, epoch, position, "partition leased");
            // It may be known under the lease before, which ran out unnoticed: of that one nothing goes on.
            self.drop_partition(lease.partition);
            self.backlog.add_partition(*lease);
        }
        // One reader for all: from the partition that is furthest behind.
        if let Some(from) = self.backlog.next_read_position()
            && from != self.follow.position()
        {
            self.follow = self.tail.follow(from);
        }
    }

    /// Gives partitions back with their checkpoints. What is under way of them is broken off, and done
    /// by the next owner.
    async fn give_back(&mut self, partitions: Vec<Partition>) {
        if partitions.is_empty() {
            return;
        }
        let leases: Vec<_> =
            partitions.iter().filter_map(|p| self.backlog.current_lease(*p)).collect();
        match self.leases.release(&leases).await {
            Ok(()) => partitions.into_iter().for_each(|p| self.drop_partition(p)),
            Err(error) => tracing::warn!(%error, "partitions not given back; trying again"),
        }
        self.status.report_held(self.backlog.held_partitions().len());
    }

    fn drop_partition(&mut self, partition: Partition) {
        for stream in self.backlog.drop_partition(partition) {
            if let Some(handle) = self.abort_handles.remove(&stream) {
                handle.abort();
            }
        }
    }

    /// Of what was read nothing holds any more: the log is another one from some position on. Leases and
    /// checkpoints are taken up from the database, which went back with the log.
    fn forget_everything(&mut self) {
        for partition in self.backlog.held_partitions() {
            self.drop_partition(partition);
        }
        self.follow = self.tail.follow(Position::default());
        self.renew_at = Instant::now();
    }

    /// A stream that is left stays in the backlog: the checkpoint waits before its events, and whoever
    /// holds the partition next takes it up again. One that was put off, or whose handling panicked, is
    /// taken up again here.
    fn finish_task(&mut self, done: Result<Ended, JoinError>) {
        // A task that ends without a word was broken off with its partition.
        let Ok(Ended { work, handled }) = done else { return };
        let StreamWork { stream, epoch, .. } = &work;
        if !self.backlog.is_under_way(stream, *epoch) {
            return;
        }
        self.abort_handles.remove(stream);
        match handled {
            Ok(Handled::Done) => {
                self.backlog.mark_done(stream);
                self.schedule_save();
            }
            Ok(Handled::Later { pause }) => self.backlog.pause(work, Instant::now() + pause),
            Ok(Handled::Left) => tracing::info!(%stream, "left for the next start"),
            Err(_) => {
                tracing::error!(%stream, "handling a stream panicked; it is tried again later");
                self.backlog.pause_after_panic(work, Instant::now());
            }
        }
    }

    /// Checkpoints are saved together, a moment later: one write for many streams.
    fn schedule_save(&mut self) {
        self.save_at.get_or_insert_with(|| Instant::now() + SAVE_INTERVAL);
    }

    async fn save_checkpoints(&mut self) {
        let moved = self.backlog.unsaved_leases();
        match self.leases.save_positions(&moved).await {
            Ok(()) => {
                self.failed_saves = 0;
                self.backlog.mark_saved(&moved);
                self.status.report_done(self.backlog.lowest_checkpoint());
                self.save_at = None;
            }
            Err(error) => {
                tracing::warn!(%error, "checkpoints not saved; they will be later");
                self.save_at = Some(Instant::now() + BACKOFF.delay(self.failed_saves));
                self.failed_saves = self.failed_saves.saturating_add(1);
            }
        }
    }
}

async fn sleep_until_some(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
