//! Signs tree heads of what is written down, keeps them outside the database, and hands them to the witness.
//!
//! Invariant: before a head is signed, the tree is proved to begin with the last one of its origin, as the folder and as
//! the database say. A database that went back behind that, or has another history, gets nothing signed until somebody
//! gives the log another origin.

use std::sync::Arc;
use std::time::Duration;

use chrono::{SubsecRound as _, Utc};
use platform::auth::TreeHeadKey;
use platform::backoff::Backoff;
use platform::postgres::Pool;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use transparency::{SignedNote, SignedTreeHead, TreeHead, prove_consistency, verify_consistency};

use crate::head_folder::HeadFolder;
use crate::origins::{ensure_origin, note_signed_head};
use crate::tree_tables::{StoredTree, TreeError, load_tree, prove_with_tiles};
use crate::troubles::{Concern, ProofTroubles};
use crate::witness::Witness;

/// The least time between two heads: an hour under load has 720.
const SIGN_INTERVAL: Duration = Duration::from_secs(5);
/// How soon after events were written down one is signed, where none was for a while.
const SIGN_DELAY: Duration = Duration::from_millis(500);
/// Until what is in the way is looked at again.
const AGAIN: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30), 0.5);

const ANOTHER_HISTORY: &str =
    "nothing is signed, because the log does not begin with what was signed before";
const NEXT: &str = "`chipq audit verify` says what differs; if a backup was put back on purpose, \
    `chipq audit new-origin --reason …` signs on in another name";

/// What is needed to sign.
pub(crate) struct Signer {
    pub(crate) pool: Pool,
    pub(crate) key: Option<TreeHeadKey>,
    /// What to do where there is no key.
    pub(crate) without_key: String,
    pub(crate) folder: HeadFolder,
    pub(crate) witness: Option<Witness>,
    pub(crate) troubles: Arc<ProofTroubles>,
}

impl Signer {
    /// Signs whenever `saved` says that more is written down, until it is dropped.
    pub(crate) async fn run(self: Arc<Self>, saved: Arc<Notify>) {
        let (mut owed, mut attempt) = (None, 0);
        loop {
            let begun = Instant::now();
            let signed = self.sign_growth().await;
            let outcome = signed.map(|signed| owed = signed.or(owed.take()));
            let is_signing = outcome.is_ok();
            self.troubles.note_outcome(Concern::Signing, outcome);
            let is_witnessed = self.pay_witness(&mut owed).await;
            if is_signing && is_witnessed {
                attempt = 0;
                saved.notified().await;
                tokio::time::sleep(SIGN_DELAY).await;
            } else {
                // What is in the way may pass by itself; and more may be written down meanwhile.
                let _ = timeout(AGAIN.delay(attempt), saved.notified()).await;
                attempt = attempt.saturating_add(1);
            }
            sleep_until(begun + SIGN_INTERVAL).await;
        }
    }

    /// Hands over the last head that the witness has not got; whether it has all.
    async fn pay_witness(&self, owed: &mut Option<SignedTreeHead>) -> bool {
        let (Some(witness), Some(signed)) = (&self.witness, &owed) else { return true };
        let outcome = witness.hand_over(signed).await;
        let is_taken = outcome.is_ok();
        self.troubles.note_outcome(Concern::Witness, outcome);
        if is_taken {
            *owed = None;
        }
        is_taken
    }

    /// Signs what is written down, if it is more than what was signed.
    pub(crate) async fn sign_growth(&self) -> Result<Option<SignedTreeHead>, String> {
        let text = |error: &dyn std::fmt::Display| error.to_string();
        let key = self.key.as_ref().ok_or_else(|| self.without_key.clone())?;
        let origin = ensure_origin(&self.pool).await.map_err(|error| text(&error))?;
        let tree = load_tree(&self.pool).await.map_err(|error| text(&error))?;
        let kept = self.find_kept(&origin.origin).await?;
        let known = origin.signed_head.as_deref().map(SignedNote::parse).transpose();
        let known = known.and_then(|note| note.as_ref().map(TreeHead::read_unverified).transpose());
        let known =
            known.map_err(|error| format!("the tree head in the database: {error}; {NEXT}"))?;
        for before in [&kept, &known].into_iter().flatten() {
            self.check_begins_with(before, &tree).await?;
        }
        let signed_size = [&kept, &known].into_iter().flatten().map(|head| head.size).max();
        if tree.frontier.size() <= signed_size.unwrap_or(0) {
            return Ok(None);
        }
        let head = TreeHead {
            origin: origin.origin.clone(),
            size: tree.frontier.size(),
            root: tree.frontier.root(),
            position: tree.position.0,
            chain: tree.chain,
            signed_at: Utc::now().trunc_subsecs(3),
        };
        let signed = SignedTreeHead::sign(head, key.public_key(), |text| key.sign_message(text));
        // On the disk before anybody else knows of it: nobody is told what this place may forget.
        let (folder, kept) = (self.folder.clone(), signed.clone());
        let appended = tokio::task::spawn_blocking(move || folder.append_head(&kept)).await;
        appended.map_err(|panic| text(&panic))?.map_err(|error| text(&error))?;
        let noted = note_signed_head(&self.pool, &origin.origin, &signed.to_text()).await;
        noted.map_err(|error| text(&error))?;
        self.troubles.note_signed(signed.head.size);
        Ok(Some(signed))
    }

    async fn find_kept(&self, origin: &str) -> Result<Option<TreeHead>, String> {
        let (folder, origin) = (self.folder.clone(), origin.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            folder.create()?;
            folder.find_last(&origin)
        });
        let found = found.await.map_err(|panic| panic.to_string())?;
        found.map_err(|error| error.to_string())
    }

    /// Refuses a tree that does not begin with what was signed `before`.
    async fn check_begins_with(&self, before: &TreeHead, tree: &StoredTree) -> Result<(), String> {
        let (old_size, size) = (before.size, tree.frontier.size());
        if size < old_size {
            return Err(format!(
                "{ANOTHER_HISTORY}: its tree has {size} events, and a tree head of {old_size} was signed at {}; {NEXT}",
                before.signed_at.format("%FT%TZ")
            ));
        }
        let proved = prove_with_tiles(&self.pool, |mut node| {
            prove_consistency::<TreeError>(old_size, size, &mut node)
        });
        let path = proved.await.map_err(|error| error.to_string())?;
        let (old, new) = ((old_size, &before.root), (size, &tree.frontier.root()));
        if verify_consistency(old, new, &path) {
            return Ok(());
        }
        Err(format!(
            "{ANOTHER_HISTORY}: its first {old_size} events are not those of the tree head of {}; {NEXT}",
            before.signed_at.format("%FT%TZ")
        ))
    }
}
