//! One span around the execution of every operation, over whatever it came: POST, events or WebSocket.
//!
//! Absent on purpose: the query's text and its variables, which hold what people typed.

use std::sync::Arc;

use async_graphql::Response;
use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};

/// The extension that opens the span.
pub(super) struct ExecutionSpan;

impl ExtensionFactory for ExecutionSpan {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for ExecutionSpan {
    /// Runs once the query is parsed and validated, so the name is one that the query defines; for a
    /// subscription, once for each of its items.
    #[tracing::instrument(name = "graphql_operation", skip_all, fields(operation = operation_name, errors))]
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let response = next.run(ctx, operation_name).await;
        tracing::Span::current().record("errors", response.errors.len());
        response
    }
}
