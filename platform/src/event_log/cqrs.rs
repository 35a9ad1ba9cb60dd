//! cqrs-es's `EventStore` over any [`EventLog`], so that its framework and tools run on our log.
//!
//! There are no snapshots: those of cqrs-es 0.5 apply a command's events twice.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use cqrs_es::{AggregateContext, AggregateError, EventEnvelope, EventStore};

use super::{
    AnswerNotKept, Append, AppendError, EventLog, EventMetadata, KeyedAnswer, NewEvent, Recorded,
    StreamId,
};

/// An event store for the aggregates of type `A`.
#[derive(Clone)]
pub struct CqrsEventStore<A> {
    log: Arc<dyn EventLog>,
    aggregate: PhantomData<fn() -> A>,
}

/// An aggregate as it was loaded, and the answer to keep with whatever it commits.
pub struct LoadedAggregate<A> {
    stream: StreamId,
    version: u64,
    aggregate: A,
    answer: Option<KeyedAnswer>,
}

impl<A> LoadedAggregate<A> {
    /// Keeps an answer with the events that are committed.
    #[must_use]
    pub fn keeping(mut self, answer: KeyedAnswer) -> Self {
        self.answer = Some(answer);
        self
    }
}

impl<A: cqrs_es::Aggregate> AggregateContext<A> for LoadedAggregate<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.aggregate
    }
}

impl<A> CqrsEventStore<A>
where
    A: domain::Aggregate + cqrs_es::Aggregate<Event = <A as domain::Aggregate>::Event>,
{
    /// An event store over `log`.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        Self { log, aggregate: PhantomData }
    }

    fn stream(aggregate_id: &str) -> StreamId {
        StreamId {
            aggregate_type: <A as domain::Aggregate>::TYPE.to_owned(),
            aggregate_id: aggregate_id.to_owned(),
        }
    }

    fn envelope(recorded: &Recorded) -> Result<EventEnvelope<A>, AggregateError<A::Error>> {
        Ok(EventEnvelope {
            aggregate_id: recorded.stream.aggregate_id.clone(),
            sequence: usize::try_from(recorded.sequence).map_err(unexpected)?,
            payload: recorded.decode::<A>().map_err(unexpected)?,
            metadata: recorded.metadata.to_map(),
        })
    }
}

impl<A> EventStore<A> for CqrsEventStore<A>
where
    A: domain::Aggregate + cqrs_es::Aggregate<Event = <A as domain::Aggregate>::Event>,
{
    type AC = LoadedAggregate<A>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let stream = Self::stream(aggregate_id);
        let recorded = self.log.read_stream(&stream, 0).await.map_err(unavailable)?;
        recorded.events.iter().map(Self::envelope).collect()
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<LoadedAggregate<A>, AggregateError<A::Error>> {
        let events = self.load_events(aggregate_id).await?;
        let version = events.last().map_or(0, |event| event.sequence as u64);
        let mut aggregate = A::default();
        events.into_iter().for_each(|event| aggregate.apply(event.payload));
        let stream = Self::stream(aggregate_id);
        Ok(LoadedAggregate { stream, version, aggregate, answer: None })
    }

    async fn commit(
        &self,
        events: Vec<<A as domain::Aggregate>::Event>,
        context: LoadedAggregate<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let (stream, version) = (context.stream, context.version);
        let events_to_store = events
            .iter()
            .map(NewEvent::from_domain::<A>)
            .collect::<Result<_, _>>()
            .map_err(unexpected)?;
        let metadata = EventMetadata::from_map(&metadata);
        let mut append = Append::new(stream.clone(), version, events_to_store, metadata);
        append.answer = context.answer;
        let stored = append.circumstances();
        match self.log.append(append).await {
            Ok(_) => {}
            // What was committed is in the log, and stays there.
            Err(AppendError::NotKept { appended: Some(_), source }) => {
                tracing::warn!(error = %source, "events were committed, the answer to them not kept");
            }
            Err(error) => return Err(explain_append_error(error)),
        }
        let sequences = (version + 1..).map(|sequence| sequence as usize);
        Ok(sequences
            .zip(events)
            .zip(stored)
            .map(|((sequence, payload), metadata)| EventEnvelope {
                aggregate_id: stream.aggregate_id.clone(),
                sequence,
                payload,
                metadata: metadata.to_map(),
            })
            .collect())
    }
}

/// Why nothing was committed, in the words of cqrs-es.
fn explain_append_error<E: std::error::Error>(error: AppendError) -> AggregateError<E> {
    match error {
        AppendError::Conflict { .. }
        | AppendError::NotKept { source: AnswerNotKept::KeyTaken, .. } => {
            AggregateError::AggregateConflict
        }
        AppendError::DuplicateCommand { .. } => unexpected(error),
        AppendError::NotKept { source: AnswerNotKept::Log(error), .. }
        | AppendError::Log(error) => unavailable(error),
    }
}

fn unexpected<E: std::error::Error>(
    error: impl std::error::Error + Send + Sync + 'static,
) -> AggregateError<E> {
    AggregateError::UnexpectedError(Box::new(error))
}

fn unavailable<E: std::error::Error>(
    error: impl std::error::Error + Send + Sync + 'static,
) -> AggregateError<E> {
    AggregateError::DatabaseConnectionError(Box::new(error))
}
