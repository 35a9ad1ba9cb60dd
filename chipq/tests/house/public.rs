//! Nothing is public for tests alone, and nothing that nobody uses.
//!
//! A heuristic by whole words: a public item whose name production code mentions nowhere but where it
//! is declared, imported or handed on. An item that shares its name with another is overlooked.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, assert_none, declarations, except, production_rust, rust_files};
use crate::source::{without_imports, words};

/// Public items that no production code mentions, and why they are there.
const UNUSED: &[(&str, &str)] = &[
    ("Camera", "photographs are generated for the tests of several crates"),
    ("CqrsEventStore", "lets cqrs-es's framework and tools run on our log; docs/adr/0001"),
    ("project_box", "photographs are generated for the tests of several crates"),
    ("take_photograph", "photographs are generated for the tests of several crates"),
];

/// Public items of `production` that neither it nor a program beside it uses: `name: path, by whom`.
fn unused_items(production: &[File], programs: &[File], others: &[File]) -> Vec<String> {
    let mut declared = BTreeMap::<&str, usize>::new();
    let mut public = BTreeMap::<&str, (&str, &str)>::new();
    for (path, code) in production {
        for item in declarations(code) {
            *declared.entry(item.name).or_default() += 1;
            if item.is_public && !item.is_for_tests {
                public.insert(item.name, (path, item.keyword));
            }
        }
    }
    let mut mentioned = BTreeMap::<String, usize>::new();
    for (_, code) in production.iter().chain(programs) {
        let code = without_imports(code);
        for word in code.lines().map(without_self_type).flat_map(words) {
            if public.contains_key(word) {
                *mentioned.entry(word.to_owned()).or_default() += 1;
            }
        }
    }
    let tested: BTreeSet<&str> = others.iter().flat_map(|(_, text)| words(text)).collect();
    let unused = public
        .into_iter()
        .filter(|(name, _)| mentioned.get(*name).copied().unwrap_or(0) <= declared[*name]);
    unused
        .map(|(name, (path, keyword))| {
            let by = if tested.contains(name) { "tests only" } else { "nobody" };
            format!("{name}: {keyword} in {path}, used by {by}")
        })
        .collect()
}

/// The line; of the first line of an `impl` what stands before the type, which belongs to its definition.
fn without_self_type(line: &str) -> &str {
    match line.strip_prefix("impl") {
        Some(implemented) => implemented.split_once(" for ").map_or("", |(before, _)| before),
        None => line,
    }
}

#[test]
fn nothing_is_public_for_tests_only() {
    let production = production_rust();
    let is_production = |path: &str| production.iter().any(|(known, _)| known == path);
    let others =
        rust_files().filter(|(path, text)| !is_production(path) || text.contains("#[cfg(test)]"));
    let (programs, tests): (Vec<File>, Vec<File>) =
        others.partition(|(path, _)| path.contains("/examples/"));
    let broken = except(unused_items(&production, &programs, &tests), UNUSED);
    assert_none("make it private, move it to the tests, or delete it:", &broken);
}

#[test]
fn a_public_item_that_only_tests_use_is_found() {
    let file = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    let production = [
        file(
            "a/src/lib.rs",
            "mod b;\npub trait Look {}\npub use b::{Peek, peek,\n    poke};\nfn main() { poke() }",
        ),
        file(
            "a/src/b.rs",
            "pub struct Peek;\nimpl Look for Peek {}\nimpl Peek {\n    pub(crate) fn deep(&self) {}\n}\n\
             pub fn peek() {}\npub fn poke() {}\nfn private() {}\n#[cfg(test)]\npub fn tool() {}",
        ),
    ];
    let tests = [file("a/tests/t.rs", "peek(); private(); Peek")];
    let found = unused_items(&production, &[], &tests);
    let expected = [
        "Peek: struct in a/src/b.rs, used by tests only",
        "deep: fn in a/src/b.rs, used by nobody",
        "peek: fn in a/src/b.rs, used by tests only",
    ];
    assert_eq!(found, expected);
    let programs = [file("a/examples/e.rs", "use a::Peek;\nfn main() { Peek.deep() }")];
    assert_eq!(unused_items(&production, &programs, &tests), expected[2..]);
}
