//! Sibling modules never import each other in a circle: one can be read, tested and moved without the
//! other.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::without_imports;
use crate::source::{File, assert_none, by_crate, imports, production_rust};

/// How many re-exports a name may be followed through.
const HOPS_MAX: usize = 8;

/// The names on the way to a module, from the root of its crate.
type ModulePath = Vec<String>;

/// What a module imports: the path of the import, without the braces.
type Import = Vec<String>;

/// The modules of a crate, with what each imports.
type Modules = BTreeMap<ModulePath, BTreeSet<Import>>;

fn modules(files: &[&File]) -> Modules {
    let module = |(path, code): &&File| {
        let within = path.split_once("/src/")?.1.strip_suffix(".rs")?;
        let name: ModulePath = match within {
            "lib" | "main" => Vec::new(),
            within => within.split('/').map(str::to_owned).collect(),
        };
        let mut found: BTreeSet<Import> = imports(code).iter().flat_map(|u| expand(u)).collect();
        found.extend(inline_paths(&without_imports(code)));
        Some((name, found))
    };
    files.iter().filter_map(module).collect()
}

/// The paths of a `use` tree: `a::{b, c::d}` are `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<Import> {
    let tree = tree.trim();
    let Some((before, rest)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![path.split("::").map(|name| name.trim().to_owned()).collect()];
    };
    let prefix: Import = before
        .split("::")
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    let group = rest.strip_suffix('}').unwrap_or(rest);
    let branches =
        split_outside_braces(group).into_iter().filter(|branch| !branch.trim().is_empty());
    branches.flat_map(expand).map(|path| [prefix.clone(), path].concat()).collect()
}

fn split_outside_braces(group: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[begin..]);
    parts
}

/// The paths that begin with `crate` or `super` in the middle of code.
fn inline_paths(code: &str) -> Vec<Import> {
    let is_within = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let paths = code.split(|c: char| !is_within(c));
    let from_here = paths.filter(|path| path.starts_with("crate::") || path.starts_with("super::"));
    from_here.map(|path| path.split("::").map(str::to_owned).collect()).collect()
}

/// The module that defines what `import` names when `from` imports it; `None` outside the crate.
fn resolve(
    modules: &Modules,
    from: &[String],
    import: &[String],
    hops: usize,
) -> Option<ModulePath> {
    let mut at = from.to_vec();
    let mut rest = import;
    match rest.first()?.as_str() {
        "crate" => (at, rest) = (Vec::new(), &rest[1..]),
        "self" => rest = &rest[1..],
        "super" => {}
        // A child, or another crate.
        child if !modules.contains_key(&[from, &[child.to_owned()]].concat()) => return None,
        _ => {}
    }
    while rest.first().is_some_and(|name| name == "super") {
        at.pop()?;
        rest = &rest[1..];
    }
    while let Some(name) = rest.first() {
        let child = [at.as_slice(), std::slice::from_ref(name)].concat();
        if !modules.contains_key(&child) {
            break;
        }
        (at, rest) = (child, &rest[1..]);
    }
    // What the module has itself only by an import is somebody else's.
    let handed_on = rest.first().zip(modules.get(&at)).and_then(|(name, imports)| {
        let hop = imports.iter().find(|path| path.last() == Some(name))?;
        (hops < HOPS_MAX && at != from).then(|| resolve(modules, &at, hop, hops + 1))?
    });
    Some(handed_on.unwrap_or(at))
}

/// Who imports whom among the children of a module.
type Siblings = BTreeMap<ModulePath, BTreeMap<String, BTreeSet<String>>>;

fn siblings(modules: &Modules) -> Siblings {
    let mut siblings = Siblings::new();
    for (from, imports) in modules {
        for to in imports.iter().filter_map(|import| resolve(modules, from, import, 0)) {
            let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
            if let (Some(one), Some(other)) = (from.get(shared), to.get(shared)) {
                let children = siblings.entry(from[..shared].to_vec()).or_default();
                children.entry(one.clone()).or_default().insert(other.clone());
            }
        }
    }
    siblings
}

/// Everything that `from` imports, whatever the way.
fn reachable(edges: &BTreeMap<String, BTreeSet<String>>, from: &str) -> BTreeSet<String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
    while let Some(next) = open.pop() {
        for to in edges.get(&next).into_iter().flatten() {
            if seen.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    seen
}

/// The circles of all crates, as `crate/parent/one,other: who imports whom`.
fn circles(files: &[File]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for (name, files) in by_crate(files) {
        for (parent, edges) in siblings(&modules(&files)) {
            let reach: BTreeMap<&String, BTreeSet<String>> =
                edges.keys().map(|module| (module, reachable(&edges, module))).collect();
            for module in edges.keys().filter(|module| reach[*module].contains(*module)) {
                let circle: Vec<&str> = reach
                    .iter()
                    .filter(|(other, back)| {
                        reach[module].contains(**other) && back.contains(module)
                    })
                    .map(|(other, _)| other.as_str())
                    .collect();
                let within = |to: &&String| circle.contains(&to.as_str());
                let imports: Vec<String> = circle
                    .iter()
                    .flat_map(|one| {
                        edges[*one].iter().filter(within).map(move |to| format!("{one} → {to}"))
                    })
                    .collect();
                let place = [&[name.to_owned()], parent.as_slice()].concat().join("/");
                found.insert(format!("{place}/{}: {}", circle.join(","), imports.join(", ")));
            }
        }
    }
    found.into_iter().collect()
}

#[test]
fn sibling_modules_import_each_other_in_one_direction() {
    let broken = circles(&production_rust());
    assert_none("move what both need below them:", &broken);
}

#[test]
fn circles_are_found_also_through_re_exports_and_nested_files() {
    let file = |path: &str, code: &str| (path.to_owned(), code.to_owned());
    let files = [
        file("a/src/lib.rs", "mod one;\nmod two;\nmod three;\npub use two::{Deep,\n    Two};"),
        file("a/src/one.rs", "use crate::Two;\nuse serde::three;"),
        file("a/src/two.rs", "mod inner;\npub use inner::Deep;\npub struct Two;"),
        file(
            "a/src/two/inner.rs",
            "use super::Two;\nfn f() { crate::one::g(super::super::three::H) }",
        ),
        file("a/src/three.rs", "use super::one::{self, G as _};"),
        file("b/src/lib.rs", "mod one;\nmod two;"),
        file("b/src/one.rs", "use super::two::Two;"),
        file("b/src/two.rs", "use std::one;"),
    ];
    let expected = "a/one,three,two: one → two, three → one, two → one, two → three";
    assert_eq!(circles(&files), [expected]);
    assert!(circles(&files[5..]).is_empty());
    assert_eq!(expand("a::{b, c::{d, e as f}, self}").len(), 4);
}
