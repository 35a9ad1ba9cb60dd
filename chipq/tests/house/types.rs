//! One word, one meaning: a type's name is found in one crate.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, assert_none, by_crate, declarations, except, production_rust};

/// Names that several crates may have, and why.
const SHARED: &[(&str, &str)] = &[
    ("Comparison", "of two networks, stored in an event; of two generations"),
    ("Failure", "what a person reads on the terminal; what keeps a follower"),
    ("Picture", "what is known of a file; its pixels"),
    (
        "Progress",
        "of a bar on the terminal, of a follower, of a rebuild: each private or the only one in its API",
    ),
    ("Reach", "where a principal may act; a box with its borders, private to vision"),
    ("Service", "each service calls itself so, and only chipq sees both"),
    ("State", "private everywhere"),
    (
        "StoredEvent",
        "a name and its versions in the table of an aggregate; an event as the log holds it",
    ),
];

/// Type names of more than one crate, with the crates.
fn shared_names(files: &[File]) -> Vec<String> {
    let mut crates_of = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (name, files) in by_crate(files) {
        for declaration in files.into_iter().flat_map(|(_, code)| declarations(code)) {
            let is_type = match declaration.keyword {
                "struct" | "enum" | "union" | "trait" => true,
                // Within an item it belongs to a trait, whose name says more.
                "type" => !declaration.is_nested,
                _ => false,
            };
            if is_type {
                crates_of.entry(declaration.name).or_default().insert(name);
            }
        }
    }
    let shared = crates_of.into_iter().filter(|(_, crates)| crates.len() > 1);
    shared
        .map(|(name, crates)| {
            format!("{name}: {}", crates.into_iter().collect::<Vec<_>>().join(", "))
        })
        .collect()
}

#[test]
fn no_type_name_is_found_in_two_crates() {
    let broken = except(shared_names(&production_rust()), SHARED);
    assert_none("say which one is meant (`RebuildReport`), or list why both are:", &broken);
}

#[test]
fn a_type_name_in_two_crates_is_found_and_one_within_a_crate_is_not() {
    let file = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    let files = [
        file("a/src/lib.rs", "pub struct Report;\nimpl T for Report {\n    type Event = u8;\n}"),
        file("a/src/b.rs", "struct Check;"),
        file("a/src/c.rs", "enum Check {}"),
        file("d/e/src/lib.rs", "trait Report {\n    type Event;\n}\nfn check() {}"),
    ];
    assert_eq!(shared_names(&files), ["Report: a, e"]);
}
