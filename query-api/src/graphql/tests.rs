//! Random queries, as large as a body may be: fragments that spread each other, brackets in brackets, and
//! tokens in any order. Each is answered, within the limit that the code sets itself, on half a stack. And
//! introspection: as many values as were counted, a few at a time.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest, NextResolve, ResolveInfo,
};
use async_graphql::parser::parse_query;
use async_graphql::{ServerResult, Value};
use futures::StreamExt as _;
use proptest::collection::vec;
use proptest::prelude::*;

use super::introspection::count_introspected;
use super::pace::STEPS_PER_POLL;
use super::preparation::PREPARATION_LIMIT;
use super::*;

/// Stacks of half the size that a worker has: what fits, fits twice.
const STACK_BYTES: usize = 1 << 20;
/// The largest query that a body has room for, in bytes.
const QUERY_MAX_BYTES: usize = 60 << 10;

/// A graph of fragments: for each, which it spreads, how deep in inline fragments, and in how many fields.
fn fragment_graph() -> impl Strategy<Value = String> {
    let inline = prop_oneof![0..3_usize, 0..70_usize];
    let fragment = (vec(0..200_usize, 0..16), inline, 0..3_usize);
    (vec(fragment, 0..200), 0..20_usize).prop_map(|(fragments, from_root)| {
        let mut query: String =
            (0..from_root).map(|n| format!("a{n}: parts {{ ...f{n} }} ")).collect();
        query = format!("{{ __typename {query} }}");
        for (n, (spreads, inline, fields)) in fragments.iter().enumerate() {
            let inner: String = spreads.iter().map(|to| format!("...f{to} ")).collect();
            let (open, close) = ("...{".repeat(*inline), "}".repeat(*inline));
            let (down, up) = ("nodes{".repeat(*fields), "}".repeat(*fields));
            let _ = write!(
                query,
                " fragment f{n} on PartConnection {{{open}{down}{inner}__typename{up}{close}}}"
            );
        }
        query
    })
}

/// Any order of what queries are made of.
fn token_soup() -> impl Strategy<Value = String> {
    let tokens = [
        "{",
        "{",
        "{",
        "}",
        "}",
        "(",
        ")",
        "[",
        "]",
        "...",
        "... on Query",
        "...f",
        ":",
        "a",
        "parts",
        "inspections",
        "nodes",
        "__schema",
        "types",
        "fields",
        "fragment f on Query",
        "query",
        "$v",
        "subscription",
        "inspectionChanged",
        "@include(if: true)",
        "\"",
        "\"\"\"",
        "\\",
        "\\\"\"\"",
        "\"x\"",
        "\"\"\"x\"\"\"",
        "#",
        "\n",
        "1",
        "-1.5e3",
        "null",
        "!",
        "=",
        "first: 200",
        ",",
    ];
    vec(prop::sample::select(tokens.to_vec()), 0..8_000).prop_map(|tokens| tokens.join(" "))
}

/// Brackets of one kind in each other, sound or not.
fn nesting() -> impl Strategy<Value = String> {
    let kinds = [
        ("parts(filter: ", "[", "]"),
        ("parts(filter: ", "{a: ", "}"),
        ("", "{a", "}"),
        ("", "{...", "}"),
        ("", "{a(b: [{c: ", "}])}"),
        ("query($v: ", "[", "]"),
    ];
    let depths = prop_oneof![0..70_usize, 0..10_000_usize];
    (prop::sample::select(kinds.to_vec()), depths.clone(), depths).prop_map(
        |((start, open, close), down, up)| {
            format!("{{ {start}{} x {} }}", open.repeat(down), close.repeat(up))
        },
    )
}

/// A schema with the bounds of the real one and nothing behind it.
fn schema() -> ApiSchema {
    bound_schema(Schema::build(Query, RepairMutation, Subscription)).finish()
}

/// Whether `query` is answered at all, within the limit that the code sets itself.
async fn is_answered(schema: &ApiSchema, preparation: &Preparation, query: String) -> bool {
    let schema = schema.clone();
    let answer = once(async move { schema.execute(query).await }).boxed();
    let answered = async { preparation.begin("somebody", answer).await.next().await };
    let generous = PREPARATION_LIMIT + Duration::from_secs(30);
    matches!(tokio::time::timeout(generous, answered).await, Ok(Some(_)))
}

#[test]
fn any_query_that_a_body_has_room_for_is_answered_in_time() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .unwrap();
    let (schema, preparation) = (schema(), Preparation::new());
    let queries = prop_oneof![fragment_graph(), token_soup(), nesting()];
    let config = ProptestConfig { cases: 192, max_shrink_iters: 64, ..ProptestConfig::default() };
    proptest!(config, |(mut query in queries)| {
        query.truncate(QUERY_MAX_BYTES);
        let answered = runtime.block_on(async {
            let (schema, preparation) = (&schema, &preparation);
            is_answered(schema, preparation, query).await
        });
        prop_assert!(answered);
    });
}

/// Introspection as graphql-js sends it, and whatever is built on it.
pub(crate) const fn introspection_as_tools_send_it() -> [&'static str; 2] {
    [
        include_str!("../tests/introspection/graphql-js-16.graphql"),
        include_str!("../tests/introspection/graphql-js-17.graphql"),
    ]
}

/// Counts the values that are made, and keeps what was reckoned.
#[derive(Clone, Default)]
struct Counted {
    made: Arc<AtomicUsize>,
    reckoned: Arc<AtomicUsize>,
}

impl ExtensionFactory for Counted {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(self.clone())
    }
}

#[async_trait]
impl Extension for Counted {
    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let document = parse_query(&request.query)?;
        let registry = &ctx.schema_env.registry;
        let reckoned = count_introspected(&document, &request.variables, registry);
        self.reckoned.store(reckoned, Ordering::Relaxed);
        next.run(ctx, request).await
    }

    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        self.made.fetch_add(1, Ordering::Relaxed);
        next.run(ctx, info).await
    }
}

#[tokio::test]
async fn as_many_values_are_reckoned_as_introspection_answers() {
    let others = [
        "{ __schema { types { kind fields { args { type { ofType { name } } } type { name } } } } }",
        "{ a: __type(name: \"Part\") { fields { name } } b: __type(name: \"none\") { name } }",
        "query($t: String = \"PartFilter\") { __type(name: $t) { inputFields { name type { kind } } } }",
        "{ __schema { queryType { ...t } directives { locations args { name } } } }
         fragment t on __Type { interfaces { name } possibleTypes { name } ... { enumValues { name } } }",
        "{ __schema { types { enumValues { name } ofType { name } } mutationType { name } } }",
    ];
    for query in introspection_as_tools_send_it().into_iter().chain(others) {
        let counted = Counted::default();
        let schema = Schema::build(Query, RepairMutation, Subscription).extension(counted.clone());
        let answer = schema.finish().execute(query).await;
        assert!(answer.errors.is_empty(), "{query}: {:?}", answer.errors);
        let [made, reckoned] =
            [&counted.made, &counted.reckoned].map(|count| count.load(Ordering::Relaxed));
        // Types that nothing leads to are counted and not shown; one that is not there is reckoned elsewhere.
        let most = reckoned + query.matches("none").count();
        assert!(made <= most && most <= made + made / 20, "{made} {most}: {query}");
    }
}

#[tokio::test]
async fn a_worker_is_given_back_after_a_few_values() {
    // As large as what costs one request may be.
    let query = "{ __schema { types { name kind description specifiedByURL isOneOf } } }";
    let (counted, pace) = (Counted::default(), Pace::default());
    let schema = Schema::build(Query, RepairMutation, Subscription).extension(QueryLimits);
    let schema = schema.extension(counted.clone()).finish();
    let request = Request::new(query).data(pace.clone());
    let answers = once(async move { schema.execute(request).await }).boxed();
    let mut answers = PacedAnswers::new(answers, pace);
    let mut context = std::task::Context::from_waker(Waker::noop());
    let (mut before, mut most) = (0, 0);
    let answer = loop {
        let polled = answers.poll_next_unpin(&mut context);
        let made = counted.made.load(Ordering::Relaxed);
        (most, before) = (most.max(made - before), made);
        if let Poll::Ready(answer) = polled {
            break answer.unwrap();
        }
    };
    assert!(before > STEPS_PER_POLL && answer.errors.is_empty(), "{before}: {:?}", answer.errors);
    assert!(most <= STEPS_PER_POLL, "{most} values of {before} in one poll");
}
