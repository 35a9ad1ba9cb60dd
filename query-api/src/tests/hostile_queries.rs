//! Queries made to overflow a stack or to keep a thread busy for ever: each is answered, over POST and
//! over WebSocket, and the server goes on.

use std::fmt::Write as _;

use serde_json::json;

use super::websocket::Client;
use super::world::World;

/// The largest query that a body has room for, in bytes.
const QUERY_MAX_BYTES: usize = 60 << 10;

/// Fragments of which each spreads the next from within so many inline fragments.
fn chain(fragments: usize, inline: usize) -> String {
    let mut query = "{ ...f0 }".to_owned();
    for n in 0..fragments {
        let last = n + 1 == fragments;
        let next = if last { "__typename".to_owned() } else { format!("...f{}", n + 1) };
        let (open, close) = ("...{".repeat(inline), "}".repeat(inline));
        let _ = write!(query, " fragment f{n} on Query {{{open}{next}{close}}}");
    }
    query
}

/// Fifteen fragments, each spreading the next thirty times, the last of which is not there.
fn explosion() -> String {
    let mut query = "{ ...f0 }".to_owned();
    for n in 0..15 {
        let _ =
            write!(query, " fragment f{n} on Query {{{}}}", format!("...f{}", n + 1).repeat(30));
    }
    query
}

/// A list of strings in which the parser would look at each `"""` for the end of a block string, up to the
/// end of the text.
fn endless_block_strings() -> String {
    let unit = r#""\\"""" " "#;
    // Half of it, because JSON writes a quote in two letters.
    format!("{{ parts(filter: [{}", unit.repeat(QUERY_MAX_BYTES / 2 / unit.len()))
}

/// So many times what `piece` makes of its number.
fn repeat(times: usize, piece: impl Fn(usize) -> String) -> String {
    (0..times).map(piece).collect()
}

/// Operations that each use a fragment in which nothing is defined: 400 × 2,900 errors of a library's check.
fn undefined_in_many_operations() -> String {
    let operations = repeat(400, |n| format!("query q{n}{{...f}} "));
    let variables = repeat(2_900, |n| format!("$v{n} "));
    format!("{operations} fragment f on Query {{ part(part: [{variables}]) {{ part }} }}")
}

/// Fields of one name with different arguments, merged into sixty sets: each is compared in each.
fn conflicts_in_many_sets() -> String {
    let arguments = |n: usize| repeat(9, |argument| format!("a{argument}: {n} "));
    let fields = repeat(240, |n| format!("part({}) ", arguments(n)));
    format!("{{ {}{fields}{} }}", "...{".repeat(60), "}".repeat(60))
}

#[tokio::test]
async fn what_checks_and_resolvers_would_copy_is_counted_with_its_variables() {
    let world = World::new().await;
    let large = json!({"v": vec![1; 20_000]});
    let uses = |of: &str| repeat(400, |n| format!("a{n}: {of} "));
    let defaults = "1 ".repeat(4_000);
    for (what, query, variables) in [
        ("in fields", format!("query($v: [Int]) {{ {} }}", uses("part(part: $v)")), &large),
        (
            "in directives",
            format!("query($v: [Int]) {{ {} }}", uses("__typename @skip(if: $v)")),
            &large,
        ),
        ("of operations", "query($v: [Int]) @skip(if: $v) { __typename }".to_owned(), &large),
        (
            "by default",
            format!("query($v: [Int] = [{defaults}]) {{ {} }}", "part(part: $v) ".repeat(400)),
            &json!({}),
        ),
        (
            "as text",
            format!("query($v: String!) {{ {} }}", uses("part(part: $v) { part }")),
            &json!({"v": "x".repeat(10_000)}),
        ),
        ("in operations", undefined_in_many_operations(), &json!({})),
        ("in sets", conflicts_in_many_sets(), &json!({})),
        (
            "as definitions",
            format!("query({}) {{ __typename }}", repeat(257, |n| format!("$v{n}: Int "))),
            &json!({}),
        ),
    ] {
        assert_eq!(
            world.graphql_code(&query, variables.clone()).await,
            "QUERY_TOO_COMPLEX",
            "{what}"
        );
    }
    let filter = json!({"v": {"lot": "L", "part": "P"}});
    let sane = "query($v: InspectionFilter) { inspections(filter: $v) { nodes { id } } }";
    assert_eq!(world.query(sane, filter).await, json!({"inspections": {"nodes": []}}));
}

#[tokio::test]
async fn queries_that_ended_the_server_are_answered_over_post_and_websocket() {
    let world = World::new().await;
    let mut client = Client::open(&world.serve().await, &world.token()).await;
    let cases = [
        ("8.3 kB of fragments in inline fragments", chain(93, 12), "QUERY_TOO_DEEP"),
        ("48 kB of fragments", chain(1_400, 0), "QUERY_TOO_COMPLEX"),
        ("30 kB of fragments", chain(900, 0), "QUERY_TOO_DEEP"),
        ("3.2 kB that expand to 30¹⁵", explosion(), "GRAPHQL_VALIDATION_FAILED"),
        ("nothing but spreads", "{ ...f0 ".repeat(30), "GRAPHQL_PARSE_FAILED"),
        ("strings that do not end", endless_block_strings(), "GRAPHQL_PARSE_FAILED"),
        (
            "a default value of a type that is not there",
            "query($v: [Nope] = [1]) { part(part: $v) { part } }".to_owned(),
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ];
    for (what, query, code) in cases {
        assert!(query.len() <= QUERY_MAX_BYTES, "{what}: {}", query.len());
        assert_eq!(world.graphql_code(&query, json!({})).await, code, "{what}");
        client.subscribe(what, &query, json!({})).await;
        let answer = client.receive().await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!(what)));
        assert_eq!(answer["payload"][0]["extensions"]["code"], code, "{what}");
    }
    assert_eq!(world.query("{ __typename }", json!({})).await, json!({"__typename": "Query"}));
}

#[tokio::test]
async fn what_is_refused_is_not_quoted_at_length() {
    let world = World::new().await;
    let fields = "parts ".repeat(9_000 / "parts ".len());
    let text = "x".repeat(20_000);
    for (query, said) in [
        (format!("{{ {fields} {{ part !"), "expected"),
        (format!("{{ part(part: 1, text: \"{text}\") {{ part }} }}"), "part"),
        (format!("{{ inspection(id: \"{text}\") {{ id }} }}"), "id"),
        (format!("{{ defectPareto(from: \"{text}\") {{ total }} }}"), "from"),
    ] {
        let answer = world.ask(&query, json!({})).await;
        let message = answer["errors"][0]["message"].as_str().unwrap();
        assert!(message.len() < 1_100 && message.contains(said), "{said}: {message}");
        assert!(answer.to_string().len() < 5_000, "{} bytes: {said}", answer.to_string().len());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_fragment_is_said() {
    let world = World::new().await;
    for (query, code) in [
        ("{ ...a } fragment a on Query { ...b }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ __typename } fragment a on Query { ...a }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...a } fragment a on Query { ...{ ...a } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...a ...a } fragment a on Query { __typename }", "none"),
        (
            "subscription { inspectionChanged { cursor } b: inspectionChanged { cursor } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "subscription { ...a ...a } fragment a on Subscription { inspectionChanged { cursor } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ] {
        let answer = world.ask(query, json!({})).await;
        let found = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none");
        assert_eq!(found, code, "{query}");
    }
    let many = format!("{{ part({}) {{ part }} }}", "part: \"P\" ".repeat(33));
    assert_eq!(world.graphql_code(&many, json!({})).await, "QUERY_TOO_COMPLEX");
    let nine = "@include(if: true) ".repeat(9);
    for query in [
        format!("{{ __typename {nine} }}"),
        format!("{{ ... {nine} {{ __typename }} }}"),
        format!("{{ ...a {nine} }} fragment a on Query {{ __typename }}"),
    ] {
        assert_eq!(world.graphql_code(&query, json!({})).await, "QUERY_TOO_COMPLEX", "{query}");
    }
}
