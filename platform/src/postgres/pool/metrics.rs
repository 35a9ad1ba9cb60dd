//! What a pool measures of itself, by the OpenTelemetry semantic conventions for database clients.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use opentelemetry::metrics::AsyncInstrument;
use opentelemetry::{KeyValue, global};

use super::{Pool, Shared};

impl Pool {
    /// Shows its connections under `name` from now on, for as long as it lives, under the process's meter:
    /// install [`crate::metrics`] first.
    pub(crate) fn observe_as(&self, name: &'static str) {
        let meter = global::meter("chipq.database");
        let shared = Arc::downgrade(&self.0);
        meter
            .i64_observable_up_down_counter("db.client.connection.count")
            .with_unit("{connection}")
            .with_description("Connections of a pool, by what they do.")
            .with_callback(observe(shared.clone(), move |shared, observer| {
                for (state, connections) in
                    [("idle", shared.count_idle()), ("used", shared.count_used())]
                {
                    let state = KeyValue::new("db.client.connection.state", state);
                    observer.observe(connections, &[pool_name(name), state]);
                }
            }))
            .build();
        meter
            .i64_observable_up_down_counter("db.client.connection.max")
            .with_unit("{connection}")
            .with_description("Most connections that a pool may have.")
            .with_callback(observe(shared.clone(), move |shared, observer| {
                observer.observe(i64::from(shared.limits.connections), &[pool_name(name)]);
            }))
            .build();
        meter
            .u64_observable_counter("chipq.database.statements")
            .with_unit("{statement}")
            .with_description("Statements given to the connections of a pool: round trips.")
            .with_callback(observe(shared, move |shared, observer| {
                let statements = shared.statements.load(Ordering::Relaxed);
                observer.observe(statements, &[pool_name(name)]);
            }))
            .build();
    }
}

impl Shared {
    fn count_idle(&self) -> i64 {
        i64::try_from(self.idle().len()).unwrap_or(i64::MAX)
    }

    /// Whoever waits for the network to make a connection has its place, too.
    fn count_used(&self) -> i64 {
        let free = i64::try_from(self.places.available_permits()).unwrap_or(i64::MAX);
        (i64::from(self.limits.connections) - free).max(0)
    }
}

fn pool_name(name: &'static str) -> KeyValue {
    KeyValue::new("db.client.connection.pool.name", name)
}

/// Asks a pool, while there is one.
fn observe<T>(
    shared: Weak<Shared>,
    ask: impl Fn(&Shared, &dyn AsyncInstrument<T>) + Send + Sync + 'static,
) -> impl Fn(&dyn AsyncInstrument<T>) + Send + Sync + 'static {
    move |observer| {
        if let Some(shared) = shared.upgrade() {
            ask(&shared, observer);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::foundation::{Foundation, FoundationConfig};
    use crate::metrics::{gather_text, install};
    use crate::test_support::fresh_database;

    #[tokio::test]
    async fn the_connections_of_every_pool_are_counted() {
        install().unwrap();
        let database = fresh_database().await;
        let config = FoundationConfig::from_url(database.url());
        let foundation =
            Foundation::open(&config).await.unwrap().with_pools_apart(&config).unwrap();
        let _held = foundation.read_pool().acquire().await.unwrap();
        let text = gather_text().unwrap();
        let line = |pool: &str, state: &str| {
            text.lines().find(|line| {
                line.starts_with("db_client_connection_count{")
                    && line.contains(&format!("pool_name=\"{pool}\""))
                    && line.contains(&format!("state=\"{state}\""))
            })
        };
        for pool in ["main", "reads", "leases"] {
            assert!(line(pool, "idle").is_some(), "{pool} in {text}");
        }
        assert!(line("reads", "used").unwrap().ends_with(" 1"), "{text}");
        assert!(text.contains("db_client_connection_max{"), "{text}");
    }
}
