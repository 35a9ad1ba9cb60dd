//! A reactor at work in one process: its consumer loop, from start to end.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use super::consumer::PartitionConsumer;
use super::lease::{LeaseError, Leases};
use super::partition_status::PartitionStatus;
use super::reactor::StreamReactor;
use super::tail::LogTail;
use crate::shutdown::Shutdown;

#[cfg(test)]
mod tests;

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
    (pool, tail): (PgPool, LogTail),
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
