//! Data loaders: what many objects of one answer ask for is one statement.
//!
//! Nothing is cached between answers, so a loader never shows what was true a while ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_graphql::dataloader::{DataLoader, Loader};
use futures::future::BoxFuture;
use sqlx::PgPool;
use uuid::Uuid;

use crate::error::QueryError;
use crate::read_model::artifacts::{self, Artifact};
use crate::read_model::defects::{self, Defect};
use crate::read_model::inspections::{self, Inspection, TimelineEntry};
use crate::read_model::parts::{self, GoldenSample};
use crate::read_model::reports::{self, Report};

/// How long nobody must have asked before what was asked for is loaded.
const SETTLED_AFTER: Duration = Duration::from_millis(1);
/// How often that is awaited before it is loaded anyway.
const SETTLE_MAX: usize = 20;

/// The loaders of one request. Resolvers of a long list are polled in turns with other tasks, so a
/// batch waits until nobody asks any more; a fixed delay would cut it short on a busy machine.
pub(super) struct Loading {
    loader: DataLoader<Loaders>,
    asked: Arc<AtomicUsize>,
}

impl Loading {
    pub(super) fn new(pool: PgPool) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&asked);
        let spawn = move |batch: BoxFuture<'static, ()>| {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                settled(&seen).await;
                batch.await;
            })
        };
        let loader = DataLoader::new(Loaders { pool }, spawn).delay(Duration::ZERO);
        Self { loader, asked }
    }

    /// What belongs to `key`, together with everything else that is asked for now.
    ///
    /// # Errors
    /// When the database does not answer or the read model does not exist.
    pub(super) async fn one<K>(
        &self,
        key: K,
    ) -> Result<Option<<Loaders as Loader<K>>::Value>, Arc<QueryError>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        Loaders: Loader<K, Error = Arc<QueryError>>,
    {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.loader.load_one(key).await
    }
}

async fn settled(asked: &AtomicUsize) {
    for _ in 0..SETTLE_MAX {
        let before = asked.load(Ordering::Relaxed);
        tokio::time::sleep(SETTLED_AFTER).await;
        if asked.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// Loads from the pool.
pub(super) struct Loaders {
    pool: PgPool,
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident($of:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub(super) struct $name(pub(super) $of);
    };
}

key!(
    /// The inspection of this id.
    InspectionOf(Uuid)
);
key!(
    /// The findings of an inspection.
    DefectsOf(Uuid)
);
key!(
    /// The pictures of an inspection.
    ArtifactsOf(Uuid)
);
key!(
    /// The events of an inspection.
    TimelineOf(Uuid)
);
key!(
    /// The report of an inspection.
    ReportOf(Uuid)
);
key!(
    /// The document of a report.
    DocumentOf(Uuid)
);
key!(
    /// The golden samples of a part.
    GoldenSamplesOf(String)
);

type Loaded<K, V> = Result<HashMap<K, V>, Arc<QueryError>>;

impl Loader<InspectionOf> for Loaders {
    type Value = Inspection;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[InspectionOf]) -> Loaded<InspectionOf, Inspection> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = inspections::by_ids(&self.pool, &ids).await?;
        Ok(rows.into_iter().map(|row| (InspectionOf(row.inspection_id), row)).collect())
    }
}

impl Loader<DefectsOf> for Loaders {
    type Value = Vec<Defect>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[DefectsOf]) -> Loaded<DefectsOf, Vec<Defect>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = defects::of_inspections(&self.pool, &ids).await?;
        Ok(grouped(rows, |row| DefectsOf(row.inspection_id)))
    }
}

impl Loader<ArtifactsOf> for Loaders {
    type Value = Vec<Artifact>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[ArtifactsOf]) -> Loaded<ArtifactsOf, Vec<Artifact>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = artifacts::of_inspections(&self.pool, &ids).await?;
        Ok(grouped(rows, |row| ArtifactsOf(row.inspection_id)))
    }
}

impl Loader<TimelineOf> for Loaders {
    type Value = Vec<TimelineEntry>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[TimelineOf]) -> Loaded<TimelineOf, Vec<TimelineEntry>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = inspections::timeline_of(&self.pool, &ids).await?;
        Ok(grouped(rows, |row| TimelineOf(row.inspection_id)))
    }
}

impl Loader<ReportOf> for Loaders {
    type Value = Report;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[ReportOf]) -> Loaded<ReportOf, Report> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = reports::of_inspections(&self.pool, &ids).await?;
        Ok(rows.into_iter().map(|row| (ReportOf(row.inspection_id), row)).collect())
    }
}

impl Loader<DocumentOf> for Loaders {
    type Value = String;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[DocumentOf]) -> Loaded<DocumentOf, String> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = reports::documents(&self.pool, &ids).await?;
        Ok(rows.into_iter().map(|(id, document)| (DocumentOf(id), document)).collect())
    }
}

impl Loader<GoldenSamplesOf> for Loaders {
    type Value = Vec<GoldenSample>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[GoldenSamplesOf]) -> Loaded<GoldenSamplesOf, Vec<GoldenSample>> {
        let parts: Vec<_> = keys.iter().map(|key| key.0.clone()).collect();
        let rows = parts::golden_samples_of(&self.pool, &parts).await?;
        Ok(grouped(rows, |row| GoldenSamplesOf(row.part.clone())))
    }
}

/// Rows by key, in the order in which they come.
fn grouped<K: Hash + Eq, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
