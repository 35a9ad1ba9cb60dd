//! A reactor whose work belongs to one stream at a time, shared by any number of processes.
//!
//! Invariant: a stream is given to one task at a time here, and its partition has one owner at a time;
//! an event whose work is not done is given again, to this process or to the next owner. So whoever
//! implements [`StreamReactor`] says what one stream asks for, and [`run_reactor`] does the rest: leases
//! with epochs and fair shares (`lease`), what is read and not done, with its checkpoints (`backlog`),
//! and the loop that reads, starts, saves and ends in order (`consumer`). Absent: an order among streams;
//! a reactor that needs the log's own order is a [`super::LogReactor`].

mod ability;
mod backlog;
mod consumer;
mod lease;
mod partition_status;
mod starvation;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

use super::tail::LogTail;
use crate::event_log::{Recorded, StreamId};
use crate::postgres::Pool;
use crate::shutdown::Shutdown;

pub use lease::LeaseError;
pub use partition_status::PartitionStatus;

use consumer::PartitionConsumer;
use lease::Leases;

/// What became of a stream that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// Nothing is left to do until another event comes.
    Done,
    /// Something is in the way. Its events stay open and are given again after the pause, with those
    /// that came meanwhile; until then its place is free for another stream.
    Later {
        /// How long, which grows with every time in a row: the reactor's own back-off.
        pause: Duration,
    },
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

    /// Whether what its work needs is there, as far as this process knows. It is asked at every renewal
    /// of the leases: a member that is not able for longer than a lease leaves its share to those that
    /// are, while there are any.
    fn is_able(&self) -> bool {
        true
    }

    /// Does what `events` of one stream, in order and not empty, ask for: until it is done, or given up
    /// for good, or something is in the way that others need not wait for ([`Handled::Later`]).
    /// They may have been given before: doing it again must change nothing.
    /// The future is dropped when the partition is lost, so it has to be cancel-safe; it returns
    /// [`Handled::Left`] soon after a shutdown was asked for, unless it is as good as done.
    fn handle<'a>(
        &'a self,
        stream: &'a StreamId,
        events: &'a [Arc<Recorded>],
        shutdown: &'a Shutdown,
    ) -> BoxFuture<'a, Handled>;
}

/// How one process takes part in a reactor's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReactorOptions {
    /// Most streams under way at a time; at least one.
    pub concurrency: usize,
    /// How long a lease on a partition lasts unless it is renewed.
    pub lease: Duration,
    /// A name that this member keeps when it starts again: it then need not wait for its own leases.
    pub member_name: Option<String>,
}

/// Follows the log and gives `reactor` what is this member's share, until a shutdown is asked for.
/// What is under way then may finish. When the future is dropped, the leases run on until they expire.
///
/// # Errors
/// When the leases cannot be used at the start. What happens later, to the database or the log, is
/// waited for.
pub async fn run_reactor(
    reactor: Arc<dyn StreamReactor>,
    (pool, tail): (Pool, LogTail),
    options: ReactorOptions,
    status: Arc<PartitionStatus>,
    shutdown: Shutdown,
) -> Result<(), LeaseError> {
    let of = (reactor.name(), reactor.partitions());
    let leases = Leases::new(pool, of, options.lease, options.member_name.as_deref());
    let concurrency = options.concurrency.max(1);
    let mut consumer =
        PartitionConsumer::start((reactor, concurrency), tail, leases, status, shutdown.clone())
            .await?;
    let requested = shutdown.requested();
    tokio::pin!(requested);
    loop {
        consumer.start_next();
        let wakeup = tokio::select! {
            () = &mut requested => break,
            wakeup = consumer.next_wakeup() => wakeup,
        };
        consumer.handle(wakeup).await;
    }
    consumer.drain().await;
    Ok(())
}
