//! Keeping the keys of a process as their place says, and telling the others.
//!
//! Invariant: a change is known within [`LOOK_EVERY`] and what reading takes; a place that does not answer, or a
//! database that does not, ends nothing: what was known counts on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use opentelemetry::metrics::Gauge;
use opentelemetry::{KeyValue, global};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{KeyHolderError, KeyHolders};
use crate::auth::{
    InstallationKeys, KeyAgreement, KeyError, KeyPlace, KeyPurpose, KeyRing, NamedKey,
};
use crate::health::{Check, Probe};
use crate::postgres::Pool;
use crate::shutdown::Shutdown;

/// How often the place is read, and the others are told.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long reading may take before the others are told all the same.
const READ_WITHIN: Duration = Duration::from_secs(5);
/// Keys that were not read for so long may be others by now.
const READ_FOR: Duration = Duration::from_secs(60);
/// The name of the check.
const NAME: &str = "keys";

/// The keys of a process that serves, of which the others know. Clones share them.
#[derive(Debug, Clone)]
pub struct SharedKeys {
    keys: InstallationKeys,
    holders: KeyHolders,
    probe: Arc<KeysProbe>,
}

impl SharedKeys {
    /// Begins with the keys in `place`; makes the first ones of an installation that has none, unless the place is a
    /// shared directory.
    ///
    /// # Errors
    /// When they cannot be used, are another installation's, or the database fails.
    pub async fn open(place: KeyPlace, pool: &Pool) -> Result<Self, KeyHolderError> {
        let holders = KeyHolders::for_server(pool.clone());
        // Whoever has begun had made its keys before: with a folder in common they are there now.
        if has_none(&place) && holders.are_known().await? && has_none(&place) && !place.is_shared()
        {
            // Made here they would be an installation's of their own.
            return Err(KeyHolderError::Elsewhere(place.folder().to_owned()));
        }
        let ring = KeyRing::open_in(place.clone(), Utc::now())?;
        let keys = InstallationKeys::new(&ring);
        keys.agree(holders.begin(&ring.held(), place.folder().display()).await?);
        let probe = Arc::new(KeysProbe::new(keys.clone()));
        Ok(Self { keys, holders, probe })
    }

    /// The keys.
    #[must_use]
    pub const fn keys(&self) -> &InstallationKeys {
        &self.keys
    }

    /// Whether they can be read, and are those of the others.
    #[must_use]
    pub fn probe(&self) -> Arc<dyn Probe> {
        self.probe.clone()
    }

    /// Keeps them as their place says, and lets those sign that all have, until `shutdown`.
    pub async fn follow(self, shutdown: Shutdown) {
        tokio::select! {
            () = follow_for_ever(&self.keys, &self.holders, &self.probe) => {}
            () = shutdown.requested() => {}
        }
        if let Err(error) = self.holders.end().await {
            tracing::debug!(%error, "others wait half a minute for the keys of this process");
        }
    }
}

fn has_none(place: &KeyPlace) -> bool {
    let found = KeyRing::find(place.clone());
    matches!(found, Err(KeyError::NoKeys { .. } | KeyError::NoSecret { .. }))
}

async fn follow_for_ever(keys: &InstallationKeys, holders: &KeyHolders, probe: &KeysProbe) {
    let gauges = KeyGauges::new();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let reader = keys.clone();
        // One that stands still is left alone; the next look finds it busy.
        let _ =
            timeout(READ_WITHIN, tokio::task::spawn_blocking(move || reader.read_again())).await;
        let held = keys.held();
        gauges.record(&held, keys.faults().len());
        match holders.renew(&held, &keys.signing_ids()).await {
            Ok(agreement) => {
                probe.note(&held, &agreement);
                keys.agree(agreement);
            }
            Err(KeyHolderError::Storage(error)) if crate::postgres::may_pass(&error) => {
                tracing::debug!(%error, "others are not told which keys this process has");
            }
            Err(error) => tracing::warn!(%error, "others are not told which keys this process has"),
        }
    }
}

struct KeyGauges {
    known: Gauge<u64>,
    faults: Gauge<u64>,
}

impl KeyGauges {
    fn new() -> Self {
        let meter = global::meter("chipq.keys");
        let known = meter
            .u64_gauge("chipq.keys.known")
            .with_unit("{key}")
            .with_description("Keys that this process verifies with, by what they are for.");
        let faults = meter
            .u64_gauge("chipq.keys.faults")
            .with_unit("{fault}")
            .with_description("What was wrong with the place of the keys when it was read last.");
        Self { known: known.build(), faults: faults.build() }
    }

    fn record(&self, held: &[NamedKey], faults: usize) {
        for purpose in KeyPurpose::ALL {
            let known = held.iter().filter(|key| key.purpose == purpose).count();
            let label = KeyValue::new("chipq.keys.purpose", purpose.as_str());
            self.known.record(known as u64, &[label]);
        }
        self.faults.record(faults as u64, &[]);
    }
}

/// Whether the keys of this process are those of the others, and can be read. It is ready without: what it had counts on.
#[derive(Debug)]
struct KeysProbe {
    keys: InstallationKeys,
    /// Keys that others have and this process has not.
    lacking: Mutex<Vec<String>>,
    began_at: Instant,
}

impl KeysProbe {
    fn new(keys: InstallationKeys) -> Self {
        Self { keys, lacking: Mutex::default(), began_at: Instant::now() }
    }

    fn note(&self, held: &[NamedKey], agreement: &KeyAgreement) {
        let is_lacking = |id: &str| !held.iter().any(|key| key.id == id);
        let known = agreement.iter().filter(|agreed| agreed.is_published && agreed.known_by > 0);
        let lacking = known.map(|agreed| agreed.id.clone()).filter(|id| is_lacking(id)).collect();
        *self.lacking.lock().unwrap_or_else(PoisonError::into_inner) = lacking;
    }

    fn check(&self) -> Result<(), String> {
        let mut flaws = self.keys.faults();
        let read_ago = self.keys.read_ago();
        if read_ago > READ_FOR && self.began_at.elapsed() > READ_FOR {
            flaws.push(format!(
                "they were not read for {} s: their place does not answer",
                read_ago.as_secs()
            ));
        }
        let lacking = self.lacking.lock().unwrap_or_else(PoisonError::into_inner).join(", ");
        if !lacking.is_empty() {
            flaws.push(format!(
                "other processes have a key that is not here: {lacking}; see that all see the same directory"
            ));
        }
        if flaws.is_empty() { Ok(()) } else { Err(flaws.join(" | ")) }
    }
}

impl Probe for KeysProbe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        std::future::ready(vec![Check::degrading(NAME, self.check())]).boxed()
    }
}
