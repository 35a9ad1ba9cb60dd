//! The register against what it stands for: the documentation, and the rejections of the domain.

use std::fs;
use std::path::{Path, PathBuf};

use super::ProblemType;

const TABLE_HEAD: &str = "| name | status | what to do |\n|---|---|---|\n";

/// Rejections that only results of the worker meet; and what a body that is read says before them.
const WITHOUT_A_PROBLEM: [&str; 7] = [
    "artifact-mismatch",
    "mixed-models",
    "key-of-person",
    "empty-reason",
    "long-reason",
    "not-of-retention-class",
    "not-a-replacement",
];

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn types_stand_in_the_order_of_their_names_each_once_and_each_with_statuses() {
    for pair in ProblemType::ALL.windows(2) {
        assert!(pair[0].name() < pair[1].name(), "{} and {}", pair[0].name(), pair[1].name());
    }
    for kind in ProblemType::ALL {
        let name = kind.name();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        assert!(kind.statuses().iter().all(|status| (400..600).contains(status)), "{name}");
        let usual = kind.statuses().first().copied().unwrap_or(400);
        assert_eq!(kind.status().as_u16(), usual, "{name}");
        assert_eq!(ProblemType::find(name), Some(*kind));
        assert!(kind.advice().matches('`').count() % 2 == 0, "{name}: {}", kind.advice());
    }
}

/// `UPDATE_DOCS=1 cargo test -p platform --lib problem_type` writes the table.
#[test]
fn the_table_in_the_documentation_is_up_to_date() {
    let path = file("docs/api.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(TABLE_HEAD).unwrap();
    let after = rest.find("\n\n").map_or("", |end| &rest[end + 1..]);
    let mut document = before.to_owned() + TABLE_HEAD;
    for kind in ProblemType::ALL {
        let (name, statuses) = (kind.name(), kind.list_statuses());
        document += &format!("| `{name}` | {statuses} | {} |\n", kind.advice());
    }
    document += after;
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &document).unwrap();
    }
    let copy = fs::read_to_string(&path).unwrap();
    assert!(
        copy == document,
        "docs/api.md is stale; run: UPDATE_DOCS=1 cargo test -p platform --lib problem_type"
    );
}

/// Rejections get their names in the domain, which knows nothing of HTTP: one that is new has to come here, too.
#[test]
fn every_rejection_that_a_command_can_meet_is_registered() {
    let mut found = 0;
    for aggregate in ["inspection", "part", "access_control"] {
        let code =
            fs::read_to_string(file(&format!("domain/src/{aggregate}/rejection.rs"))).unwrap();
        let names = code.lines().filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","));
        for name in names {
            found += 1;
            let registered = ProblemType::find(name).is_some();
            let known = WITHOUT_A_PROBLEM.contains(&name);
            assert!(registered != known, "{name}: {registered}");
        }
    }
    assert!(found >= 30, "only {found} rejections were found: are they written otherwise now?");
}
