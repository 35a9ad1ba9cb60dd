//! What commands need, for `/readyz`: the event log, and somewhere to put pictures.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::health::{Check, Probe};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::CommandApi;

/// For so long a store is as it was found: looking writes, syncs and deletes a file, and whoever may ask
/// without a token could keep the disk busy with it.
const STORE_FOUND_FOR: Duration = Duration::from_secs(2);
/// How long whoever asks waits for a look: less than readiness waits for all that is said here.
const LOOK_PATIENCE: Duration = Duration::from_secs(1);

/// How a store was found, and when; `None` while it is looked at.
type Found = Option<(Instant, Result<(), String>)>;

/// The last look at the store. Whoever asks meanwhile waits for that one; nobody who gives up ends it, so
/// that a slow disk has one look at a time, and no file of it stays behind.
struct StoreReadiness {
    last: Mutex<Option<watch::Receiver<Found>>>,
    /// How long whoever asks waits for a look.
    patience: Duration,
}

impl StoreReadiness {
    const fn new(patience: Duration) -> Self {
        Self { last: Mutex::new(None), patience }
    }

    /// How the store was found shortly before `now`, else how `look` finds it.
    async fn check(
        &self,
        now: Instant,
        look: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> Result<(), String> {
        let mut found = self.last_look(now, look);
        match timeout(self.patience, found.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.as_ref().map_or(Ok(()), |(_, outcome)| outcome.clone()),
            Ok(Err(_)) => Err("looking at it panicked".to_owned()),
            Err(_) => Err(format!("it has not answered for {} s", self.patience.as_secs_f32())),
        }
    }

    /// The look under way, or over for a short time; else a new one.
    fn last_look(
        &self,
        now: Instant,
        look: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> watch::Receiver<Found> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = last.as_ref().filter(|found| is_recent(found, now)) {
            return found.clone();
        }
        let (sender, found) = watch::channel(None);
        tokio::spawn(async move {
            let outcome = look.await;
            sender.send_replace(Some((Instant::now(), outcome)));
        });
        *last = Some(found.clone());
        found
    }
}

fn is_recent(look: &watch::Receiver<Found>, now: Instant) -> bool {
    match &*look.borrow() {
        Some((at, _)) => now.saturating_duration_since(*at) < STORE_FOUND_FOR,
        // One that panicked has no sender any more.
        None => look.has_changed().is_ok(),
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
        Arc::new(CommandProbe { api: self.clone(), store: StoreReadiness::new(LOOK_PATIENCE) })
    }
}

impl Probe for CommandProbe {
    fn name(&self) -> &'static str {
        "command-api"
    }

    /// `event-log`: its head can be read. `database-disk`: nothing was refused for want of room. `artifact-store`:
    /// it can be written.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let api = &self.api;
            let looked_at = api.clone();
            let ping = async move {
                looked_at.artifacts().ping().await.map_err(|error| error.to_string())
            };
            let (log, room, store) = tokio::join!(
                api.log().head(),
                api.idempotency().check_room(),
                self.store.check(Instant::now(), ping)
            );
            // A bucket is everybody's: without it no other instance can do more, and this one is of use for all else.
            let store_check =
                if api.artifacts().is_remote() { Check::degrading } else { Check::new };
            vec![
                Check::new("event-log", log.map(drop).map_err(|error| error.to_string())),
                Check::new("database-disk", room),
                store_check("artifact-store", store),
            ]
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    type Looks = Arc<AtomicUsize>;

    /// A look that is counted when it begins.
    fn look(
        looks: &Looks,
        ends: impl Future<Output = Result<(), String>> + Send + 'static,
    ) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let looks = Arc::clone(looks);
        async move {
            looks.fetch_add(1, Ordering::SeqCst);
            ends.await
        }
    }

    fn away() -> Result<(), String> {
        Err("away".to_owned())
    }

    #[tokio::test]
    async fn however_often_it_is_asked_the_store_is_looked_at_every_two_seconds() {
        let (readiness, looks) = (StoreReadiness::new(PATIENCE), Looks::default());
        let check = |now, outcome| readiness.check(now, look(&looks, ready(outcome)));
        let begun = Instant::now();
        let soon = begun + STORE_FOUND_FOR - Duration::from_millis(1);
        for now in [begun, begun, soon] {
            assert_eq!(check(now, away()).await, away());
        }
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        let later = Instant::now() + STORE_FOUND_FOR;
        assert_eq!(check(later, Ok(())).await, Ok(()));
        assert_eq!(check(Instant::now(), away()).await, Ok(()));
        assert_eq!(looks.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_look_that_nobody_waits_for_any_more_goes_on_and_is_the_only_one() {
        let (readiness, looks) = (StoreReadiness::new(Duration::from_millis(20)), Looks::default());
        let (disk, answers) = oneshot::channel::<()>();
        let slow = look(&looks, async {
            let _ = answers.await;
            Ok(())
        });
        let late = readiness.check(Instant::now(), slow).await.unwrap_err();
        assert_eq!(late, "it has not answered for 0.02 s");
        let later = Instant::now() + STORE_FOUND_FOR;
        for _ in 0..3 {
            let asked = readiness.check(later, look(&looks, ready(away())));
            assert_eq!(asked.now_or_never(), None, "the look is under way");
        }
        disk.send(()).unwrap();
        let patient = StoreReadiness { patience: PATIENCE, ..readiness };
        let found = patient.check(Instant::now(), look(&looks, ready(away()))).await;
        assert_eq!((found, looks.load(Ordering::SeqCst)), (Ok(()), 1), "its outcome");
    }

    #[tokio::test]
    async fn a_look_that_panicked_is_followed_by_another() {
        let readiness = StoreReadiness::new(PATIENCE);
        let faulty = readiness.check(Instant::now(), async { panic!("a bug of the store") }).await;
        assert_eq!(faulty, Err("looking at it panicked".to_owned()));
        assert_eq!(readiness.check(Instant::now(), ready(Ok(()))).await, Ok(()));
    }
}
