//! The generation that serves, as what `platform::follower` keeps up to date.
//!
//! Invariants: this process writes the generation of the newest epoch or nothing; what it knows of it,
//! such as which streams are parked, is read again with every take-over. Who stands still before an event that
//! only newer software knows owns nothing meanwhile, so that such software may take over (`blockade`).

use std::collections::HashMap;
use std::sync::Arc;

use domain::GenerationStatus;
use platform::event_log::{EventLog, Page, Position, StreamId};
use platform::follower::{
    FollowError, FollowerStatus, LogTail, OwnerLock, Projector, project_to_end,
};
use platform::postgres::{DatabaseConnection, Pool};

use crate::beyond_log::{find_beyond_log, find_lost_log};
use crate::blockade::Blockade;
use crate::checkpoint::WriteError;
use crate::generation::{Generation, lock};
use crate::page_writer::write_page;
use crate::projection::Projection;
use crate::schema_version::find_mismatch;
use crate::{parked_streams, repair};

/// Writes the serving generation of one projection.
pub(crate) struct ServingProjector {
    projection: &'static dyn Projection,
    /// Where decisions about parked streams, and those streams, are read.
    log: Arc<dyn EventLog>,
    /// Told how many streams are passed over.
    status: Option<FollowerStatus>,
    /// Owned since the last take-over.
    generation: Option<Generation>,
    /// What ended the last session, if trying again alone cannot help.
    blockade: Option<Blockade>,
}

impl ServingProjector {
    pub(crate) fn new(projection: &'static dyn Projection, log: Arc<dyn EventLog>) -> Self {
        Self { projection, log, status: None, generation: None, blockade: None }
    }

    /// The same, which says in `status` how many streams are passed over.
    pub(crate) fn reporting_to(self, status: FollowerStatus) -> Self {
        Self { status: Some(status), ..self }
    }

    async fn report_parked(
        &self,
        connection: &mut DatabaseConnection,
        generation: &Generation,
    ) -> Result<(), sqlx::Error> {
        if let Some(status) = &self.status {
            let (parked, discarded) = parked_streams::count_streams(connection, generation).await?;
            status.count_parked_streams(parked, discarded);
        }
        Ok(())
    }
}

impl Projector for ServingProjector {
    fn owner_lock(&self) -> OwnerLock {
        OwnerLock { class: lock::OWNER, name: self.projection.name() }
    }

    async fn wait_while_blocked(&mut self, pool: &Pool, tail: &LogTail) -> Result<(), FollowError> {
        // It is forgotten also when the wait is interrupted: what is then shown is the other reason, and only
        // another try shows this one again.
        match self.blockade.take() {
            Some(blockade) => blockade.wait_until_worth_trying(self.projection, pool, tail).await,
            None => Ok(()),
        }
    }

    async fn take_over(
        &mut self,
        connection: &mut DatabaseConnection,
    ) -> Result<Position, FollowError> {
        let mut generation = self.take_over_serving(connection).await?;
        let (log, position) = (&*self.log, generation.position);
        if let Some(beyond) = find_beyond_log(log, self.projection, position).await? {
            return Err(FollowError::failed(beyond));
        }
        let lost = find_lost_log(&mut *connection, self.projection, generation.number).await?;
        if let Some(lost) = lost {
            return Err(FollowError::failed(lost));
        }
        generation.discarded = repair::load_discarded(&*self.log, self.projection).await?;
        parked_streams::mark_discarded(connection, &generation).await?;
        repair::retry_after_upgrade(connection, &*self.log, &mut generation).await?;
        self.report_parked(connection, &generation).await?;
        tracing::info!(
            projection = self.projection.name(),
            generation = generation.number,
            epoch = generation.epoch,
            position = generation.position.0,
            parked_streams = generation.parked.len(),
            "projecting"
        );
        let position = generation.position;
        self.generation = Some(generation);
        Ok(position)
    }

    async fn write_page(
        &mut self,
        connection: &mut DatabaseConnection,
        page: &Page,
    ) -> Result<(), FollowError> {
        let mut generation = self.generation.take().ok_or_else(nothing_serves)?;
        let written = match write_page(connection, &*self.log, &mut generation, page).await {
            Err(WriteError::Unknown(poison)) => {
                let blockade = Blockade::record(connection, &generation, poison).await?;
                let error = FollowError::failed(blockade.to_string());
                self.blockade = Some(blockade);
                return Err(error);
            }
            written => written?,
        };
        let projection = self.projection.name();
        for poison in &written.poisons {
            tracing::error!(projection, position = poison.position.0, %poison, "stream parked");
        }
        if !written.poisons.is_empty() || written.decisions > 0 {
            self.report_parked(connection, &generation).await?;
        }
        self.generation = Some(generation);
        Ok(())
    }
}

impl ServingProjector {
    /// Where a swap comes in between, the statement waits for it, sees the generation retire that it had found,
    /// and not yet the one that serves instead: so it is tried twice.
    async fn take_over_serving(
        &self,
        connection: &mut DatabaseConnection,
    ) -> Result<Generation, FollowError> {
        for _ in 0..2 {
            if let Some(generation) = take_over_serving(connection, self.projection).await? {
                return Ok(generation);
            }
            if let Some(mismatch) = find_mismatch(connection, self.projection).await? {
                return Err(FollowError::failed(mismatch));
            }
        }
        Err(nothing_serves())
    }
}

fn nothing_serves() -> FollowError {
    FollowError::failed("no generation serves")
}

impl From<WriteError> for FollowError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Fenced => Self::Fenced,
            WriteError::Database(error) => Self::Database(error),
            WriteError::Log(error) => Self::Log(error),
            WriteError::Unknown(poison) => Self::failed(poison.reason),
        }
    }
}

/// Applies what is in the log now and returns how many events that was. Waits first, as an instance
/// that stands by does, while another process writes the projection.
///
/// # Errors
/// When it was interrupted; calling again continues.
pub async fn catch_up(
    pool: &Pool,
    log: Arc<dyn EventLog>,
    projection: &'static dyn Projection,
    page_events: usize,
) -> Result<u64, FollowError> {
    let mut projector = ServingProjector::new(projection, Arc::clone(&log));
    project_to_end(&mut projector, pool, &*log, page_events).await
}

/// Makes this process the owner of the generation that serves: every owner before is fenced off.
/// `None` when none serves, or only one that code of another version or with other tables has built.
pub(crate) async fn take_over_serving(
    connection: &mut DatabaseConnection,
    projection: &'static dyn Projection,
) -> Result<Option<Generation>, sqlx::Error> {
    let definition = projection.definition();
    let taken: Option<(i32, i64, i64)> = sqlx::query_as(
        "UPDATE public.projection_checkpoints SET owner_epoch = owner_epoch + 1
         WHERE projection = $1 AND status = 'serving' AND schema_version = $2
           AND (tables_digest IS NULL
                OR tables_digest = ANY(SELECT md5(tables) FROM unnest($3::text[]) AS tables))
         RETURNING generation, owner_epoch, position",
    )
    .bind(projection.name())
    .bind(definition.schema_version)
    .bind(definition.tables_of_all_flavours())
    .fetch_optional(&mut *connection)
    .await?;
    let Some((number, epoch, position)) = taken else { return Ok(None) };
    let parked: Vec<(String, String)> = sqlx::query_as(
        "SELECT aggregate_type, aggregate_id FROM public.parked_streams
         WHERE projection = $1 AND generation = $2",
    )
    .bind(projection.name())
    .bind(number)
    .fetch_all(connection)
    .await?;
    let parked = parked.into_iter();
    Ok(Some(Generation {
        projection,
        number,
        status: GenerationStatus::Serving,
        epoch,
        position: Position(position),
        parked: parked
            .map(|(aggregate_type, aggregate_id)| StreamId { aggregate_type, aggregate_id })
            .collect(),
        discarded: HashMap::new(),
    }))
}
