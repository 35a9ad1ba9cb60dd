//! The files of the repository, and what of them is code that runs in production.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file and what is in it.
pub(crate) type File = (String, String);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file that is tracked or about to be, with its path from the root.
pub(crate) fn files() -> Vec<File> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root())
        .output()
        .expect("this test lists files with git");
    assert!(listed.status.success(), "this test needs a git checkout: {listed:?}");
    let paths = String::from_utf8(listed.stdout).unwrap();
    // What is deleted but still in the index, and what is not text, is left out.
    let read =
        |path: &str| Some((path.to_owned(), std::fs::read_to_string(root().join(path)).ok()?));
    let files: Vec<_> = paths.split_terminator('\0').filter_map(read).collect();
    assert!(files.iter().any(|(path, _)| path == "Cargo.lock"), "the files of this repository");
    files
}

pub(crate) fn rust_files() -> impl Iterator<Item = File> {
    files().into_iter().filter(|(path, _)| path.ends_with(".rs"))
}

/// Whether the file belongs to these rules, which name what they forbid.
pub(crate) fn is_a_rule(path: &str) -> bool {
    path.starts_with("chipq/tests/house/")
}

/// The crate whose `src` a file belongs to, the last folder before it: crates lie in each other's
/// folders. Tests are not part of it.
pub(crate) fn crate_of(path: &str) -> Option<&str> {
    let (folder, within) = path.split_once("/src/")?;
    let is_test =
        |part: &str| matches!(part, "tests" | "tests.rs" | "test_support" | "test_support.rs");
    let name = folder.rsplit('/').next()?;
    (!folder.split('/').chain(within.split('/')).any(is_test)).then_some(name)
}

/// Rust and SQL that runs in production, by path, without comments and inline test modules.
pub(crate) fn production() -> Vec<File> {
    let is_code = |path: &str| path.ends_with(".rs") || path.ends_with(".sql");
    let mut files = files();
    files.retain(|(path, _)| crate_of(path).is_some() && is_code(path));
    let tests: Vec<String> = files.iter().flat_map(|(path, text)| test_files(path, text)).collect();
    files.retain(|(path, _)| !tests.contains(path));
    files.into_iter().map(|(path, text)| (path, code(&text))).collect()
}

/// The files of the modules that the file declares for tests only.
fn test_files(path: &str, text: &str) -> Vec<String> {
    let folder = match path.strip_suffix("/lib.rs").or(path.strip_suffix("/main.rs")) {
        Some(folder) => folder,
        None => path.strip_suffix(".rs").unwrap_or(path),
    };
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        rest.trim_start_matches("pub(crate) ")
            .strip_prefix("mod ")?
            .lines()
            .next()?
            .strip_suffix(';')
    });
    declared.map(|name| format!("{folder}/{name}.rs")).collect()
}

/// [`production`] in Rust.
pub(crate) fn production_rust() -> Vec<File> {
    production().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect()
}

/// The files of each crate.
pub(crate) fn by_crate(files: &[File]) -> BTreeMap<&str, Vec<&File>> {
    let mut crates = BTreeMap::<&str, Vec<&File>>::new();
    for file in files {
        crates.entry(crate_of(&file.0).unwrap_or("tests")).or_default().push(file);
    }
    crates
}

/// The text without comments and inline test modules.
pub(crate) fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").enumerate().map(|(n, part)| {
        let is_inline = n > 0 && part.lines().next().is_some_and(|line| line.ends_with('{'));
        // rustfmt closes it with a brace at the beginning of a line.
        let end = part.find("\n}\n").map_or(part.len(), |end| end + 3);
        if is_inline { &part[end..] } else { part }
    });
    let text = text.collect::<Vec<_>>().join("\n");
    let is_comment = |line: &&str| line.trim_start().starts_with("//");
    text.lines().filter(|line| !is_comment(line)).collect::<Vec<_>>().join("\n")
}

/// The names and numbers in `code`, in order.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    let is_boundary = |c: char| !(c.is_alphanumeric() || c == '_');
    code.split(is_boundary).filter(|word| !word.is_empty())
}

/// An item as it is declared.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Declaration<'a> {
    /// `fn`, `struct`, `enum`, `union`, `trait`, `type`, `const`, `static`.
    pub(crate) keyword: &'a str,
    pub(crate) name: &'a str,
    /// Whether anything outside its module sees it.
    pub(crate) is_public: bool,
    /// Whether it stands within another item.
    pub(crate) is_nested: bool,
    /// Whether only tests compile it.
    pub(crate) is_for_tests: bool,
}

/// The items that `code` declares. rustfmt has put each at the beginning of a line.
pub(crate) fn declarations(code: &str) -> Vec<Declaration<'_>> {
    let mut found = Vec::new();
    let mut is_for_tests = false;
    for line in code.lines() {
        let trimmed = line.trim_start();
        if trimmed.starts_with("#[") {
            is_for_tests |= trimmed == "#[cfg(test)]";
            continue;
        }
        let is_nested = trimmed.len() < line.len();
        found.extend(declaration(trimmed).map(|(is_public, keyword, name)| Declaration {
            keyword,
            name,
            is_public,
            is_nested,
            is_for_tests,
        }));
        is_for_tests = false;
    }
    found
}

fn declaration(line: &str) -> Option<(bool, &str, &str)> {
    const ITEMS: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];
    const QUALIFIERS: [&str; 4] = ["const", "async", "unsafe", "default"];
    let rest = line.strip_prefix("pub").filter(|rest| rest.starts_with([' ', '(']));
    let is_public = rest.is_some();
    let rest = rest.unwrap_or(line);
    let rest = match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(") ")?.1,
        None => rest,
    };
    let mut parts = rest.split_whitespace().peekable();
    let mut keyword = parts.next()?;
    while QUALIFIERS.contains(&keyword) && parts.peek().is_some_and(|next| is_keyword(next)) {
        keyword = parts.next()?;
    }
    // What a macro puts together has no name of its own.
    let name = words(parts.next().filter(|name| !name.starts_with('$'))?).next()?;
    ITEMS.contains(&keyword).then_some((is_public, keyword, name))
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "fn" | "const" | "async" | "unsafe" | "trait")
}

/// The `use` declarations of `code`, each as one line without the keyword and the semicolon.
pub(crate) fn imports(code: &str) -> Vec<String> {
    statements(code).filter_map(|(is_use, text)| is_use.then_some(text)).collect()
}

/// `code` without its `use` declarations: importing a name, or handing it on, is not using it.
pub(crate) fn without_imports(code: &str) -> String {
    let rest = statements(code).filter_map(|(is_use, text)| (!is_use).then_some(text));
    rest.collect::<Vec<_>>().join("\n")
}

/// The lines of `code`; those of a `use` declaration together as one.
fn statements(code: &str) -> impl Iterator<Item = (bool, String)> {
    let mut lines = code.lines();
    std::iter::from_fn(move || {
        let line = lines.next()?;
        let trimmed = line.trim_start();
        let after_visibility = match trimmed.strip_prefix("pub") {
            Some(rest) if rest.starts_with('(') => rest.split_once(") ").map_or("", |(_, r)| r),
            Some(rest) => rest.trim_start(),
            None => trimmed,
        };
        let Some(path) = after_visibility.strip_prefix("use ") else {
            return Some((false, line.to_owned()));
        };
        let mut path = path.to_owned();
        while !path.trim_end().ends_with(';') {
            path.push_str(lines.next()?.trim_start());
        }
        Some((true, path.trim_end().trim_end_matches(';').to_owned()))
    })
}

/// Fails with all that is wrong, and where to look.
#[track_caller]
pub(crate) fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "\n{rule}\n  {}\n", broken.join("\n  "));
}

/// What a list of exceptions does not excuse, and the exceptions that excuse nothing: the lists only
/// become shorter. A line begins with the name of what is broken.
pub(crate) fn except(mut broken: Vec<String>, exceptions: &[(&str, &str)]) -> Vec<String> {
    let mut outdated = Vec::new();
    for (name, reason) in exceptions {
        let before = broken.len();
        broken.retain(|line| line.split([':', ' ']).next() != Some(*name));
        if broken.len() == before {
            outdated
                .push(format!("{name} is no exception any more ({reason}): take it off the list"));
        }
    }
    broken.extend(outdated);
    broken
}

#[test]
fn an_exception_excuses_its_own_line_and_is_named_when_it_excuses_nothing() {
    let broken = || vec!["Page: a, b".to_owned(), "Pages: a, b".to_owned()];
    assert_eq!(except(broken(), &[("Page", "old")]), ["Pages: a, b"]);
    let left = except(broken(), &[("Page", "old"), ("Pages", "new"), ("Row", "was one")]);
    assert_eq!(left, ["Row is no exception any more (was one): take it off the list"]);
}

#[test]
fn comments_and_inline_tests_are_not_code_and_what_follows_them_is() {
    let text = "//! a\nuse b;\n\n#[cfg(test)]\nmod tests;\n\nfn c() {\n    // d\n}\n\n\
        #[cfg(test)]\nmod inline {\n    fn e() {\n    }\n}\nfn f() {}\n";
    assert_eq!(code(text), "use b;\n\ntests;\n\nfn c() {\n}\n\nfn f() {}");
}

#[test]
fn a_module_for_tests_is_no_part_of_production() {
    let text = "#[cfg(test)]\nmod fixtures;\nmod value;\n#[cfg(test)]\npub(crate) mod tools;\n";
    assert_eq!(test_files("a/src/lib.rs", text), ["a/src/fixtures.rs", "a/src/tools.rs"]);
    assert_eq!(test_files("a/src/b.rs", text)[0], "a/src/b/fixtures.rs");
}

#[test]
fn a_file_belongs_to_the_crate_in_whose_src_it_is() {
    assert_eq!(crate_of("projectors/src/yield.rs"), Some("projectors"));
    assert_eq!(crate_of("projectors/src/yield/tests.rs"), None);
    assert_eq!(crate_of("platform/tests/event_log_hammer.rs"), None);
    assert_eq!(crate_of("inference-worker/vision/src/crops.rs"), Some("vision"));
}

#[test]
fn items_are_recognised_wherever_they_are_declared() {
    let code = "pub(crate) async fn a() {\n    const B: u8 = 1;\npub struct C<'a>(&'a str);\n\
        type D = C;\npub const fn e() {}\nlet fn_f = 1;\n#[cfg(test)]\n#[must_use]\npub fn g() {}";
    let found: Vec<_> = declarations(code)
        .iter()
        .map(|d| {
            let marks = [d.is_public, d.is_nested, d.is_for_tests].map(u8::from);
            format!("{} {} {marks:?}", d.keyword, d.name)
        })
        .collect();
    let expected = [
        "fn a [1, 0, 0]",
        "const B [0, 1, 0]",
        "struct C [1, 0, 0]",
        "type D [0, 0, 0]",
        "fn e [1, 0, 0]",
        "fn g [1, 0, 1]",
    ];
    assert_eq!(found, expected);
}

#[test]
fn imports_are_told_from_code() {
    let code = "pub(crate) use a::{\n    B,\n    c::D,\n};\nuse_it(B);\nuse e;";
    assert_eq!(imports(code), ["a::{B,c::D,}", "e"]);
    assert_eq!(without_imports(code), "use_it(B);");
}
