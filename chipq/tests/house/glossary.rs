//! docs/glossary.md speaks of code that exists.

use std::collections::BTreeSet;

use crate::source::{File, assert_none, by_crate, declarations, files, production_rust, words};

const GLOSSARY: &str = "docs/glossary.md";

/// What the last column of the glossary's tables names, with its line.
fn named(glossary: &str) -> Vec<(usize, &str)> {
    let rows = (1..).zip(glossary.lines()).filter(|(_, line)| line.starts_with("| "));
    let last = rows
        .filter_map(|(n, line)| Some((n, line.trim_end_matches([' ', '|']).rsplit(" | ").next()?)));
    let paths =
        last.flat_map(|(n, cell)| cell.split('`').skip(1).step_by(2).map(move |path| (n, path)));
    paths.filter(|(_, path)| path.contains("::")).collect()
}

/// The names that no code has.
fn missing(glossary: &str, production: &[File]) -> Vec<String> {
    let crates = by_crate(production);
    let is_there = |path: &str| {
        let names: Vec<&str> = path.split("::").collect();
        let (Some(files), [.., owner, last]) =
            (crates.get(names[0].replace('_', "-").as_str()), names.as_slice())
        else {
            return false;
        };
        let declared: BTreeSet<&str> =
            files.iter().flat_map(|(_, code)| declarations(code)).map(|item| item.name).collect();
        let is_module = files.iter().any(|(path, _)| path.ends_with(&format!("/{last}.rs")));
        // A type that a macro declares, or a field, a variant, a function of a type.
        let is_type = |name: &str| name.starts_with(char::is_uppercase);
        let is_member = (is_type(last) || (is_type(owner) && declared.contains(owner)))
            && files.iter().any(|(_, code)| words(code).any(|word| word == *last));
        declared.contains(last) || is_module || is_member
    };
    let named = named(glossary).into_iter().filter(|(_, path)| !is_there(path));
    named.map(|(n, path)| format!("{GLOSSARY}:{n}: {path}")).collect()
}

#[test]
fn every_name_in_the_glossary_is_in_the_code() {
    let glossary = files().into_iter().find(|(path, _)| path == GLOSSARY).expect("the glossary").1;
    assert!(named(&glossary).len() > 40, "the tables of the glossary");
    assert_none(
        "what has been renamed is renamed there, too:",
        &missing(&glossary, &production_rust()),
    );
}

#[test]
fn a_name_that_is_gone_is_found() {
    let file = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    let production = [
        file("query-api/src/pages.rs", "pub struct Page {\n    pub cursor: u8,\n}"),
        file("domain/src/lib.rs", "pub enum Grade {\n    Doubtful,\n}"),
    ];
    let glossary = "| page | `a::B` | `query_api::pages::Page`, `query_api::pages` |\n\
        | cursor | | `query_api::Page::cursor` |\n| doubtful | | `domain::Grade::Doubtful` |\n\
        | gone | | `domain::Page`, `query_api::Page::offset`, `nowhere::Page` |\n| none | | |\n";
    let missing = missing(glossary, &production);
    let expected = ["domain::Page", "query_api::Page::offset", "nowhere::Page"];
    assert_eq!(missing, expected.map(|path| format!("docs/glossary.md:4: {path}")));
}
