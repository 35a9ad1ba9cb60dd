//! Hints that something may have been appended: by this process at once, by others as a subscription hears of it.
//!
//! The subscription begins at the end of the log each time: what was appended while there was none is found by whoever
//! looks, and everybody looks once when it begins.

use std::sync::Arc;
use std::time::Duration;

use kurrentdb_client::KurrentClient;
use tokio::sync::watch;

use super::names::EVENTS_PREFIX;
use crate::backoff::Backoff;

/// Between subscriptions.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5), 0.5);

/// Clones share the same hints.
#[derive(Clone, Default)]
pub(super) struct Hints(Arc<watch::Sender<u64>>);

impl Hints {
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    pub(super) fn wake(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// Listens for ever.
pub(super) async fn listen(client: KurrentClient, hints: Hints) {
    let mut attempt = 0;
    loop {
        match client.find_leader().await {
            Ok(leader) => {
                let heard = async {
                    let mut subscription = leader.subscribe_to_end(EVENTS_PREFIX).await?;
                    attempt = 0;
                    hints.wake();
                    loop {
                        subscription.wait_for_event().await?;
                        hints.wake();
                    }
                };
                let Err::<std::convert::Infallible, kurrentdb_client::KurrentError>(error) =
                    heard.await;
                tracing::debug!(%error, "the subscription to the log ended; subscribing again");
                if error.may_pass() {
                    client.give_up(&leader, &error).await;
                }
            }
            Err(error) => tracing::debug!(%error, "KurrentDB cannot be listened to now"),
        }
        AGAIN.wait(attempt).await;
        attempt = attempt.saturating_add(1);
    }
}
