//! A company's identity provider: where its keys are, and keeping what is known of them as it says (OpenID Connect
//! Discovery 1.0).
//!
//! Invariants: the process starts, and goes on, without it; it is asked by one task, at most so often, over TLS or on
//! this machine, for so many bytes and so long; what it answers counts as a whole or not at all. Absent: what its
//! tokens prove (`auth`).

mod config;
mod discovery;
mod fetch;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use opentelemetry::metrics::Counter;
use opentelemetry::{KeyValue, global};

use crate::auth::{ExternalIssuer, KeySet};
use crate::backoff::Backoff;
use crate::health::{Check, Probe};
use crate::shutdown::Shutdown;
pub use config::IdentityProviderConfig;
use discovery::{DiscoveryError, read_key_set_url};
use fetch::{Fetcher, WebAddress};

/// The pause before a provider that does not answer is asked again.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60), 0.5);
/// What it is called in readiness and metrics.
const NAME: &str = "identity-provider";

/// A company's identity provider. Clones share what is known of its keys.
#[derive(Debug, Clone)]
pub struct IdentityProvider {
    issuer: ExternalIssuer,
    address: WebAddress,
    fetcher: Fetcher,
    /// Between two looks at its keys.
    refresh: Duration,
}

impl IdentityProvider {
    /// The issuer of its tokens.
    #[must_use]
    pub const fn issuer(&self) -> &ExternalIssuer {
        &self.issuer
    }

    /// Whether its keys are as it serves them now. Local accounts need none of it: the process is ready all the same.
    #[must_use]
    pub fn probe(&self) -> Arc<dyn Probe> {
        Arc::new(IdentityProviderProbe(self.issuer.clone()))
    }

    /// Keeps its keys as it says, until `shutdown`.
    pub async fn follow(self, shutdown: Shutdown) {
        tokio::select! {
            () = self.follow_for_ever() => {}
            () = shutdown.requested() => {}
        }
    }

    async fn follow_for_ever(&self) {
        let fetches = count_fetches();
        let mut attempt = 0;
        loop {
            let is_well = self.ask_for_keys(&fetches).await;
            let pause = if is_well { self.refresh } else { RETRY.delay(attempt) };
            attempt = if is_well { 0 } else { attempt.saturating_add(1) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.issuer.keys().wanted() => {}
            }
        }
    }

    /// Asks once; whether it answered.
    async fn ask_for_keys(&self, fetches: &Counter<u64>) -> bool {
        let keys = self.issuer.keys();
        keys.note_question();
        let answer = self.fetch_keys().await;
        let failed_by = answer.as_ref().err().map(DiscoveryError::name);
        let labels = failed_by.map(|name| KeyValue::new("error.type", name));
        fetches.add(1, labels.as_slice());
        let issuer = self.issuer.url();
        match answer {
            Ok(found) => {
                let ids = found.ids().collect::<Vec<_>>().join(" ");
                if keys.note_answer(Ok(found)) {
                    tracing::info!(issuer, keys = ids, "the identity provider's keys are known");
                }
                true
            }
            Err(error) => {
                keys.note_answer(Err(error.to_string()));
                tracing::warn!(issuer, %error, "the identity provider's keys cannot be had");
                false
            }
        }
    }

    async fn fetch_keys(&self) -> Result<KeySet, DiscoveryError> {
        let document = self.fetcher.fetch_json(&self.address.well_known()).await?;
        let url = read_key_set_url(&document, self.issuer.url(), &self.address)?;
        let set = self.fetcher.fetch_json(&url).await?;
        Ok(KeySet::parse(&set)?)
    }
}

fn count_fetches() -> Counter<u64> {
    global::meter("chipq.identity_provider")
        .u64_counter("chipq.identity_provider.fetches")
        .with_unit("{fetch}")
        .with_description("Looks at the keys of the identity provider, by why they failed.")
        .build()
}

struct IdentityProviderProbe(ExternalIssuer);

impl Probe for IdentityProviderProbe {
    fn name(&self) -> &'static str {
        NAME
    }

    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        let check = Check::degrading(NAME, self.0.keys().check());
        std::future::ready(vec![check]).boxed()
    }
}
