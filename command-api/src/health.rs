//! What commands need, for `/readyz`: the event log, and somewhere to put pictures.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::health::{Check, Probe};

use crate::CommandApi;

impl Probe for CommandApi {
    fn name(&self) -> &'static str {
        "command-api"
    }

    /// `event-log`: its head can be read. `artifact-store`: it can be written.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        async {
            let (log, artifacts) = tokio::join!(self.log().head(), self.artifacts().ping());
            vec![
                Check::new("event-log", log.map(drop).map_err(|error| error.to_string())),
                Check::new("artifact-store", artifacts.map_err(|error| error.to_string())),
            ]
        }
        .boxed()
    }
}
