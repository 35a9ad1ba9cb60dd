//! What is set is taken as people write it, or refused at once with the option's and the variable's name.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::any::TypeId;
use std::num::NonZeroU32;
use std::process::Command as Process;

use clap::{Arg, Command};

use platform::{Platform, chipq, finished, folder};

/// Numbers that mean nothing by their size.
const WITHOUT_RANGE: [&str; 1] = ["seed"];
/// How long the database may take: its shortest limits are too short for a busy machine.
const DATABASE_LIMITS: &str = "CHIPQ_DATABASE_ACQUIRE_TIMEOUT CHIPQ_DATABASE_STATEMENT_TIMEOUT";

/// Every command, with the names that lead to it.
fn all_commands(command: &Command, names: &[String]) -> Vec<(Vec<String>, Command)> {
    let mut found = vec![(names.to_vec(), command.clone())];
    for below in command.get_subcommands() {
        let names = [names, &[below.get_name().to_owned()]].concat();
        found.extend(all_commands(below, &names));
    }
    found
}

fn is_number(arg: &Arg) -> bool {
    let of = arg.get_value_parser().type_id();
    let numbers = [
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
        TypeId::of::<NonZeroU32>(),
    ];
    arg.get_action().takes_values() && numbers.iter().any(|number| of == *number)
}

/// Why the command refuses this value of the option.
fn refusal(root: &Command, names: &[String], long: &str, value: &str) -> Option<String> {
    let names = ["chipq"].into_iter().chain(names.iter().map(String::as_str));
    let arguments = names.map(str::to_owned).chain([format!("--{long}={value}")]);
    let error = root.clone().try_get_matches_from(arguments).err()?.to_string();
    error.contains("invalid value").then_some(error)
}

/// Numbers that nothing can be set to. Which of them is out of the range, and which none of the type, depends
/// on the type.
const TOO_MUCH: &str = "18446744073709551615";
const TOO_LITTLE: &str = "-1";

/// The smallest and the largest value of an option, as the refusal of another one has them.
fn range(root: &Command, names: &[String], long: &str) -> Option<(i128, i128)> {
    [TOO_MUCH, TOO_LITTLE].iter().find_map(|value| {
        let said = refusal(root, names, long, value)?;
        let (_, range) = said.split_once(" is not in ")?;
        let (least, most) = range.split_whitespace().next()?.split_once("..=")?;
        Some((least.parse().ok()?, most.parse().ok()?))
    })
}

#[test]
fn every_number_on_the_command_line_has_a_range() {
    let root = chipq::command_line();
    let mut ranges = 0;
    for (names, command) in all_commands(&root, &[]) {
        for arg in command.get_arguments().filter(|arg| is_number(arg)) {
            let Some(long) = arg.get_long().filter(|long| !WITHOUT_RANGE.contains(long)) else {
                continue;
            };
            for value in [TOO_MUCH, TOO_LITTLE] {
                let said = refusal(&root, &names, long, value);
                assert!(said.is_some(), "{names:?} takes --{long}={value}");
            }
            assert!(range(&root, &names, long).is_some(), "{names:?}: --{long} has no range");
            ranges += 1;
        }
    }
    assert!(ranges > 50, "only {ranges} numbers were found");
}

/// Every number that `up` takes from a variable, with its range.
fn limits_of_up() -> Vec<(String, (i128, i128))> {
    let root = chipq::command_line();
    let up = root.find_subcommand("up").unwrap();
    let numbers = root.get_arguments().chain(up.get_arguments()).filter(|arg| is_number(arg));
    let limits = numbers.filter_map(|arg| {
        let range = range(&root, &["up".to_owned()], arg.get_long()?)?;
        Some((arg.get_env()?.to_str()?.to_owned(), range))
    });
    let mut limits: Vec<_> = limits.collect();
    assert!(limits.len() > 30, "{limits:?}");
    for (variable, range) in &mut limits {
        if variable == "CHIPQ_DATABASE_MAX_CONNECTIONS" {
            // A process that serves says itself what it needs.
            range.0 = 4;
        }
    }
    limits
}

#[test]
fn the_platform_runs_with_every_limit_at_its_smallest_and_at_its_largest() {
    let folder = folder();
    let limits = limits_of_up();
    let start = |values: Vec<(&str, String)>| {
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Platform::start_with(&folder.path().join("data"), 0, &values).stop();
    };
    let smallest = limits.iter().filter(|(variable, _)| !DATABASE_LIMITS.contains(variable));
    start(smallest.map(|(variable, (least, _))| (variable.as_str(), least.to_string())).collect());
    start(
        limits.iter().map(|(variable, (_, most))| (variable.as_str(), most.to_string())).collect(),
    );
}

/// A platform that is refused for its address when everything else is right.
fn up_that_listens_to_all() -> Process {
    chipq(&["up", "--demo", "--listen", "0.0.0.0:0"])
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let root = chipq::command_line();
    let up = root.find_subcommand("up").unwrap();
    let mut command = up_that_listens_to_all();
    let variables = root.get_arguments().chain(up.get_arguments()).filter_map(Arg::get_env);
    for variable in variables {
        command.env(variable, "");
    }
    let (code, _, said) = finished(command.env("DATABASE_URL", ""));
    assert!(code == 64 && said.contains("other machines"), "{said}");
}

#[test]
fn a_switch_takes_what_people_write_for_yes_and_no() {
    for (value, is_on) in
        [("1", true), ("yes", true), ("on", true), ("TRUE", true), ("0", false), ("no", false)]
    {
        // With the switch off, what is refused is the data folder, which cannot be made.
        let mut command = chipq(&["up", "--listen", "0.0.0.0:0"]);
        command.args(["--data", "/dev/null/no"]).env("CHIPQ_DEMO", value);
        let (code, _, said) = finished(command.env("CHIPQ_LOG_JSON", value));
        assert_eq!(
            (code, said.contains("other machines")),
            if is_on { (64, true) } else { (73, false) },
            "{said}"
        );
    }
    let (code, _, said) = finished(up_that_listens_to_all().env("CHIPQ_LOG_JSON", "perhaps"));
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("--log-json (CHIPQ_LOG_JSON)"), "{said}");
}

#[test]
fn what_is_refused_is_named_by_option_and_variable() {
    for (variable, value, option) in [
        ("CHIPQ_BATCH_SIZE", "0", "--batch-size"),
        ("CHIPQ_RENDERS_MAX", "18446744073709551615", "--renders-max"),
        ("CHIPQ_DATABASE_MAX_CONNECTIONS", "many", "--database-max-connections"),
        ("TOKIO_WORKER_THREADS", "0", "--threads"),
        ("CHIPQ_LOG", "info,=,x=y", "--log"),
        ("CHIPQ_PUBLIC_URL", "chipq.example", "--public-url"),
    ] {
        let (code, _, said) = finished(up_that_listens_to_all().env(variable, value));
        assert_eq!(code, 64, "{said}");
        assert!(said.contains(variable) && said.contains(option), "{said}");
    }
    let (code, _, said) = finished(chipq(&["up"]).env("CHIPQ_LISTEN", "here"));
    assert!(
        code == 64 && said.contains("CHIPQ_LISTEN") && said.contains("localhost:8080"),
        "{said}"
    );
    let (code, _, said) = finished(chipq(&["up"]).env("DATABASE_URL", "sqlite:///other.db"));
    assert!(code == 64 && said.starts_with("error: DATABASE_URL"), "{said}");
}

#[test]
fn a_file_without_letters_of_east_asia_is_refused_as_the_font_of_reports() {
    let folder = folder();
    let text = folder.path().join("font.ttf");
    std::fs::write(&text, "no font").unwrap();
    let missing = folder.path().join("missing.ttf");
    for (file, why) in [
        (text.as_path(), "no TrueType or OpenType font"),
        (&missing, "cannot be read"),
        (folder.path(), "it is no file"),
    ] {
        let (code, _, said) = finished(up_that_listens_to_all().env("CHIPQ_REPORT_FONT", file));
        assert!(code == 64 && said.contains("--report-font <FILE> (CHIPQ_REPORT_FONT)"), "{said}");
        assert!(said.contains(why) && said.contains(file.to_str().unwrap()), "{said}");
        let mut role = chipq(&["query-api", "--report-font"]);
        let (code, _, said) = finished(role.arg(file));
        assert!(code == 64 && said.contains(why), "{said}");
    }
}

#[test]
fn the_address_that_is_advised_can_be_listened_to() {
    let Ok(taken) = std::net::TcpListener::bind("[::1]:0") else {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    };
    let listen = taken.local_addr().unwrap().to_string();
    let folder = folder();
    let (code, _, said) =
        finished(chipq(&["up", "--listen", &listen, "--data"]).arg(folder.path()));
    assert_eq!(code, 69, "{said}");
    let advised = said.split("--listen ").nth(1).unwrap().split(',').next().unwrap();
    let advised: std::net::SocketAddr = advised.parse().unwrap();
    assert_eq!(advised.ip(), taken.local_addr().unwrap().ip());
}
