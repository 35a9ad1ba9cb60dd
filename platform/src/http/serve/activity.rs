//! What a connection is doing, and since when: what its limits are counted from.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limits::ConnectionLimits;

/// What a connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    state: Mutex<State>,
    evicted: Notify,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// When the phase began.
    since: Instant,
    /// Since when the client has taken nothing of what is sent to it.
    stalled_since: Option<Instant>,
    /// Since when nothing has come of a request's body that is read.
    body_awaited_since: Option<Instant>,
    /// Whoever reads the body has looked for more since bytes came last, and there was none.
    is_body_missing: bool,
    /// Reads the body, and waits.
    body_reader: Option<Waker>,
    /// The client's side has ended, and HTTP is not told yet.
    withheld_end: Option<WithheldEnd>,
}

/// The end of what a client sends, while it has an answer to get.
#[derive(Debug)]
struct WithheldEnd {
    since: Instant,
    /// Has to look again once it may be told.
    connection: Waker,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The head of a request is to come: of the first one, or the rest of one that has begun.
    Head,
    /// Between an answer and the next request.
    Idle,
    /// A request is being answered.
    Answering,
    /// It speaks another protocol by now.
    Upgraded,
}

impl State {
    /// Lets the connection look again whether its client's side has ended.
    fn tell_end(&mut self) {
        if let Some(end) = self.withheld_end.take() {
            end.connection.wake();
        }
    }
}

impl Activity {
    /// A new connection, of which a request is expected.
    pub(super) fn new() -> Arc<Self> {
        let state = State {
            phase: Phase::Head,
            since: Instant::now(),
            stalled_since: None,
            body_awaited_since: None,
            is_body_missing: false,
            body_reader: None,
            withheld_end: None,
        };
        Arc::new(Self { state: Mutex::new(state), evicted: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, phase: Phase) {
        let mut state = self.state();
        (state.phase, state.since) = (phase, Instant::now());
        state.is_body_missing = false;
        state.tell_end();
    }

    /// Bytes have come.
    pub(super) fn note_read(&self) {
        let mut state = self.state();
        state.is_body_missing = false;
        if state.phase == Phase::Idle {
            (state.phase, state.since) = (Phase::Head, Instant::now());
        }
    }

    /// Bytes were taken by the client's side, or had to wait for it.
    pub(super) fn note_write(&self, has_to_wait: bool) {
        let mut state = self.state();
        let since = state.stalled_since;
        state.stalled_since = has_to_wait.then(|| since.unwrap_or_else(Instant::now));
    }

    /// Whether HTTP is not told yet that the client's side has ended, since it has an answer to get; then
    /// `connection` is woken when it may be told. A client that shuts only its sending side down is not gone, and one
    /// that is gone looks the same until something is written to it. Whoever waits for more of a body is told at once.
    pub(super) fn withhold_end(&self, connection: &Waker) -> bool {
        let mut state = self.state();
        if state.phase != Phase::Answering || state.is_body_missing {
            return false;
        }
        let since = state.withheld_end.as_ref().map_or_else(Instant::now, |end| end.since);
        state.withheld_end = Some(WithheldEnd { since, connection: connection.clone() });
        // What has come may be all of the body, or not: whoever reads it finds out.
        if let Some(reader) = state.body_reader.take() {
            reader.wake();
        }
        true
    }

    /// A piece of a request's body has come or is not needed any more; or `reader` has to wait for it.
    fn note_body(&self, reader: Option<&Waker>) {
        let mut state = self.state();
        let since = state.body_awaited_since;
        state.body_awaited_since = reader.map(|_| since.unwrap_or_else(Instant::now));
        state.is_body_missing = reader.is_some();
        state.body_reader = reader.cloned();
        if state.is_body_missing {
            state.tell_end();
        }
    }

    /// A request has come; the connection is idle again when what is returned is dropped.
    pub(super) fn begin_answer(this: &Arc<Self>) -> Answering {
        this.begin(Phase::Answering);
        Answering(Some(Arc::clone(this)))
    }

    /// Since when it waits for its client: to ask something, to send the rest of a request, or to take an
    /// answer. `None` while the server has to do something.
    pub(super) fn waiting_since(&self) -> Option<Instant> {
        let state = self.state();
        match state.phase {
            Phase::Head | Phase::Idle => Some(state.since),
            Phase::Answering => {
                let ended_since = state.withheld_end.as_ref().map(|end| end.since);
                state.body_awaited_since.or(state.stalled_since).or(ended_since)
            }
            Phase::Upgraded => state.stalled_since,
        }
    }

    /// Whether no request is under way.
    pub(super) fn is_asked_nothing(&self) -> bool {
        matches!(self.state().phase, Phase::Head | Phase::Idle)
    }

    /// Asks the connection to end.
    pub(super) fn evict(&self) {
        self.evicted.notify_one();
    }

    /// Waits until it is asked to end.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }

    /// Waits until it has taken longer for something than `limits` allow.
    pub(super) async fn overdue(&self, limits: &ConnectionLimits) {
        loop {
            let now = Instant::now();
            let deadline = self.deadline(limits);
            if deadline.is_some_and(|at| at <= now) {
                return;
            }
            // What begins after this look is not overdue before the shortest limit has passed.
            let next = now + limits.shortest();
            tokio::time::sleep_until(deadline.map_or(next, |at| at.min(next))).await;
        }
    }

    fn deadline(&self, limits: &ConnectionLimits) -> Option<Instant> {
        let state = self.state();
        let of_phase = match state.phase {
            Phase::Head => Some(state.since + limits.head),
            Phase::Idle => Some(state.since + limits.idle),
            Phase::Answering | Phase::Upgraded => None,
        };
        let of_answer = state.stalled_since.map(|since| since + limits.stalled);
        of_phase.into_iter().chain(of_answer).min()
    }
}

/// A request that is being answered.
pub(super) struct Answering(Option<Arc<Activity>>);

impl Answering {
    /// The answer's body, which keeps the request under way until it is sent; for ever when the connection
    /// goes on in another protocol.
    pub(super) fn until_sent(mut self, body: Body, is_upgrade: bool) -> AnswerBody {
        if is_upgrade && let Some(activity) = self.0.take() {
            activity.begin(Phase::Upgraded);
        }
        AnswerBody { body, _answering: self }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let Some(activity) = &self.0 {
            activity.begin(Phase::Idle);
        }
    }
}

/// The body of a request, which notes when it has to be waited for.
pub(super) struct RequestBody {
    body: Incoming,
    activity: Arc<Activity>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.activity.note_body(polled.is_pending().then(|| context.waker()));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.activity.note_body(None);
    }
}

/// The body of an answer.
pub(super) struct AnswerBody {
    body: Body,
    _answering: Answering,
}

impl hyper::body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
