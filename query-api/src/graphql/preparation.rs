//! The beginning of every operation, off the async workers: its text is parsed and validated on a
//! thread for blocking work, a few at a time, within a time.
//!
//! Invariant: however long an operation computes before it first waits, no worker waits for it. A
//! thread whose operation is given up on keeps its turn until it is done, so that there are never
//! more at work than turns.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_graphql::{Response, ServerError};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::error::QueryError;

/// How long an operation waits for a turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long parsing and validation may take. What passes the bounds on queries takes milliseconds.
pub(super) const PREPARATION_LIMIT: Duration = Duration::from_secs(2);

/// The turns of operations that are parsed and validated at once.
pub(crate) struct Preparation {
    turns: Arc<Semaphore>,
}

impl Preparation {
    /// As many turns as there are processors.
    pub(crate) fn new() -> Self {
        let turns = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { turns: Arc::new(Semaphore::new(turns)) }
    }

    /// `answers`, prepared up to where they first wait: [`super::limits::QueryLimits`] lets them wait
    /// when they are validated, before anything is resolved.
    pub(super) async fn begin(
        &self,
        answers: BoxStream<'static, Response>,
    ) -> BoxStream<'static, Response> {
        match self.poll_off_workers(answers).await {
            Ok(answers) => answers,
            Err(error) => stream::iter([Response::from_errors(vec![error])]).boxed(),
        }
    }

    async fn poll_off_workers(
        &self,
        mut answers: BoxStream<'static, Response>,
    ) -> Result<BoxStream<'static, Response>, ServerError> {
        let turn = timeout(TURN_TIMEOUT, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| QueryError::TooMany("queries"))?;
        let turn = turn.map_err(QueryError::internal)?;
        let span = tracing::Span::current();
        let begun = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let _of_request = span.entered();
            // Nobody is to be woken: whoever takes the answers polls them again.
            let first = answers.poll_next_unpin(&mut Context::from_waker(Waker::noop()));
            (first, answers)
        });
        match timeout(PREPARATION_LIMIT, begun).await {
            Ok(Ok((Poll::Pending, answers))) => Ok(answers),
            Ok(Ok((Poll::Ready(Some(first)), rest))) => {
                Ok(stream::iter([first]).chain(rest).boxed())
            }
            Ok(Ok((Poll::Ready(None), _))) => Ok(stream::empty().boxed()),
            Ok(Err(error)) => Err(QueryError::internal(error).into()),
            Err(_) => {
                tracing::warn!(limit_s = PREPARATION_LIMIT.as_secs(), "a query is given up on");
                let message = "the query takes too long to validate: ask for less".to_owned();
                Err(Refusal::TooComplex(message).into())
            }
        }
    }
}
