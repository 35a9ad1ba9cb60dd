//! The beginning of every operation, off the async workers: its text is parsed and validated on a
//! thread for blocking work, a few at a time, within a time.
//!
//! Invariants: however long an operation computes before it first waits, no worker waits for it. A
//! thread whose operation is given up on keeps its turn until it is done, so that there are never
//! more at work than turns. Of one principal one operation at a time is prepared, whatever its others
//! came over, so that nobody else waits for more than one of each.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_graphql::{Response, ServerError};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::error::QueryError;
use crate::fair_turns::FairTurns;

/// How long an operation waits for its turn among those of its principal, and of all.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long parsing and validation may take. The costliest that passes the bounds on queries takes a tenth of
/// a second without optimisation, when it has a processor for itself; a machine that builds and tests gives it none.
pub(super) const PREPARATION_LIMIT: Duration =
    Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 1 });

/// The turns of operations that are parsed and validated at once.
pub(crate) struct Preparation(FairTurns);

impl Preparation {
    /// As many turns as there are processors, one of each principal.
    pub(crate) fn new() -> Self {
        let turns = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(FairTurns::new("queries", turns, 1))
    }

    /// `answers` for `principal`, prepared up to where they first wait: [`super::limits::QueryLimits`] lets
    /// them wait when they are validated, before anything is resolved.
    pub(super) async fn begin(
        &self,
        principal: &str,
        answers: BoxStream<'static, Response>,
    ) -> BoxStream<'static, Response> {
        match self.poll_off_workers(principal, answers).await {
            Ok(answers) => answers,
            Err(error) => stream::iter([Response::from_errors(vec![error])]).boxed(),
        }
    }

    async fn poll_off_workers(
        &self,
        principal: &str,
        mut answers: BoxStream<'static, Response>,
    ) -> Result<BoxStream<'static, Response>, ServerError> {
        let turn = self.0.wait_for_turn(principal, TURN_TIMEOUT).await?;
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
