//! The builder of the tree as a service.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::auth::{KeyPlace, TreeHeadKey};
use platform::follower::{FollowerStatus, Followers, LogReactorFollower, LogTail, run_follower};
use platform::health::{Check, Probe};
use platform::postgres::Pool;
use platform::shutdown::Shutdown;

use crate::config::ProofConfig;
use crate::head_folder::HeadFolder;
use crate::reactor::TreeBuilder;
use crate::signer::Signer;
use crate::troubles::{ProofTroubles, observe_troubles};
use crate::witness::Witness;

/// How many events are read from the log at once.
const PAGE_EVENTS: usize = 1_000;

/// The builder of the tree, before it has started.
pub struct Service {
    key: Option<TreeHeadKey>,
    without_key: String,
    folder: HeadFolder,
    witness: Option<Witness>,
    followers: Followers,
    status: FollowerStatus,
    troubles: Arc<ProofTroubles>,
}

impl Service {
    /// Signs with the key in `place`, and keeps tree heads where `config` says, or in `data_dir`. The key is made in a data
    /// folder; where a shared directory of keys has none, the tree is built, and nothing is signed.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn open(
        config: &ProofConfig,
        (data_dir, place): (&Path, &KeyPlace),
    ) -> anyhow::Result<Self> {
        let (followers, troubles) = (Followers::new(), Arc::default());
        observe_troubles(&troubles);
        Ok(Self {
            key: TreeHeadKey::open(place)?,
            without_key: format!(
                "no tree heads are signed, because there is no key for it; `chipq audit key --create` makes {}, or add it \
                 to the secret there",
                TreeHeadKey::file_in(place).display()
            ),
            folder: HeadFolder::new(config.head_folder(data_dir)),
            witness: config.witness.as_ref().map(Witness::open).transpose()?,
            status: followers.register(crate::LOG_PROOF),
            followers,
            troubles,
        })
    }

    /// Whether the tree is built and tree heads are signed, from now until the service ends. With `is_optional` the
    /// process is of use without it.
    #[must_use]
    pub fn probe(&self, is_optional: bool) -> Arc<dyn Probe> {
        let (followers, troubles) = (self.followers.clone(), Arc::clone(&self.troubles));
        Arc::new(ProofProbe { followers, troubles, is_optional })
    }

    /// Builds the tree and signs until shutdown is requested. Any number of instances may run: one works, and the
    /// others stand by.
    ///
    /// # Errors
    /// When its task dies.
    pub async fn run(self, pool: Pool, tail: LogTail, shutdown: Shutdown) -> anyhow::Result<()> {
        let signer = Arc::new(Signer {
            pool: pool.clone(),
            key: self.key,
            without_key: self.without_key,
            folder: self.folder,
            witness: self.witness,
            troubles: Arc::clone(&self.troubles),
        });
        let (log, troubles) = (Arc::clone(tail.log()), self.troubles);
        let reactor = TreeBuilder { pool: pool.clone(), log, signer, troubles };
        let follower = LogReactorFollower { reactor, pool, tail, page_events: PAGE_EVENTS };
        let following = tokio::spawn(run_follower(follower, self.status, shutdown));
        following.await.context("the task of the log's proof died")
    }
}

struct ProofProbe {
    followers: Followers,
    troubles: Arc<ProofTroubles>,
    is_optional: bool,
}

impl Probe for ProofProbe {
    fn name(&self) -> &'static str {
        crate::LOG_PROOF
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let checks = self.followers.checks().await.into_iter();
            let as_asked = |check| Check { optional: self.is_optional, ..check };
            checks.map(as_asked).chain(self.troubles.checks()).collect()
        }
        .boxed()
    }
}
