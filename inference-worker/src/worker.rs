//! Follows the log and settles inspections: every uploaded picture gets one result, however often its
//! event is delivered.
//!
//! Invariant: the checkpoint never passes an event whose work is not recorded in the log. What is
//! done twice after a crash changes nothing, because results have ids derived from what was compared.

mod checkpoint;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::InspectionId;
use platform::artifact_store::ArtifactStore;
use platform::event_log::{EventLog, Follow, Position, Recorded};
use platform::shutdown::Shutdown;
use sqlx::PgPool;
use tokio::task::{JoinError, JoinSet};

pub use checkpoint::WORKER;

use crate::comparison::Comparer;
use checkpoint::Checkpoint;
use settle::Settler;

/// How many events the worker reads at a time.
const PAGE: usize = 256;
/// The pause after the log could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long inspections under way may take to finish after a shutdown was asked for.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// What the worker works with.
pub struct Worker {
    log: Arc<dyn EventLog>,
    checkpoint: Checkpoint,
    settler: Arc<Settler>,
    concurrency: usize,
}

impl Worker {
    /// A worker that has at most `concurrency` inspections under way.
    #[must_use]
    pub fn new(
        pool: PgPool,
        log: Arc<dyn EventLog>,
        artifacts: ArtifactStore,
        comparer: Arc<Comparer>,
        concurrency: usize,
    ) -> Self {
        let settler = Arc::new(Settler::new(Arc::clone(&log), artifacts, comparer));
        Self { log, checkpoint: Checkpoint::new(pool), settler, concurrency: concurrency.max(1) }
    }

    /// Follows the log until a shutdown is asked for.
    ///
    /// # Errors
    /// When the checkpoint cannot be read at the start.
    pub async fn run(self, shutdown: Shutdown) -> Result<(), sqlx::Error> {
        let mut follow = Follow::new(Arc::clone(&self.log), self.checkpoint.load().await?);
        let mut desk = Desk::default();
        let mut settling: JoinSet<(InspectionId, bool)> = JoinSet::new();
        let requested = shutdown.requested();
        tokio::pin!(requested);
        loop {
            while settling.len() < self.concurrency
                && let Some(inspection_id) = desk.take()
            {
                let (settler, shutdown) = (Arc::clone(&self.settler), shutdown.clone());
                settling.spawn(async move {
                    (inspection_id, settler.settle(inspection_id, &shutdown).await)
                });
            }
            tokio::select! {
                () = &mut requested => break,
                Some(done) = settling.join_next() => self.finished(&mut desk, done).await,
                page = follow.next_page(PAGE), if desk.has_room(self.concurrency) => match page {
                    Ok(page) => {
                        page.events.iter().for_each(|event| desk.put(event));
                        desk.read_up_to = page.up_to;
                        self.checkpoint.save(desk.settled_up_to()).await;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the log cannot be read; trying again");
                        tokio::time::sleep(RETRY_PAUSE).await;
                    }
                },
            }
        }
        let drained = tokio::time::timeout(DRAIN_LIMIT, async {
            while let Some(done) = settling.join_next().await {
                self.finished(&mut desk, done).await;
            }
        });
        if drained.await.is_err() {
            tracing::warn!(
                "inspections under way did not finish in time; they will be taken up again"
            );
        }
        Ok(())
    }

    /// An inspection that is left stays on the desk: the checkpoint waits before its events, and a
    /// restart takes it up again.
    async fn finished(&self, desk: &mut Desk, done: Result<(InspectionId, bool), JoinError>) {
        match done {
            Ok((inspection_id, true)) => {
                desk.settled(inspection_id);
                self.checkpoint.save(desk.settled_up_to()).await;
            }
            Ok((inspection_id, false)) => {
                tracing::info!(%inspection_id, "left for the next start");
            }
            Err(error) => tracing::error!(%error, "settling an inspection was broken off"),
        }
    }
}

/// What has been read and is not settled yet.
#[derive(Debug, Default)]
struct Desk {
    read_up_to: Position,
    /// The events that wait for an inspection to be settled, waiting or under way.
    events: HashMap<InspectionId, BTreeSet<Position>>,
    /// Inspections that wait, in the order of their first event.
    waiting: BTreeMap<Position, InspectionId>,
    /// Inspections under way, and the events that were there when they were taken up.
    under_way: HashMap<InspectionId, BTreeSet<Position>>,
}

impl Desk {
    fn put(&mut self, event: &Recorded) {
        let gives_work =
            matches!(event.event_type.as_str(), "ArtifactUploaded" | "InferenceRequested");
        let Some(inspection_id) =
            event.stream.aggregate_id.parse().ok().filter(|_| gives_work).map(InspectionId)
        else {
            return;
        };
        let events = self.events.entry(inspection_id).or_default();
        if events.is_empty() && !self.under_way.contains_key(&inspection_id) {
            self.waiting.insert(event.position, inspection_id);
        }
        events.insert(event.position);
    }

    fn take(&mut self) -> Option<InspectionId> {
        let (_, inspection_id) = self.waiting.pop_first()?;
        let events = self.events.remove(&inspection_id).unwrap_or_default();
        self.under_way.insert(inspection_id, events);
        Some(inspection_id)
    }

    /// Events that came while the inspection was under way make it wait again.
    fn settled(&mut self, inspection_id: InspectionId) {
        self.under_way.remove(&inspection_id);
        if let Some(first) = self.events.get(&inspection_id).and_then(BTreeSet::first) {
            self.waiting.insert(*first, inspection_id);
        }
    }

    /// Back-pressure: reads ahead of what is under way by a few rounds only.
    fn has_room(&self, concurrency: usize) -> bool {
        self.waiting.len() < 4 * concurrency
    }

    fn settled_up_to(&self) -> Position {
        let open = self.events.values().chain(self.under_way.values());
        let first_open = open.filter_map(BTreeSet::first).min();
        first_open.map_or(self.read_up_to, |position| Position(position.0 - 1))
    }
}

#[cfg(test)]
mod tests {
    use platform::event_log::{EventMetadata, StreamId};
    use uuid::Uuid;

    use super::*;

    fn event(position: i64, inspection: u128, event_type: &str) -> Recorded {
        Recorded {
            position: Position(position),
            event_id: Uuid::from_u128(position.unsigned_abs().into()),
            command_id: None,
            stream: StreamId {
                aggregate_type: "inspection".into(),
                aggregate_id: Uuid::from_u128(inspection).to_string(),
            },
            sequence: 1,
            event_type: event_type.into(),
            event_version: "1".into(),
            payload: serde_json::Value::Null,
            metadata: EventMetadata::default(),
            recorded_at: chrono::Utc::now(),
        }
    }

    fn id(n: u128) -> InspectionId {
        InspectionId(Uuid::from_u128(n))
    }

    #[test]
    fn the_checkpoint_stays_before_the_first_event_that_is_not_settled() {
        let mut desk = Desk::default();
        desk.put(&event(1, 1, "InspectionCreated"));
        desk.put(&event(2, 1, "ArtifactUploaded"));
        desk.put(&event(3, 2, "ArtifactUploaded"));
        desk.read_up_to = Position(3);
        assert_eq!((desk.take(), desk.take(), desk.take()), (Some(id(1)), Some(id(2)), None));
        desk.settled(id(2));
        assert_eq!(desk.settled_up_to(), Position(1));
        desk.settled(id(1));
        assert_eq!(desk.settled_up_to(), Position(3));
    }

    #[test]
    fn an_event_that_comes_while_its_inspection_is_under_way_makes_it_wait_again() {
        let mut desk = Desk::default();
        desk.put(&event(1, 1, "ArtifactUploaded"));
        assert_eq!(desk.take(), Some(id(1)));
        desk.put(&event(2, 1, "InferenceRequested"));
        desk.read_up_to = Position(2);
        assert_eq!(desk.take(), None);
        desk.settled(id(1));
        assert_eq!(desk.settled_up_to(), Position(1));
        assert_eq!(desk.take(), Some(id(1)));
        desk.settled(id(1));
        assert_eq!((desk.settled_up_to(), desk.take()), (Position(2), None));
    }
}
