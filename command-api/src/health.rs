//! What commands need, for `/readyz`: the event log, and somewhere to put pictures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::health::{Check, Probe};
use tokio::sync::Mutex;

use crate::CommandApi;

/// For so long a store is as it was found: looking writes, syncs and deletes a file, and whoever may ask
/// without a token could keep the disk busy with it.
const STORE_FOUND_FOR: Duration = Duration::from_secs(2);

/// How the store was found, and when. Whoever asks meanwhile waits for the one look.
#[derive(Default)]
struct StoreReadiness(Mutex<Option<(Instant, Result<(), String>)>>);

impl StoreReadiness {
    /// How the store was found shortly before `now`, else how `look` finds it.
    async fn check(
        &self,
        now: Instant,
        look: impl Future<Output = Result<(), String>>,
    ) -> Result<(), String> {
        let mut found = self.0.lock().await;
        match &*found {
            Some((at, outcome)) if now.saturating_duration_since(*at) < STORE_FOUND_FOR => {
                outcome.clone()
            }
            _ => {
                let outcome = look.await;
                *found = Some((now, outcome.clone()));
                outcome
            }
        }
    }
}

struct CommandProbe {
    api: CommandApi,
    store: StoreReadiness,
}

impl CommandApi {
    /// Whether commands can be taken. One for a process: it remembers how the store was found.
    #[must_use]
    pub fn probe(&self) -> Arc<dyn Probe> {
        Arc::new(CommandProbe { api: self.clone(), store: StoreReadiness::default() })
    }
}

impl Probe for CommandProbe {
    fn name(&self) -> &'static str {
        "command-api"
    }

    /// `event-log`: its head can be read. `artifact-store`: it can be written.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let api = &self.api;
            let ping = async { api.artifacts().ping().await.map_err(|error| error.to_string()) };
            let (log, store) =
                tokio::join!(api.log().head(), self.store.check(Instant::now(), ping));
            vec![
                Check::new("event-log", log.map(drop).map_err(|error| error.to_string())),
                Check::new("artifact-store", store),
            ]
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn however_often_it_is_asked_the_store_is_looked_at_every_two_seconds() {
        let (readiness, looks) = (StoreReadiness::default(), AtomicUsize::new(0));
        let find = |outcome: Result<(), &'static str>| {
            let looks = &looks;
            async move {
                looks.fetch_add(1, Ordering::SeqCst);
                outcome.map_err(str::to_owned)
            }
        };
        let begun = Instant::now();
        let soon = begun + STORE_FOUND_FOR - Duration::from_millis(1);
        for now in [begun, begun, soon] {
            assert_eq!(readiness.check(now, find(Err("away"))).await, Err("away".to_owned()));
        }
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        let later = begun + STORE_FOUND_FOR;
        assert_eq!(readiness.check(later, find(Ok(()))).await, Ok(()));
        assert_eq!(readiness.check(later, find(Err("away"))).await, Ok(()));
        assert_eq!(looks.load(Ordering::SeqCst), 2);
    }
}
