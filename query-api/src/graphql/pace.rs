//! The pace of an operation: it makes so many values and then lets other tasks have their turn.
//!
//! Within one operation a field that waits holds only itself up: the library polls all its siblings, whatever
//! they are, before its future gives the worker back. So every field takes a step here, and once those of one
//! poll are used up, all wait until the whole operation was polled again. An operation whose client has left is
//! dropped there.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use async_graphql::Response;
use futures::StreamExt as _;
use futures::stream::{BoxStream, Stream};

/// Values that are made before a worker goes on with something else: a few milliseconds without optimisation.
pub(super) const STEPS_PER_POLL: usize = 256;

/// The steps of one operation. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Pace(Arc<Mutex<Steps>>);

#[derive(Default)]
struct Steps {
    /// Of this poll.
    left: usize,
    /// Fields that wait for the next one, in the order in which they came.
    waiting: VecDeque<Waker>,
}

impl Pace {
    /// Waits until there is a step left. Cancel-safe.
    pub(super) async fn take_step(&self) {
        poll_fn(|context| {
            let mut steps = self.steps();
            if let Some(left) = steps.left.checked_sub(1) {
                steps.left = left;
                return Poll::Ready(());
            }
            steps.waiting.push_back(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether fields wait for the next poll.
    pub(super) fn is_held(&self) -> bool {
        !self.steps().waiting.is_empty()
    }

    fn begin_poll(&self) {
        let mut steps = self.steps();
        steps.left = STEPS_PER_POLL;
        let woken = steps.waiting.len().min(STEPS_PER_POLL);
        let woken: Vec<_> = steps.waiting.drain(..woken).collect();
        drop(steps);
        woken.into_iter().for_each(Waker::wake);
    }

    fn steps(&self) -> MutexGuard<'_, Steps> {
        // Nothing that holds it can panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of an operation whose fields take their steps at `pace`.
pub(super) struct PacedAnswers {
    pub(super) answers: BoxStream<'static, Response>,
    pub(super) pace: Pace,
}

impl Stream for PacedAnswers {
    type Item = Response;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Response>> {
        self.pace.begin_poll();
        let polled = self.answers.poll_next_unpin(context);
        if polled.is_pending() && self.pace.is_held() {
            context.waker().wake_by_ref();
        }
        polled
    }
}
