//! Retention as a reactor: one owner, the log in its order.

use std::sync::Arc;

use domain::PictureRetention;
use opentelemetry::metrics::Counter;
use platform::artifact_store::ArtifactStore;
use platform::event_log::{EventLog, Page, Position};
use platform::execute::load;
use platform::follower::{LogReactor, ReactionError, ReactionSession};
use platform::postgres::{DatabaseConnection, Pool};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::cursors::{load_cursors, save_cursors};
use crate::work::{EventClock, Progress, Work};

/// How many pages of the log wait at most.
const PAGES_MAX: usize = 2;

/// Retires pictures.
pub(crate) struct Retention {
    pub(crate) pool: Pool,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) artifacts: ArtifactStore,
    pub(crate) clock: EventClock,
    pub(crate) deleted: Counter<u64>,
}

/// Retention at work. What it does ends with it.
pub(crate) struct RetentionSession {
    pages: mpsc::Sender<Page>,
    progress: watch::Receiver<Progress>,
    work: JoinSet<ReactionError>,
}

impl LogReactor for Retention {
    type Session = RetentionSession;

    fn name(&self) -> &'static str {
        crate::PICTURE_RETENTION
    }

    async fn begin(
        &mut self,
        checkpoint: Position,
    ) -> Result<(RetentionSession, Position), ReactionError> {
        let cursors = load_cursors(&self.pool, checkpoint).await?;
        let policy = load::<PictureRetention>(&*self.log, PictureRetention::ID).await;
        let policy = policy.map_err(|error| error.to_string())?.state;
        let (pages, given) = mpsc::channel(PAGES_MAX);
        let (made, progress) = watch::channel(Progress { done: checkpoint, cursors });
        let mut work = JoinSet::new();
        let doing = Work {
            log: Arc::clone(&self.log),
            artifacts: self.artifacts.clone(),
            clock: Arc::clone(&self.clock),
            policy,
            pages: given,
            progress: made,
            deleted: self.deleted.clone(),
        };
        work.spawn(doing.run());
        Ok((RetentionSession { pages, progress, work }, checkpoint))
    }
}

impl ReactionSession for RetentionSession {
    fn has_room(&self) -> bool {
        self.pages.capacity() > 0
    }

    fn take(&mut self, page: &Page) {
        // There was room; and work that is over says why when it is asked what is done.
        let _ = self.pages.try_send(page.clone());
    }

    async fn done(&mut self) -> Result<Position, ReactionError> {
        if self.progress.changed().await.is_ok() {
            return Ok(self.progress.borrow_and_update().done);
        }
        match self.work.join_next().await {
            Some(Ok(error)) => Err(error),
            Some(Err(panic)) => Err(panic.into()),
            None => Err("the work of this session is over".into()),
        }
    }

    async fn save(&mut self, transaction: &mut DatabaseConnection) -> Result<(), sqlx::Error> {
        let cursors = self.progress.borrow().cursors.clone();
        save_cursors(transaction, &cursors).await
    }
}
