//! The rules of the house, which no compiler knows: who may depend on whom, who may touch which table,
//! how large a file may grow, what things are called, and what never enters the repository.
//! CONTRIBUTING.md explains them. Each rule comes with a control that shows it can fail.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[cfg(test)]
mod circles;
#[cfg(test)]
mod glossary;
#[cfg(test)]
mod names;
#[cfg(test)]
mod public;
#[cfg(test)]
mod source;
#[cfg(test)]
mod types;

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use source::{assert_none, crate_of, files, is_a_rule, production, root, rust_files};

/// The crates that each crate may name under `[dependencies]`. A new one is a decision: add it here in
/// the commit that needs it and say why in the message. One that is gone must go here, too.
const ALLOWED: &str = "
domain: chrono cqrs-es hex indexmap serde serde_json sha2 thiserror unicode-normalization uuid
transparency: base64 chrono hex serde serde_json sha2 thiserror uuid
platform: argon2 async-trait aws-lc-rs axum base64 bytes chrono clap cqrs-es domain futures governor hex hmac
    hyper hyper-util image jsonwebtoken kurrentdb-client object_store opentelemetry opentelemetry-prometheus opentelemetry_sdk
    prometheus rand rustix rustls-native-certs secrecy serde serde_json serde_path_to_error sha2 sqlx
    thiserror tokio tokio-rustls tokio-util tower tower-http tracing tracing-subscriber unicode-normalization
    utoipa uuid zxcvbn
kurrentdb-client: base64 futures hyper-util proto thiserror tokio tonic tower tracing uuid
command-api: axum base64 chrono clap domain futures platform secrecy serde serde_json serde_urlencoded sha2
    thiserror tokio tracing utoipa utoipa-axum utoipa-swagger-ui uuid vision
query-api: async-graphql async-graphql-value axum base64 chrono clap domain futures hmac image platform serde
    serde_json sha2 sqlx thiserror tiny-skia tokio tokio-stream tokio-tungstenite tracing ttf-parser
    typst typst-kit typst-pdf utoipa uuid
projectors: anyhow chrono clap domain futures platform serde serde_json sqlx thiserror tokio
    tokio-util tracing uuid
relay: anyhow chrono clap futures kafka-client opentelemetry platform sqlx thiserror tokio tracing
retention: anyhow chrono domain futures opentelemetry platform sqlx tokio tracing
kafka-client: crc32c rskafka rustls-native-certs thiserror tokio tokio-rustls zstd
proof: anyhow chrono clap futures opentelemetry platform reqwest sqlx thiserror tokio tracing transparency uuid
inference-worker: anyhow bytes chrono clap domain futures inference opentelemetry platform sqlx
    thiserror tokio tracing uuid
vision: crc32fast domain image png thiserror
boards: domain image serde serde_json thiserror
inference: bytes clap domain futures opentelemetry platform proto rten rten-tensor thiserror tokio
    tokio-util tonic tracing vision
proto: prost prost-reflect protox serde_json tonic tonic-prost tonic-prost-build
chipq: anyhow base64 boards chrono clap clap_complete clap_mangen command-api domain futures image
    indicatif inference inference-worker kafka-client lab platform projectors proof query-api rand relay reqwest
    retention rpassword rustix secrecy serde serde_json sqlx tikv-jemallocator tokio tracing transparency utoipa uuid
    vision
lab: boards domain image inference png serde serde_json thiserror tokio vision
";

/// They meet in the event log and the read tables, never in each other's code.
const SERVICES: [&str; 7] =
    ["command-api", "query-api", "projectors", "relay", "retention", "proof", "inference-worker"];

/// What computes: the same input gives the same output. What each may name all the same, in which file:
/// the domain's shim implements cqrs-es's async trait, and awaits nothing but its sink; pictures are
/// decoded from bytes in memory; two modules of the generator write what was generated, each file whole.
const PURE: [(&str, &str); 7] = [
    ("domain/", ""),
    ("domain/src/cqrs.rs", "async .await"),
    ("inference-worker/vision/", "std::io"),
    ("inference-worker/boards/", ""),
    ("inference-worker/boards/src/camera.rs", "std::io"),
    ("inference-worker/boards/src/manifest.rs", "std::fs std::io"),
    ("inference-worker/boards/src/whole_file.rs", "std::fs std::io std::process"),
];

/// I/O, clocks, randomness and async, by crate: none of them in what is pure.
const IMPURE_CRATES: &str = "axum futures object_store platform rand rustix sqlx tokio tracing";

/// I/O, clocks and randomness, by name: ids and `now` arrive inside commands.
const IMPURE_CALLS: &str = "std::env std::fs std::io std::net std::process std::thread Instant \
    SystemTime Utc::now Local::now new_v1 new_v4 now_v7 println! async .await";

const FILE_LINES_MAX: usize = 400;

fn packages() -> Vec<Package> {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    metadata.workspace_packages().into_iter().cloned().collect()
}

/// What `package` names as a dependency of one of `kinds`.
fn dependencies(package: &Package, kinds: &[DependencyKind]) -> BTreeSet<String> {
    let of_kind = package.dependencies.iter().filter(|d| kinds.contains(&d.kind));
    of_kind.map(|dependency| dependency.name.clone()).collect()
}

/// Every (keyword, table) in SQL that stands somewhere in `code`; both in lower case.
fn tables(code: &str) -> Vec<(String, String)> {
    const KEYWORDS: &str = "from join into update delete table only truncate view";
    let code = code.replace('\\', " ").to_lowercase();
    let words: Vec<_> = code.split_whitespace().collect();
    let is_name = |c: char| c.is_alphanumeric() || "_.{}".contains(c);
    let pairs = words.windows(2).map(|pair| {
        let keyword = pair[0].rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let table = pair[1].trim_start_matches(|c: char| !is_name(c));
        let end = table.find(|c: char| !is_name(c)).unwrap_or(table.len());
        (keyword.to_owned(), table[..end].trim_start_matches("public.").to_owned())
    });
    pairs.filter(|(keyword, _)| KEYWORDS.split(' ').any(|known| known == keyword)).collect()
}

/// [`ALLOWED`] by crate.
fn allow_list() -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut list = BTreeMap::new();
    let mut current = "";
    for word in ALLOWED.split_whitespace() {
        match word.strip_suffix(':') {
            Some(name) => current = name,
            None => {
                let of_crate: &mut BTreeSet<_> = list.entry(current).or_default();
                of_crate.insert(word.to_owned());
            }
        }
    }
    list
}

/// An entry of [`ALLOWED`], in lines that fit.
fn entry(name: &str, dependencies: &BTreeSet<String>) -> String {
    let mut lines = vec![format!("{name}:")];
    for dependency in dependencies {
        if lines.last().is_some_and(|line| line.len() + 1 + dependency.len() > 98) {
            lines.push("   ".to_owned());
        }
        *lines.last_mut().unwrap() += &format!(" {dependency}");
    }
    lines.join("\n")
}

#[test]
fn every_crate_depends_on_what_the_allow_list_names_and_nothing_else() {
    let mut allowed = allow_list();
    let mut broken = Vec::new();
    for package in packages() {
        let actual = dependencies(&package, &[DependencyKind::Normal, DependencyKind::Build]);
        let expected = allowed.remove(package.name.as_str()).unwrap_or_default();
        if actual != expected {
            let new: Vec<_> = actual.difference(&expected).collect();
            let gone: Vec<_> = expected.difference(&actual).collect();
            let name = &package.name;
            broken.push(format!("{name}: new {new:?}, gone {gone:?}; its entry would be"));
            broken.push(entry(name, &actual));
        }
    }
    broken.extend(allowed.into_keys().map(|name| format!("{name}: there is no such crate")));
    assert_none("if this is meant, change ALLOWED in chipq/tests/house/main.rs:", &broken);
}

#[test]
fn services_never_import_each_other_and_only_chipq_imports_them() {
    use DependencyKind::{Build, Development, Normal};
    let importers = packages().into_iter().filter(|package| package.name.as_str() != "chipq");
    let broken: Vec<_> = importers
        .flat_map(|package| {
            let services =
                dependencies(&package, &[Normal, Build, Development]).into_iter().filter(|name| {
                    SERVICES.contains(&name.as_str()) || name == "chipq" || name == "lab"
                });
            services
                .map(|service| format!("{} imports {service}", package.name))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_none("services meet in the event log and the read tables, not in code:", &broken);
}

#[test]
fn no_service_is_named_in_the_code_of_platform() {
    let broken: Vec<_> = production()
        .into_iter()
        .filter(|(path, _)| path.starts_with("platform/"))
        .flat_map(|(path, code)| {
            let names = SERVICES.iter().map(|name| name.replace('-', "_"));
            let named = names.filter(move |name| code.contains(&format!("{name}::")));
            named.map(move |name| format!("{path} names {name}"))
        })
        .collect();
    assert_none("platform stands below the services and knows none of them:", &broken);
}

#[test]
fn what_computes_has_no_io_no_clock_no_randomness_and_no_async() {
    let mut broken = Vec::new();
    for package in packages() {
        if !["domain", "transparency", "vision", "boards"].contains(&package.name.as_str()) {
            continue;
        }
        let dependencies = dependencies(&package, &[DependencyKind::Normal, DependencyKind::Build]);
        let impure = IMPURE_CRATES.split_whitespace().filter(|name| dependencies.contains(*name));
        broken.extend(impure.map(|name| format!("{} depends on {name}", package.name)));
    }
    for (path, code) in production() {
        let within = PURE.iter().filter(|(place, _)| path.starts_with(place));
        // The longest place that fits says what the file may name.
        let Some((_, may)) = within.max_by_key(|(place, _)| place.len()) else { continue };
        let calls = IMPURE_CALLS.split_whitespace().filter(|call| code.contains(call));
        let calls = calls.filter(|call| !may.split(' ').any(|allowed| allowed == *call));
        broken.extend(calls.map(|call| format!("{path} mentions {call}")));
    }
    assert_none("ids, times and pictures are handed in; what computes is pure:", &broken);
}

/// Multiplies what every table has, in a database of its own that nobody serves from, to be measured.
const MULTIPLIES: &str = "chipq/src/bench/growth/fill.rs";

#[test]
fn only_the_event_log_touches_the_events_table() {
    let in_event_log = |path: &str| {
        path == "platform/src/event_log.rs" || path.starts_with("platform/src/event_log/")
    };
    let broken: Vec<_> = production()
        .into_iter()
        .filter(|(path, _)| !in_event_log(path) && path != MULTIPLIES)
        .flat_map(|(path, code)| {
            let events = tables(&code).into_iter().filter(|(_, table)| table == "events");
            events.map(move |(keyword, table)| format!("{path}: {keyword} {table}"))
        })
        .collect();
    assert_none("use platform::event_log instead of SQL:", &broken);
}

#[test]
fn only_projectors_write_read_models_and_only_query_api_reads_them() {
    const WRITES: [&str; 6] = ["into", "update", "delete", "table", "truncate", "view"];
    const PROJECTION_STATE: [&str; 2] = ["projection_checkpoints", "parked_streams"];
    let mut broken = Vec::new();
    for (path, code) in production().into_iter().filter(|(path, _)| path != MULTIPLIES) {
        let owner = crate_of(&path).unwrap_or_default();
        let found = tables(&code);
        let follows_delete = |n: usize| n > 0 && found[n - 1] == ("delete".into(), "from".into());
        for (n, (keyword, table)) in found.iter().enumerate() {
            let writes = WRITES.contains(&keyword.as_str()) || follows_delete(n);
            let may = if table.starts_with("read.") {
                match owner {
                    "projectors" => keyword == "view",
                    "query-api" => !writes,
                    _ => false,
                }
            } else if PROJECTION_STATE.contains(&table.as_str()) {
                !writes || owner == "projectors"
            } else {
                !table.contains("_g{") || owner == "projectors"
            };
            if !may {
                broken.push(format!("{path}: {keyword} {table}"));
            }
        }
    }
    let rule = "projectors write generations and define the views; query-api reads the views:";
    assert_none(rule, &broken);
}

#[test]
fn no_rust_file_is_longer_than_400_lines() {
    let long = rust_files().map(|(path, text)| (path, text.lines().count()));
    let broken: Vec<_> = long
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert_none("split the file by what its parts are about:", &broken);
}

#[test]
fn every_module_says_what_lives_in_it_and_none_is_called_mod() {
    let broken: Vec<_> = rust_files()
        .filter_map(|(path, text)| {
            if path.ends_with("/mod.rs") {
                Some(format!("{path}: name the file after its module"))
            } else if path.contains("/src/") && !text.starts_with("//! ") {
                Some(format!("{path}: begin with a line of `//!`"))
            } else {
                None
            }
        })
        .collect();
    assert_none("a module begins with what lives in it and what it keeps:", &broken);
}

#[test]
fn no_file_names_somebodys_home_or_a_package_registry() {
    const HOMES: [&str; 3] = ["/home/", "/root/", "/Users/"];
    const REGISTRIES: &str = "index.crates.io static.crates.io pypi.org pythonhosted.org \
        download.pytorch.org registry.npmjs.org proxy.golang.org deb.debian.org \
        archive.ubuntu.com index-url replace-with sparse+";
    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let mut broken = Vec::new();
    for (path, text) in files().into_iter().filter(|(path, _)| !is_a_rule(path)) {
        for (n, line) in (1..).zip(text.lines()) {
            let begins_a_path = |(at, home): (usize, &str)| {
                let is_within = |c: char| c.is_alphanumeric() || "._-}/*".contains(c);
                // Homebrew's own folder on Linux is everybody's.
                !line[..at].ends_with(is_within)
                    && !line[at + home.len()..].starts_with("linuxbrew")
            };
            let home = |home: &&str| line.match_indices(*home).any(begins_a_path);
            let registry = |host: &&str| line.contains(*host);
            let found = HOMES.into_iter().find(home);
            let found = found.or_else(|| REGISTRIES.split_whitespace().find(registry));
            broken.extend(found.map(|found| format!("{path}:{n}: {found}")));
            if path == "Cargo.lock" && line.starts_with("source =") && !line.contains(CRATES_IO) {
                broken.push(format!("{path}:{n}: {line}"));
            }
        }
    }
    assert_none("what works on one machine only stays on that machine:", &broken);
}

#[test]
fn nothing_is_left_for_later_in_the_code() {
    const MARKS: [&str; 4] = ["TODO", "FIXME", "unimplemented!", "todo!"];
    let is_generated = |path: &str| path.ends_with(".lock") || path.ends_with(".json");
    let mut broken = Vec::new();
    for (path, text) in files() {
        if is_generated(&path) || is_a_rule(&path) {
            continue;
        }
        for (n, line) in (1..).zip(text.lines()) {
            let found = MARKS.into_iter().find(|mark| line.contains(mark));
            broken.extend(found.map(|mark| format!("{path}:{n}: {mark}")));
        }
    }
    assert_none("finish it, or open an issue and leave the code as it is:", &broken);
}

#[test]
fn sql_is_recognised_wherever_it_stands() {
    let found =
        |code: &str| tables(code).into_iter().map(|(k, t)| format!("{k} {t}")).collect::<Vec<_>>();
    assert_eq!(found("\"SELECT 1 FROM events WHERE\""), ["from events"]);
    assert_eq!(found("(select max(position) from public.events))"), ["from events"]);
    assert_eq!(found("\"INSERT INTO\n    events (aggregate_type)"), ["into events"]);
    assert_eq!(found("\"JOIN \\\n \\\"events\\\" USING"), ["join events"]);
    assert_eq!(found("\"DELETE FROM read.reports\""), ["delete from", "from read.reports"]);
    assert_eq!(found("format!(\"VIEW read.{view} AS\")"), ["view read.{view}"]);
    assert_eq!(found("let events_read = from(events);"), Vec::<String>::new());
}
