//! One worker at work: what it holds, reads and settles, from its start to its end.
//!
//! Invariants: what is taken up belongs to a partition that is held; a partition that was lost is
//! settled no further here. Each thing that happens is seen to before the next, so the desk and the
//! leases agree.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::InspectionId;
use platform::event_log::{EventLogError, Follow, Page, Position};
use platform::shutdown::Shutdown;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Worker;
use super::desk::Desk;
use super::lease::{Lease, Renewed};
use super::partition::Partition;

/// How many events the worker reads at a time.
const PAGE: usize = 256;
/// The pause after the log could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How often checkpoints are saved at most; what is saved late is done again after a crash.
const SAVE_INTERVAL: Duration = Duration::from_millis(200);
/// How long inspections under way may take to finish after a shutdown was asked for.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// A lease is renewed so many times before it would expire.
const RENEWALS_PER_LEASE: u32 = 3;
/// A worker that holds less than its share looks so many times per lease for what becomes free.
const LOOKS_PER_LEASE: u32 = 10;

pub(super) struct Shift {
    worker: Worker,
    shutdown: Shutdown,
    desk: Desk,
    follow: Follow,
    settling: JoinSet<(InspectionId, bool)>,
    handles: HashMap<InspectionId, AbortHandle>,
    renew_at: Instant,
    /// When to save what has moved; `None` when nothing has.
    save_at: Option<Instant>,
    read_at: Instant,
}

pub(super) enum Happened {
    RenewalDue,
    SaveDue,
    Settled(Result<(InspectionId, bool), JoinError>),
    Read(Result<Page, EventLogError>),
}

impl Shift {
    /// Takes the worker's share, as far as it is free.
    pub(super) async fn begin(worker: Worker, shutdown: Shutdown) -> Result<Self, sqlx::Error> {
        let follow = Follow::new(Arc::clone(&worker.log), Position::default());
        worker.leases.resume().await?;
        let renewed = worker.leases.renew().await?;
        let now = Instant::now();
        let mut shift = Self {
            worker,
            shutdown,
            desk: Desk::default(),
            follow,
            settling: JoinSet::new(),
            handles: HashMap::new(),
            renew_at: now,
            save_at: None,
            read_at: now,
        };
        shift.share(renewed).await;
        Ok(shift)
    }

    /// Takes up as many inspections as may be under way.
    pub(super) fn take_up(&mut self) {
        while self.settling.len() < self.worker.concurrency
            && let Some(inspection_id) = self.desk.take()
        {
            let (settler, shutdown) = (Arc::clone(&self.worker.settler), self.shutdown.clone());
            let settling =
                async move { (inspection_id, settler.settle(inspection_id, &shutdown).await) };
            self.handles.insert(inspection_id, self.settling.spawn(settling));
        }
        self.worker.health.under_way(self.settling.len());
        self.worker.metrics.under_way(self.settling.len());
    }

    /// Waits for what happens next. Cancel-safe.
    pub(super) async fn next(&mut self) -> Happened {
        let may_read = self.desk.has_room(self.worker.concurrency);
        let (follow, read_at) = (&mut self.follow, self.read_at);
        let save_at = self.save_at.unwrap_or(self.renew_at);
        tokio::select! {
            () = sleep_until(self.renew_at) => Happened::RenewalDue,
            () = sleep_until(save_at), if self.save_at.is_some() => Happened::SaveDue,
            Some(done) = self.settling.join_next() => Happened::Settled(done),
            page = async {
                sleep_until(read_at).await;
                follow.next_page(PAGE).await
            }, if may_read => Happened::Read(page),
        }
    }

    pub(super) async fn see_to(&mut self, happened: Happened) {
        match happened {
            Happened::RenewalDue => self.renew().await,
            Happened::SaveDue => self.save().await,
            Happened::Settled(done) => {
                self.settled(done);
                self.give_back(self.desk.leaving(true)).await;
            }
            Happened::Read(Ok(page)) => {
                self.desk.read(&page);
                self.moved();
            }
            Happened::Read(Err(error)) => {
                tracing::warn!(%error, "the log cannot be read; trying again");
                self.read_at = Instant::now() + RETRY_PAUSE;
            }
        }
    }

    /// Finishes what is under way, then gives everything back.
    pub(super) async fn end(mut self) {
        self.desk.leave(usize::MAX);
        if let Err(error) = self.worker.leases.leave().await {
            tracing::warn!(%error, "the others could not be told; they find out");
        }
        let drained = tokio::time::timeout(DRAIN_LIMIT, async {
            loop {
                self.give_back(self.desk.leaving(true)).await;
                let Some(done) = self.settling.join_next().await else { return };
                self.settled(done);
            }
        });
        if drained.await.is_err() {
            tracing::warn!("inspections under way did not finish in time; others take them up");
        }
        self.give_back(self.desk.leaving(false)).await;
    }

    async fn renew(&mut self) {
        match self.worker.leases.renew().await {
            Ok(renewed) => self.share(renewed).await,
            Err(error) => {
                tracing::warn!(%error, "leases not renewed; trying again");
                self.worker.health.renewed(Err(error.to_string()));
                self.renew_at = Instant::now() + self.worker.leases.lasts() / LOOKS_PER_LEASE;
            }
        }
    }

    /// Brings what is held in line with what is still this worker's and with its fair share.
    async fn share(&mut self, renewed: Renewed) {
        let Renewed { held, fair } = renewed;
        self.lose_what_is_not_in(&held);
        self.desk.stay(fair.saturating_sub(self.desk.kept()));
        // What was to be given back at the last renewal and is still under way waits no longer.
        self.give_back(self.desk.leaving(false)).await;
        let kept = self.desk.kept();
        if kept > fair {
            self.desk.leave(kept - fair);
            self.give_back(self.desk.leaving(true)).await;
        } else if kept < fair {
            match self.worker.leases.acquire(fair - kept).await {
                Ok(acquired) => self.hold(&acquired),
                Err(error) => tracing::warn!(%error, "no partition taken; trying again"),
            }
        }
        let kept = self.desk.kept();
        self.worker.health.renewed(Ok(kept));
        self.worker.metrics.leases_held(self.desk.partitions().len());
        let times = if kept < fair { LOOKS_PER_LEASE } else { RENEWALS_PER_LEASE };
        self.renew_at = Instant::now() + self.worker.leases.lasts() / times;
    }

    fn lose_what_is_not_in(&mut self, held: &[Lease]) {
        let mut unknown = Vec::new();
        for lease in held {
            let known = self.desk.lease(lease.partition);
            if known.is_none_or(|known| known.epoch != lease.epoch) {
                unknown.push(*lease);
            }
        }
        let same = |known: &Lease| {
            held.iter().any(|l| l.partition == known.partition && l.epoch == known.epoch)
        };
        for partition in self.desk.partitions() {
            if !self.desk.lease(partition).is_some_and(|known| same(&known)) {
                tracing::warn!(partition = partition.0, "lease lost to another worker");
                self.drop_partition(partition);
            }
        }
        // Taken while the answer was lost on its way.
        self.hold(&unknown);
    }

    fn hold(&mut self, leases: &[Lease]) {
        for lease in leases {
            let (partition, epoch, position) = (lease.partition.0, lease.epoch, lease.position.0);
            tracing::debug!(partition, epoch, position, "partition leased");
            self.desk.hold(*lease);
        }
        // One reader for all: from the partition that is furthest behind.
        if let Some(from) = self.desk.read_up_to()
            && from != self.follow.position()
        {
            self.follow = Follow::new(Arc::clone(&self.worker.log), from);
        }
    }

    async fn give_back(&mut self, partitions: Vec<Partition>) {
        if partitions.is_empty() {
            return;
        }
        let leases: Vec<_> = partitions.iter().filter_map(|p| self.desk.lease(*p)).collect();
        match self.worker.leases.release(&leases).await {
            Ok(()) => partitions.into_iter().for_each(|p| self.drop_partition(p)),
            Err(error) => tracing::warn!(%error, "partitions not given back; trying again"),
        }
        self.worker.metrics.leases_held(self.desk.partitions().len());
    }

    fn drop_partition(&mut self, partition: Partition) {
        for inspection_id in self.desk.drop(partition) {
            if let Some(handle) = self.handles.remove(&inspection_id) {
                handle.abort();
            }
        }
    }

    /// An inspection that is left stays on the desk: the checkpoint waits before its events, and
    /// whoever holds the partition next takes it up again.
    fn settled(&mut self, done: Result<(InspectionId, bool), JoinError>) {
        match done {
            Ok((inspection_id, settled)) => {
                self.handles.remove(&inspection_id);
                if settled {
                    self.desk.settled(inspection_id);
                    self.moved();
                } else {
                    tracing::info!(%inspection_id, "left for the next start");
                }
            }
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(%error, "settling an inspection was broken off"),
        }
    }

    fn moved(&mut self) {
        self.save_at.get_or_insert_with(|| Instant::now() + SAVE_INTERVAL);
    }

    async fn save(&mut self) {
        let moved = self.desk.unsaved();
        match self.worker.leases.save(&moved).await {
            Ok(()) => {
                self.desk.saved(&moved);
                self.save_at = None;
            }
            Err(error) => {
                tracing::warn!(%error, "checkpoints not saved; they will be later");
                self.save_at = Some(Instant::now() + RETRY_PAUSE);
            }
        }
    }
}
