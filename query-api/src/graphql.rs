//! GraphQL over the read model: queries, Relay connections, one subscription; and what operators decide about
//! the read model itself.
//!
//! Invariants: a query is bounded before any SQL runs; what a field shows needs its scope, and is within the reach of
//! who asks; a field
//! of many objects is one statement. Absent: what stations and engineers command, which goes to the command
//! API.

mod argument_weight;
mod connection;
mod cost;
mod execution_span;
mod expansion;
mod http;
mod introspection;
mod limits;
mod loaders;
mod metrics;
mod mutation;
mod node;
mod objects;
mod pace;
mod part_objects;
mod preparation;
mod query;
mod query_text;
mod refusal;
mod request_body;
mod sse;
mod subscription;
mod websocket;

use std::sync::Arc;

use async_graphql::{Context, Guard, Request, Response, Schema, SchemaBuilder};
use axum::Router;
use axum::routing::{get, post};
use futures::stream::{BoxStream, StreamExt as _, once};
use platform::auth::Scope;

use crate::QueryApi;
use crate::error::QueryError;
use crate::query_context::QueryContext;
use crate::session::Session;
use execution_span::ExecutionSpan;
use limits::QueryLimits;
use loaders::RequestLoaders;
use mutation::RepairMutation;
use pace::{Pace, PacedAnswers};
pub(crate) use preparation::Preparation;
use query::Query;
use subscription::Subscription;

/// The schema with everything its resolvers need.
pub(crate) type ApiSchema = Schema<Query, RepairMutation, Subscription>;

pub(crate) fn routes() -> Router<QueryApi> {
    Router::new()
        .route("/graphql", post(http::serve_graphql))
        .route("/graphql/ws", get(websocket::upgrade_connection))
}

/// The schema over `reads`.
pub(crate) fn build_schema(reads: Arc<QueryContext>) -> ApiSchema {
    bound_schema(Schema::build(Query, RepairMutation, Subscription))
        .data(reads)
        .extension(ExecutionSpan)
        .finish()
}

/// The schema with the bounds of its operations.
fn bound_schema(
    schema: SchemaBuilder<Query, RepairMutation, Subscription>,
) -> SchemaBuilder<Query, RepairMutation, Subscription> {
    schema.extension(QueryLimits).limit_recursive_depth(expansion::LEVELS_MAX)
}

/// The schema in GraphQL's schema language, as `schemas/schema.graphql` holds it.
#[must_use]
pub fn sdl() -> String {
    Schema::build(Query, RepairMutation, Subscription).finish().sdl()
}

/// The one answer to `request`, prepared off the async workers.
async fn execute_once(api: &QueryApi, session: Session, request: Request) -> Response {
    let principal = session.principal().to_owned();
    let (schema, pace) = (api.graphql_schema().clone(), Pace::default());
    let request = asked_by(session, api, &pace, request);
    let answers = once(async move { schema.execute(request).await }).boxed();
    let answer = PacedAnswers::new(answers, pace).boxed();
    let mut answers = api.preparation().begin(&principal, answer).await;
    answers.next().await.unwrap_or_default()
}

/// The answers to `request`, of which only a subscription has many; prepared off the async workers.
fn execute_stream(
    api: &QueryApi,
    session: Session,
    request: Request,
) -> BoxStream<'static, Response> {
    let (principal, pace) = (session.principal().to_owned(), Pace::default());
    let answers = api.graphql_schema().execute_stream(asked_by(session, api, &pace, request));
    let answers = PacedAnswers::new(answers, pace).boxed();
    let api = api.clone();
    once(async move { api.preparation().begin(&principal, answers).await }).flatten().boxed()
}

/// `request` with who asks, loaders of its own, and its pace.
fn asked_by(session: Session, api: &QueryApi, pace: &Pace, request: Request) -> Request {
    let pool = api.context().pool.clone();
    let loaders = RequestLoaders::new(pool, session.reach().clone(), pace.clone());
    request.data(session).data(loaders).data(pace.clone())
}

/// A field that needs a scope.
struct Allowed(Scope);

impl Guard for Allowed {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        Ok(current_session(ctx)?.require_scope(self.0)?)
    }
}

/// A field that is of the whole installation: of nobody who is limited to stations or parts.
struct Everywhere;

impl Guard for Everywhere {
    async fn check(&self, ctx: &Context<'_>) -> async_graphql::Result<()> {
        Ok(current_session(ctx)?.require_everywhere()?)
    }
}

fn current_session<'a>(ctx: &Context<'a>) -> Result<&'a Session, QueryError> {
    ctx.data_opt::<Session>().ok_or_else(|| QueryError::internal("a request without its session"))
}

fn query_context<'a>(ctx: &Context<'a>) -> Result<&'a Arc<QueryContext>, QueryError> {
    ctx.data_opt::<Arc<QueryContext>>()
        .ok_or_else(|| QueryError::internal("a schema without its data"))
}

fn request_loaders<'a>(ctx: &Context<'a>) -> Result<&'a RequestLoaders, QueryError> {
    ctx.data_opt().ok_or_else(|| QueryError::internal("a request without its loaders"))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::introspection_as_tools_send_it;
