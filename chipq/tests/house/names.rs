//! Names that a stranger knows: most functions say what they do and to what.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{File, assert_none, by_crate, declarations, except, production_rust};

/// One word is enough for what every Rust programmer knows by it. Not counted.
const CONVENTIONAL: &str = "new default from into try_from from_str fmt drop deref clone eq hash next poll \
    main run len is_empty get set push pop insert remove iter into_iter index as_str parse open close \
    start stop name write read call serialize deserialize source description cause init load save apply \
    decode encode from_request from_request_parts add sub mul neg cmp partial_cmp find contains extend \
    connect bind serve router routes";

/// Of how many functions of a crate one may have a one-word name, counted by distinct names.
const ONE_OF: usize = 3;

/// Crates that are not there yet, and their share in percent. It only falls: a crate that gets there
/// is taken off.
const ABOVE: &[(&str, usize)] =
    &[("boards", 90), ("chipq", 60), ("inference", 71), ("lab", 85), ("vision", 82)];

/// Constructors called `of` that are left, as `path`, and why.
const CALLED_OF: &[(&str, &str)] = &[
    ("chipq/src/bench/pairs.rs", "not renamed yet"),
    ("chipq/src/bench/workers.rs", "not renamed yet"),
    ("chipq/src/demo/verdict.rs", "not renamed yet"),
    ("chipq/src/statistics.rs", "not renamed yet"),
    ("inference-worker/boards/src/print.rs", "not renamed yet"),
    ("inference-worker/inference/src/comparison.rs", "not renamed yet"),
    ("inference-worker/inference/src/comparison/batchers.rs", "not renamed yet"),
    ("inference-worker/inference/src/engine/triton.rs", "not renamed yet"),
    ("inference-worker/inference/src/engine/triton/fault.rs", "not renamed yet"),
    ("inference-worker/vision/src/field.rs", "not renamed yet"),
    ("inference-worker/vision/src/photograph.rs", "not renamed yet"),
    ("inference-worker/vision/src/photograph/focus.rs", "not renamed yet"),
    ("inference-worker/vision/src/photograph/levels.rs", "not renamed yet"),
    ("inference-worker/vision/src/photograph/projection.rs", "not renamed yet"),
    ("inference-worker/vision/src/refusal.rs", "not renamed yet"),
    ("inference-worker/vision/src/register.rs", "not renamed yet"),
];

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

/// The crates whose share is above what it may be, or whose entry in `above` is outdated.
fn too_short(files: &[File], above: &[(&str, usize)]) -> Vec<String> {
    let above: BTreeMap<_, _> = above.iter().copied().collect();
    let mut broken = Vec::new();
    for (name, files) in by_crate(files) {
        let (names, one_word) = function_names(&files);
        let (all, short) = (names.len(), one_word.len());
        let is_a_third = short * ONE_OF <= all;
        match above.get(name) {
            Some(_) if is_a_third => broken.push(format!("{name}: {short} of {all}: take it off")),
            Some(percent) if short * 100 <= percent * all => {}
            None if is_a_third => {}
            Some(_) | None => {
                let list = one_word.into_iter().collect::<Vec<_>>().join(" ");
                broken.push(format!("{name}: {short} of {all}: {list}"));
            }
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
    let broken = too_short(&production_rust(), ABOVE);
    assert_none("say what is done to what (`read_page`, `close_batch`):", &broken);
}

#[test]
fn no_constructor_is_called_of() {
    let broken = except(called_of(&production_rust()), CALLED_OF);
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
    assert_eq!(too_short(&files, &[]), ["b: 2 of 3: lay of"]);
    assert!(too_short(&files, &[("b", 67)]).is_empty());
    assert_eq!(too_short(&files, &[("b", 66)]), ["b: 2 of 3: lay of"]);
    assert_eq!(too_short(&files[..1], &[("a", 40)]), ["a: 1 of 3: take it off"]);
    assert_eq!(called_of(&files), ["b/src/lib.rs"]);
}
