//! The builder of the tree as a reactor: one owner, the log in its order.
//!
//! Invariant: what is new in the tree is written in the transaction that moves the checkpoint, so that a fenced owner
//! writes nothing, and an event is in the tree once however often it is given.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use platform::event_log::{EventLog, Page, Position};
use platform::follower::{LogReactor, ReactionError, ReactionSession};
use platform::postgres::{DatabaseConnection, Pool};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use transparency::TILE_HASHES;

use crate::growth::{GrowingTree, hash_stored};
use crate::signer::Signer;
use crate::tree_tables::{StoredTree, load_tree, read_leaves, save_growth};
use crate::troubles::ProofTroubles;

/// How many pages of the log wait at most.
const PAGES_MAX: usize = 4;
/// How many stored events are read at once.
const READ_EVENTS: usize = 1_000;
/// More events than this are not given again after a crash: the checkpoint is moved once a second.
const GIVEN_AGAIN_MAX: usize = 1_000_000;

/// Builds the tree.
pub(crate) struct TreeBuilder {
    pub(crate) pool: Pool,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) signer: Arc<Signer>,
    pub(crate) troubles: Arc<ProofTroubles>,
}

/// The builder at work. What it does ends with it.
pub(crate) struct BuildingSession {
    pages: mpsc::Sender<Position>,
    progress: watch::Receiver<Position>,
    tree: Arc<Mutex<GrowingTree>>,
    saved: Arc<Notify>,
    troubles: Arc<ProofTroubles>,
    work: JoinSet<ReactionError>,
    _signing: JoinSet<()>,
}

impl LogReactor for TreeBuilder {
    type Session = BuildingSession;

    fn name(&self) -> &'static str {
        crate::LOG_PROOF
    }

    async fn begin(
        &mut self,
        checkpoint: Position,
    ) -> Result<(BuildingSession, Position), ReactionError> {
        let stored = load_tree(&self.pool).await?;
        self.check_given_again(checkpoint, &stored).await?;
        // The tree may be ahead of the checkpoint, and never behind it.
        let from = checkpoint.min(stored.position);
        let StoredTree { frontier, position, chain } = stored;
        let tree = Arc::new(Mutex::new(GrowingTree::new(frontier, chain, position)));
        let (pages, given) = mpsc::channel(PAGES_MAX);
        let (made, progress) = watch::channel(from);
        let (mut work, mut signing) = (JoinSet::new(), JoinSet::new());
        let building = Building { log: Arc::clone(&self.log), tree: Arc::clone(&tree) };
        work.spawn(building.run(given, made));
        let saved = Arc::new(Notify::new());
        signing.spawn(Arc::clone(&self.signer).run(Arc::clone(&saved)));
        let troubles = Arc::clone(&self.troubles);
        let _signing = signing;
        let session = BuildingSession { pages, progress, tree, saved, troubles, work, _signing };
        Ok((session, checkpoint))
    }
}

impl TreeBuilder {
    /// What the tree has behind the checkpoint has to be what the log has there: it is passed over.
    async fn check_given_again(
        &self,
        checkpoint: Position,
        tree: &StoredTree,
    ) -> Result<(), ReactionError> {
        if tree.position <= checkpoint {
            return Ok(());
        }
        let (mut found, mut after) = (Vec::new(), checkpoint);
        while after < tree.position && found.len() < GIVEN_AGAIN_MAX {
            let page = self.log.read_stored(after, tree.position, READ_EVENTS).await?;
            for event in &page.events {
                found.push(hash_stored(event)?.1);
            }
            after = page.up_to;
        }
        let size = tree.frontier.size();
        let first = size.checked_sub(found.len() as u64);
        let mut kept = Vec::new();
        if let Some(first) = first {
            for number in first / TILE_HASHES..=size / TILE_HASHES {
                kept.extend(read_leaves(&self.pool, number).await?.hashes);
            }
            kept.drain(..usize::try_from(first % TILE_HASHES)?);
        }
        if first.is_some() && kept == found {
            return Ok(());
        }
        Err(format!(
            "the log after position {checkpoint} is not what its tree was built from: it was put back, or changed; \
             `chipq audit verify` says what differs, and `chipq audit new-origin --reason …` builds it again"
        )
        .into())
    }
}

impl ReactionSession for BuildingSession {
    fn has_room(&self) -> bool {
        self.pages.capacity() > 0
    }

    fn take(&mut self, page: &Page) {
        // There was room; and work that is over says why when it is asked what is done.
        let _ = self.pages.try_send(page.up_to);
    }

    async fn done(&mut self) -> Result<Position, ReactionError> {
        if self.progress.changed().await.is_ok() {
            return Ok(*self.progress.borrow_and_update());
        }
        match self.work.join_next().await {
            Some(Ok(error)) => Err(error),
            Some(Err(panic)) => Err(panic.into()),
            None => Err("the work of this session is over".into()),
        }
    }

    async fn save(&mut self, transaction: &mut DatabaseConnection) -> Result<(), sqlx::Error> {
        let unwritten = lock_tree(&self.tree).take_unwritten();
        save_growth(transaction, unwritten).await?;
        self.saved.notify_one();
        Ok(())
    }
}

impl Drop for BuildingSession {
    fn drop(&mut self) {
        self.troubles.clear_all();
    }
}

fn lock_tree(tree: &Mutex<GrowingTree>) -> MutexGuard<'_, GrowingTree> {
    tree.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds events to the tree.
struct Building {
    log: Arc<dyn EventLog>,
    tree: Arc<Mutex<GrowingTree>>,
}

impl Building {
    async fn run(
        self,
        mut pages: mpsc::Receiver<Position>,
        made: watch::Sender<Position>,
    ) -> ReactionError {
        while let Some(mut up_to) = pages.recv().await {
            // What has come meanwhile is read together.
            while let Ok(next) = pages.try_recv() {
                up_to = up_to.max(next);
            }
            if let Err(error) = self.add_up_to(up_to).await {
                return error;
            }
            made.send_replace(up_to);
        }
        "nobody asks any more".into()
    }

    async fn add_up_to(&self, up_to: Position) -> Result<(), ReactionError> {
        let mut after = lock_tree(&self.tree).position;
        while after < up_to {
            let page = self.log.read_stored(after, up_to, READ_EVENTS).await?;
            let mut tree = lock_tree(&self.tree);
            for event in &page.events {
                let (_, leaf) = hash_stored(event)?;
                tree.add_event(event, leaf);
            }
            drop(tree);
            after = page.up_to;
        }
        Ok(())
    }
}
