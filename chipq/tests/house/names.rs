//! Names that a stranger knows: most functions say what they do and to what.

use std::collections::BTreeSet;

use crate::source::{File, assert_none, by_crate, declarations, production_rust};

/// One word is enough for what every Rust programmer knows by it. Not counted.
const CONVENTIONAL: &str = "new default from into try_from from_str fmt drop deref clone eq hash next poll \
    main run len is_empty get set push pop insert remove iter into_iter index as_str parse open close \
    start stop name write read call serialize deserialize source description cause init load save apply \
    decode encode from_request from_request_parts add sub mul neg cmp partial_cmp find contains extend \
    connect bind serve router routes";

/// Of how many functions of a crate one may have a one-word name, counted by distinct names.
const ONE_OF: usize = 3;

/// Of the distinct function names of a crate that are not conventional: all, and those of one word.
fn function_names<'a>(files: &[&'a File]) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let declared = files.iter().flat_map(|(_, code)| declarations(code));
    let is_conventional = |name: &str| CONVENTIONAL.split_whitespace().any(|known| known == name);
    let names: BTreeSet<&str> = declared
        .filter(|item| item.keyword == "fn" && !is_conventional(item.name))
        .map(|item| item.name)
        .collect();
    let one_word = names.iter().copied().filter(|name| !name.contains('_')).collect();
    (names, one_word)
}

/// The crates in which more have one than may.
fn too_short(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, files) in by_crate(files) {
        let (names, one_word) = function_names(&files);
        let (all, short) = (names.len(), one_word.len());
        if short * ONE_OF > all {
            let list = one_word.into_iter().collect::<Vec<_>>().join(" ");
            broken.push(format!("{name}: {short} of {all}: {list}"));
        }
    }
    broken
}

/// The files with a constructor called `of`.
fn called_of(files: &[File]) -> Vec<String> {
    let declares =
        |code: &str| declarations(code).iter().any(|d| (d.keyword, d.name) == ("fn", "of"));
    files.iter().filter(|(_, code)| declares(code)).map(|(path, _)| path.clone()).collect()
}

#[test]
fn at_most_a_third_of_a_crates_functions_have_one_word_for_a_name() {
    let broken = too_short(&production_rust());
    assert_none("say what is done to what (`read_page`, `close_batch`):", &broken);
}

#[test]
fn no_constructor_is_called_of() {
    let broken = called_of(&production_rust());
    assert_none("say `new`, `from_…` or `for_…`:", &broken);
}

#[test]
fn short_names_are_counted_once_and_conventional_ones_not() {
    let file = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    let files = [
        file("a/src/lib.rs", "fn new() {}\nfn lay() {}\nfn read_page() {}\nfn close_batch() {}"),
        file("b/src/lib.rs", "fn lay() {}\npub fn read_page() {}\nfn of() {}"),
        file("b/src/c.rs", "fn lay() {}\n// fn say() {}"),
    ];
    assert_eq!(too_short(&files), ["b: 2 of 3: lay of"]);
    assert_eq!(called_of(&files), ["b/src/lib.rs"]);
}
