//! Data loaders: what many objects of one answer ask for is one statement.
//!
//! Nothing is cached between answers, so a loader never shows what was true a while ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_graphql::dataloader::{DataLoader, Loader};
use domain::Reach;
use futures::future::BoxFuture;
use platform::postgres::Pool;
use tokio::time::timeout;
use uuid::Uuid;

use super::pace::Pace;
use crate::error::QueryError;
use crate::read_model::LogPosition;
use crate::read_model::artifacts::{self, ArtifactObject};
use crate::read_model::defects::{self, DefectObject};
use crate::read_model::inspections::{self, InspectionObject, TimelineObject};
use crate::read_model::past_inspections::PastInspection;
use crate::read_model::reports::{self, ReportObject};

/// How long what was asked for waits for the operation to be polled to its end.
const REST_LIMIT: Duration = Duration::from_millis(20);

/// The loaders of one request. What is asked for is loaded as soon as all fields of the operation wait: nobody asks
/// for more then.
pub(super) struct RequestLoaders {
    rows: DataLoader<RowLoader>,
    past: Mutex<PastInspections>,
}

/// Inspections as they were, by their ids and as of when: what belongs to them is read with them.
type PastInspections = HashMap<(Uuid, LogPosition), Arc<PastInspection>>;

impl RequestLoaders {
    /// For somebody who is limited to `reach`.
    pub(super) fn new(pool: Pool, reach: Reach, pace: Pace) -> Self {
        let rows = RowLoader { pool, reach, pace: pace.clone() };
        let spawn = move |batch: BoxFuture<'static, ()>| {
            let (rest, delivery) = (pace.rest(), pace.delivery());
            tokio::spawn(async move {
                let _until_handed_out = delivery;
                // Longer only where nobody polls the operation.
                let _ = timeout(REST_LIMIT, rest).await;
                batch.await;
            })
        };
        let rows = DataLoader::new(rows, spawn).delay(Duration::ZERO);
        Self { rows, past: Mutex::default() }
    }

    /// Keeps an inspection as it was, for its fields.
    pub(super) fn keep_past(&self, past: PastInspection) {
        self.lock_past().insert(past.key(), Arc::new(past));
    }

    /// An inspection as it was, if it was kept.
    pub(super) fn past_inspection(&self, key: (Uuid, LogPosition)) -> Option<Arc<PastInspection>> {
        self.lock_past().get(&key).cloned()
    }

    fn lock_past(&self) -> MutexGuard<'_, PastInspections> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What belongs to `key`, together with everything else that is asked for now.
    ///
    /// # Errors
    /// When the database does not answer or the read model does not exist.
    pub(super) async fn load_one_of<K>(
        &self,
        key: K,
    ) -> Result<Option<<RowLoader as Loader<K>>::Value>, Arc<QueryError>>
    where
        K: Send + Sync + Hash + Eq + Clone + 'static,
        RowLoader: Loader<K, Error = Arc<QueryError>>,
    {
        self.rows.load_one(key).await
    }
}

/// Loads from the pool.
pub(super) struct RowLoader {
    pool: Pool,
    reach: Reach,
    pace: Pace,
}

impl RowLoader {
    /// Rows by their key, which are about to be handed out.
    fn deliver<K: Hash + Eq, V>(&self, rows: impl IntoIterator<Item = (K, V)>) -> HashMap<K, V> {
        let rows = rows.into_iter().collect();
        self.pace.begin_delivery();
        rows
    }
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

type LoadedRows<K, V> = Result<HashMap<K, V>, Arc<QueryError>>;

impl Loader<InspectionOf> for RowLoader {
    type Value = InspectionObject;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[InspectionOf]) -> LoadedRows<InspectionOf, InspectionObject> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = inspections::by_ids(&self.pool, &ids, &self.reach).await?;
        Ok(self.deliver(rows.into_iter().map(|row| (InspectionOf(row.inspection_id), row))))
    }
}

impl Loader<DefectsOf> for RowLoader {
    type Value = Vec<DefectObject>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[DefectsOf]) -> LoadedRows<DefectsOf, Vec<DefectObject>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = defects::of_inspections(&self.pool, &ids, &self.reach).await?;
        Ok(self.deliver(group_rows(rows, |row| DefectsOf(row.inspection_id))))
    }
}

impl Loader<ArtifactsOf> for RowLoader {
    type Value = Vec<ArtifactObject>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[ArtifactsOf]) -> LoadedRows<ArtifactsOf, Vec<ArtifactObject>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = artifacts::of_inspections(&self.pool, &ids).await?;
        Ok(self.deliver(group_rows(rows, |row| ArtifactsOf(row.inspection_id))))
    }
}

impl Loader<TimelineOf> for RowLoader {
    type Value = Vec<TimelineObject>;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[TimelineOf]) -> LoadedRows<TimelineOf, Vec<TimelineObject>> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = inspections::timeline_of(&self.pool, &ids).await?;
        Ok(self.deliver(group_rows(rows, |row| TimelineOf(row.inspection_id))))
    }
}

impl Loader<ReportOf> for RowLoader {
    type Value = ReportObject;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[ReportOf]) -> LoadedRows<ReportOf, ReportObject> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = reports::of_inspections(&self.pool, &ids, &self.reach).await?;
        Ok(self.deliver(rows.into_iter().map(|row| (ReportOf(row.inspection_id), row))))
    }
}

impl Loader<DocumentOf> for RowLoader {
    type Value = String;
    type Error = Arc<QueryError>;

    async fn load(&self, keys: &[DocumentOf]) -> LoadedRows<DocumentOf, String> {
        let ids: Vec<_> = keys.iter().map(|key| key.0).collect();
        let rows = reports::read_documents(&self.pool, &ids, &self.reach).await?;
        Ok(self.deliver(rows.into_iter().map(|(id, document)| (DocumentOf(id), document))))
    }
}

/// Rows by key, in the order in which they come.
fn group_rows<K: Hash + Eq, V>(rows: Vec<V>, key: impl Fn(&V) -> K) -> HashMap<K, Vec<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    for row in rows {
        groups.entry(key(&row)).or_default().push(row);
    }
    groups
}
