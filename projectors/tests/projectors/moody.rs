//! A projection that fails as it is told.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use domain::{Aggregate as _, Inspection};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::Recorded;
use platform::postgres::DatabaseConnection;
use projectors::{ApplyError, Projection, ProjectionDefinition};

use crate::world::World;

/// A projection that notes events, and fails as it is told.
pub(crate) struct Moody {
    /// Fails so many times, as a database would.
    pub(crate) transient: AtomicU32,
    /// Refuses events that are not `InspectionCreated`.
    pub(crate) refuses: AtomicBool,
    /// Which code it is.
    code: &'static str,
}

impl Projection for Moody {
    fn definition(&self) -> ProjectionDefinition {
        ProjectionDefinition {
            name: "moody",
            schema_version: 1,
            schema_sql: |_| "CREATE TABLE noted (position bigint PRIMARY KEY)",
            views: &["noted"],
            aggregate_types: &[Inspection::TYPE],
        }
    }

    fn code(&self) -> &str {
        self.code
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut DatabaseConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        async move {
            for event in events {
                sqlx::query("INSERT INTO noted VALUES ($1) ON CONFLICT DO NOTHING")
                    .bind(event.position.0)
                    .execute(&mut *tx)
                    .await?;
                if event.sequence > 1 && self.refuses.load(Ordering::SeqCst) {
                    return Err(ApplyError::Permanent("not in the mood".into()));
                }
            }
            let left = self.transient.load(Ordering::SeqCst);
            if left > 0 {
                self.transient.store(left - 1, Ordering::SeqCst);
                return Err(ApplyError::Transient(sqlx::Error::PoolTimedOut));
            }
            Ok(())
        }
        .boxed()
    }
}

/// It, in a mood to take everything, with the generation that serves.
pub(crate) async fn moody(world: &World) -> &'static Moody {
    let moody = moody_of("first code");
    projectors::ensure_each(&world.pool, &[moody]).await.unwrap();
    moody
}

/// The same projection in another build.
pub(crate) fn moody_of(code: &'static str) -> &'static Moody {
    let (transient, refuses) = (AtomicU32::new(0), AtomicBool::new(false));
    Box::leak(Box::new(Moody { transient, refuses, code }))
}
