//! What reads need, for `/readyz`: the database, the log, and read models that are not too far behind it.

use std::time::Duration;

use domain::ProjectionName;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::Position;
use platform::health::{Check, Probe};

use crate::QueryApi;
use crate::error::QueryError;
use crate::query_context::QueryContext;
use crate::read_model::projections;
use crate::read_model::words::GenerationStatusWord;

impl Probe for QueryApi {
    fn name(&self) -> &'static str {
        "database"
    }

    /// `database`, `event-log`, and one `projection:…` for each read model.
    fn checks(&self) -> BoxFuture<'_, Vec<Check>> {
        check_read_models(self.context()).boxed()
    }
}

async fn check_read_models(context: &QueryContext) -> Vec<Check> {
    let found = match projections::read_generations(&context.pool).await {
        Ok(found) => found,
        Err(error) => return vec![Check::new("database", Err(error.to_string()))],
    };
    let mut checks = vec![Check::new("database", Ok(()))];
    let serving = |projection: ProjectionName| {
        found.iter().find(|row| {
            row.projection == projection.as_str() && row.status == GenerationStatusWord::Serving
        })
    };
    let positions =
        ProjectionName::ALL.map(|projection| serving(projection).map(|row| row.position));
    let known: Vec<Position> = positions.iter().flatten().map(|at| (*at).into()).collect();
    let lags = match context.read_lags(&known).await {
        Ok((_, lags)) => {
            checks.push(Check::new("event-log", Ok(())));
            lags
        }
        Err(error) => {
            checks.push(Check::new("event-log", Err(error.to_string())));
            vec![0.0; known.len()]
        }
    };
    let mut lags = lags.into_iter();
    for (projection, position) in ProjectionName::ALL.into_iter().zip(positions) {
        let lag = position.and_then(|_| lags.next());
        checks.push(projection_check(projection, lag, context.config.ready_lag()));
    }
    checks
}

fn projection_check(projection: ProjectionName, lag_s: Option<f64>, limit: Duration) -> Check {
    let outcome = match lag_s {
        None => Err(QueryError::NotBuilt.to_string()),
        Some(lag) if lag > limit.as_secs_f64() => {
            let most = limit.as_secs_f64();
            Err(format!("it is {lag:.1} s behind the log, the most is {most} s"))
        }
        Some(_) => Ok(()),
    };
    Check::new(format!("projection:{}", projection.as_str()), outcome)
}
