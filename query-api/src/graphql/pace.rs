//! The pace of an operation: it makes so many values and then lets other tasks have their turn.
//!
//! Within one operation a field that waits holds only itself up: the library polls all its siblings, whatever
//! they are, before its future gives the worker back. So every field takes a step here, and once those of one
//! poll are used up, all wait until the whole operation was polled again. An operation whose client has left is
//! dropped there.
//!
//! Whoever gathers what fields ask for (`loaders`) learns here when nobody will ask for more: when the operation was
//! polled to the end and all its fields wait. And it is not polled while answers are handed out, so that fields which
//! go on at once ask together again.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_graphql::Response;
use futures::StreamExt as _;
use futures::stream::{BoxStream, Stream};
use futures::task::AtomicWaker;
use tokio::sync::watch;

/// Values that are made before a worker goes on with something else: a few milliseconds without optimisation.
pub(super) const STEPS_PER_POLL: usize = 256;

/// The steps of one operation. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Pace {
    steps: Arc<Mutex<Steps>>,
    /// Changes when all fields wait.
    rests: Arc<watch::Sender<()>>,
}

#[derive(Default)]
struct Steps {
    /// Of this poll.
    left: usize,
    /// Fields that wait for the next one, in the order in which they came.
    waiting: VecDeque<Waker>,
    /// Answers that are being handed out, and whom to wake when they are.
    deliveries: usize,
    held_up: Option<Waker>,
}

/// Answers that are being handed out, until this is dropped.
pub(super) struct Delivery(Pace);

impl Drop for Delivery {
    fn drop(&mut self) {
        let mut steps = self.0.steps();
        steps.deliveries = steps.deliveries.saturating_sub(1);
        let woken = if steps.deliveries == 0 { steps.held_up.take() } else { None };
        drop(steps);
        woken.into_iter().for_each(Waker::wake);
    }
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

    /// Waits, from when it is called on, until all fields wait for something else than a step.
    pub(super) fn rest(&self) -> impl Future<Output = ()> + use<> {
        let mut rests = self.rests.subscribe();
        async move {
            // An operation that is over asks for nothing any more.
            let _ = rests.changed().await;
        }
    }

    /// Answers are going to be handed out: the operation is not polled until what [`Self::delivery`] returns is dropped.
    pub(super) fn begin_delivery(&self) {
        self.steps().deliveries += 1;
    }

    /// The end of a delivery that may have begun.
    pub(super) fn delivery(&self) -> Delivery {
        Delivery(self.clone())
    }

    /// Whether answers are being handed out; whoever polls is woken then.
    fn is_delivering(&self, context: &Context<'_>) -> bool {
        let mut steps = self.steps();
        let is_delivering = steps.deliveries > 0;
        if is_delivering {
            steps.held_up = Some(context.waker().clone());
        }
        is_delivering
    }

    /// Whether fields wait for the next poll.
    fn is_held(&self) -> bool {
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
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of an operation whose fields take their steps at `pace`.
pub(super) struct PacedAnswers {
    answers: BoxStream<'static, Response>,
    pace: Pace,
    wakes: Arc<Wakes>,
}

impl PacedAnswers {
    pub(super) fn new(answers: BoxStream<'static, Response>, pace: Pace) -> Self {
        Self { answers, pace, wakes: Arc::default() }
    }
}

/// Notices that the operation is to be polled again, and hands that on.
#[derive(Default)]
struct Wakes {
    task: AtomicWaker,
    /// Since it was polled last.
    is_woken: AtomicBool,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.task.wake();
    }
}

impl Stream for PacedAnswers {
    type Item = Response;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Response>> {
        if self.pace.is_delivering(context) {
            return Poll::Pending;
        }
        self.pace.begin_poll();
        let wakes = Arc::clone(&self.wakes);
        wakes.task.register(context.waker());
        wakes.is_woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&wakes));
        let polled = self.answers.poll_next_unpin(&mut Context::from_waker(&waker));
        if polled.is_pending() && self.pace.is_held() {
            context.waker().wake_by_ref();
        } else if !wakes.is_woken.load(Ordering::SeqCst) {
            // Nothing has given its turn back, to go on with at the next poll.
            self.pace.rests.send_replace(());
        }
        polled
    }
}
