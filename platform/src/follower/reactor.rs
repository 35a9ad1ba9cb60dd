//! A reactor whose work belongs to one stream at a time, shared by any number of processes.
//!
//! Invariant: a stream is given to one task at a time here, and its partition has one owner at a time;
//! an event whose work is not done is given again, to this process or to the next owner. So whoever
//! implements this says what one stream asks for, and the rest (leases with epochs, fair shares,
//! checkpoints, back-pressure, orderly ends) is here. Absent: an order among streams; a reactor that
//! needs the log's own order is a [`super::LogReactor`].

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::event_log::{Recorded, StreamId};
use crate::shutdown::Shutdown;

/// What became of a stream that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// Nothing is left to do until another event comes.
    Done,
    /// A shutdown was asked for before it was done. Its events stay open, for the next owner.
    Left,
}

/// What reacts to the events of streams: effect first, then checkpoint.
pub trait StreamReactor: Send + Sync + 'static {
    /// Under which its leases and checkpoints are kept; the same for ever.
    fn name(&self) -> &'static str;

    /// Into how many partitions the streams are divided: the most processes that can share the work.
    /// Another number needs a migration, because checkpoints are kept by partition.
    fn partitions(&self) -> u16;

    /// Whether an event asks for something. It is asked of every event of the log that is read.
    fn gives_work(&self, event: &Recorded) -> bool;

    /// Does what `events` of one stream, in order and not empty, ask for, and tries until it is done or
    /// given up for good. They may have been given before: doing it again must change nothing.
    /// The future is dropped when the partition is lost, so it has to be cancel-safe; it returns
    /// [`Handled::Left`] soon after a shutdown was asked for, unless it is as good as done.
    fn handle<'a>(
        &'a self,
        stream: &'a StreamId,
        events: &'a [Arc<Recorded>],
        shutdown: &'a Shutdown,
    ) -> BoxFuture<'a, Handled>;
}
