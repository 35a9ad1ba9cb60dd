//! The step that every read model takes for a stretch of events: decode them, load the rows that
//! they are about, change those by one event after the other, store them.

use std::marker::PhantomData;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::Recorded;
use sqlx::PgConnection;

use super::event_record::{EventRecord, ProjectedEvent};
use crate::projection::{ApplyError, Projection, ProjectionDefinition};

/// The rows of one read model that a stretch of events is about.
pub(super) trait ReadModel: Sized + Send + 'static {
    /// What the projection says of itself.
    const DEFINITION: ProjectionDefinition;

    /// The events that it reads: those of one type of aggregate.
    type Event: ProjectedEvent;

    /// Loads what is known before the first of these events.
    fn load(
        tx: &mut PgConnection,
        records: &[EventRecord<'_, Self::Event>],
    ) -> impl Future<Output = Result<Self, ApplyError>> + Send;

    /// Changes the rows as the event says; an event that is applied already changes nothing.
    fn apply_record(&mut self, record: EventRecord<'_, Self::Event>) -> Result<(), ApplyError>;

    /// Writes back what has changed.
    fn store(self, tx: &mut PgConnection) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// The projection that a read model is.
pub(super) struct ReadModelProjection<M>(PhantomData<fn() -> M>);

impl<M> ReadModelProjection<M> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<M: ReadModel> Projection for ReadModelProjection<M> {
    fn definition(&self) -> ProjectionDefinition {
        M::DEFINITION
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            let records = events.iter().map(|event| EventRecord::decode(event));
            let records = records.collect::<Result<Vec<_>, _>>()?;
            let mut rows = M::load(&mut *tx, &records).await?;
            for record in records {
                rows.apply_record(record)?;
            }
            rows.store(tx).await
        }
        .boxed()
    }
}
