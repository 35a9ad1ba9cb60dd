//! Bounds on every operation: on its text, its expansion and its cost before it runs, on the values
//! of its answer while it runs; and a code for every error.
//!
//! Invariant: whatever walks a query with recursion walks one that [`query_text`](super::query_text)
//! and [`expansion`](super::expansion) let pass.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextExecute, NextPrepareRequest, NextRequest,
    NextResolve, NextSubscribe, NextValidation, ResolveInfo,
};
use async_graphql::futures_util::stream::BoxStream;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{BaseType, ExecutableDocument};
use async_graphql::{Request, Response, ServerError, ServerResult, ValidationResult, Value};
use futures::StreamExt as _;
use platform::http::abbreviate;

use super::cost::{COST_MAX, REQUEST_COST, requests_beyond_one};
use super::expansion::check_expansion;
use super::introspection::count_introspected;
use super::pace::Pace;
use super::query_text::check_query_text;
use super::refusal::{Refusal, VALIDATION_FAILED};
use crate::error::{QueryError, code_extensions, with_code};
use crate::query_context::QueryContext;
use crate::session::Session;

/// The most values of one answer: fields and items of lists, whatever they cost.
const VALUES_MAX: usize = 100_000;
/// Errors in one answer.
const ERRORS_MAX: usize = 20;

/// The extension that bounds operations and gives errors their codes.
pub(super) struct QueryLimits;

impl ExtensionFactory for QueryLimits {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(OperationLimits::default())
    }
}

/// The bounds of one operation.
#[derive(Default)]
struct OperationLimits {
    /// Values that its introspection answers with.
    introspected: AtomicUsize,
    /// At which its values are made.
    pace: OnceLock<Pace>,
    /// Values of the answer that is being made.
    values: AtomicUsize,
    /// Values that were counted as requests: at first those that the query was reckoned to cost.
    paid: AtomicUsize,
}

#[async_trait]
impl Extension for OperationLimits {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        with_error_codes(next.run(ctx).await)
    }

    fn subscribe<'s>(
        &self,
        ctx: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        next.run(ctx, stream).map(with_error_codes).boxed()
    }

    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        mut request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let document = parse_within_bounds(&request)?;
        let registry = &ctx.schema_env.registry;
        check_variable_types(&document, |name| registry.types.contains_key(name))?;
        let introspected = count_introspected(&document, &request.variables, registry);
        self.introspected.store(introspected, Ordering::Relaxed);
        request.set_parsed_query(document);
        next.run(ctx, request).await
    }

    /// Ends with a pause: what comes before it runs where [`super::preparation`] polls first, what
    /// comes after it on the async workers.
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(ctx).await.map_err(|errors| {
            let extensions = Some(code_extensions(VALIDATION_FAILED));
            let errors = errors.into_iter().take(ERRORS_MAX);
            errors
                .map(|error| ServerError { extensions: extensions.clone(), ..error })
                .collect::<Vec<_>>()
        })?;
        // The library reckons with one value for each field of introspection.
        let cost = result.complexity.saturating_add(self.introspected.load(Ordering::Relaxed));
        check_cost(ctx, cost).map_err(|error| vec![error])?;
        self.paid.store(cost.max(REQUEST_COST), Ordering::Relaxed);
        if let Some(pace) = ctx.data_opt::<Pace>() {
            self.pace.get_or_init(|| pace.clone());
        }
        tokio::task::yield_now().await;
        Ok(result)
    }

    /// Runs once for every answer of a subscription.
    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        self.values.store(0, Ordering::Relaxed);
        next.run(ctx, operation_name).await
    }

    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let values = self.values.fetch_add(1, Ordering::Relaxed) + 1;
        if values > VALUES_MAX {
            let message = format!("the answer has more than {VALUES_MAX} values: ask for less");
            return Err(Refusal::TooComplex(message).into());
        }
        if values.is_multiple_of(REQUEST_COST) {
            self.pay_for_values(ctx, values)?;
        }
        if let Some(pace) = self.pace.get() {
            pace.take_step().await;
        }
        next.run(ctx, info).await
    }
}

impl OperationLimits {
    /// Counts one more request when the answer turns out to have more values than were counted.
    fn pay_for_values(&self, ctx: &ExtensionContext<'_>, values: usize) -> ServerResult<()> {
        if values <= self.paid.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.paid.fetch_add(REQUEST_COST, Ordering::Relaxed);
        count_reads(ctx, NonZeroU32::MIN)
    }
}

fn with_error_codes(mut response: Response) -> Response {
    response.errors.truncate(ERRORS_MAX);
    for error in &mut response.errors {
        if let Cow::Owned(short) = abbreviate(&error.message) {
            error.message = short;
        }
    }
    response.errors = response.errors.into_iter().map(with_code).collect();
    response
}

/// The parsed query, when it and its variables are within bounds.
fn parse_within_bounds(request: &Request) -> ServerResult<ExecutableDocument> {
    check_query_text(&request.query)?;
    let document = parse_query(&request.query).map_err(|error| {
        let error = ServerError::from(error);
        // The parser quotes the line before it says what it expected: all of it, where a query is one line.
        let reason = error.message.rsplit_once("= ").map_or(&*error.message, |(_, reason)| reason);
        let unreadable = Refusal::Unreadable(format!("the query cannot be read: {reason}"));
        ServerError { locations: error.locations, ..unreadable.into() }
    })?;
    check_expansion(&document, &request.variables)?;
    Ok(document)
}

/// Refuses variables of types that are not there: the library's check of their default values panics.
fn check_variable_types(
    document: &ExecutableDocument,
    is_known: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node);
    for definition in operations.flat_map(|operation| &operation.variable_definitions) {
        let mut variable_type = &definition.node.var_type.node.base;
        let name = loop {
            match variable_type {
                BaseType::List(inner) => variable_type = &inner.base,
                BaseType::Named(name) => break name,
            }
        };
        if !is_known(name) {
            return Err(Refusal::Invalid(format!("there is no type {name}")));
        }
    }
    Ok(())
}

/// Refuses what costs too much, and counts what costs more than a request as several.
fn check_cost(ctx: &ExtensionContext<'_>, cost: usize) -> ServerResult<()> {
    if cost > COST_MAX {
        let message = format!(
            "the query costs {cost}, the most is {COST_MAX}: ask for less, or smaller pages"
        );
        return Err(Refusal::TooComplex(message).into());
    }
    match requests_beyond_one(cost) {
        Some(reads) => count_reads(ctx, reads),
        None => Ok(()),
    }
}

fn count_reads(ctx: &ExtensionContext<'_>, reads: NonZeroU32) -> ServerResult<()> {
    match (ctx.data_opt::<Arc<QueryContext>>(), ctx.data_opt::<Session>()) {
        (Some(context), Some(session)) => Ok(session.count_reads(&context.rate, reads)?),
        _ => Err(QueryError::internal("an operation without its session").into()),
    }
}
