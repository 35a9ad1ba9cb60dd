//! docs/configuration.md says what the command line says of itself.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use clap::builder::StyledStr;
use clap::{Arg, Command};

const HEAD: &str = "\
# Configuration

Written from the command line's own definitions by `UPDATE_DOCS=1 cargo test -p chipq --test configuration`;
the same test fails when it is stale. Change the definition, not this file.

An option on the command line beats its variable, and that beats the default. An empty variable is an unset one; a switch
takes `1`, `yes`, `on`, `true` and their opposites; an address may be a port (`8080`, `:8080`: this machine alone) or a host
with one (`localhost:8080`, `0.0.0.0:8080`, `[::1]:8080`). Everything that is wrong is
said at start, before anything is touched. `chipq help COMMAND` shows one command's options.
";

/// What is read without an option for it, and what it is for.
const WITHOUT_OPTION: [(&str, &str); 29] = [
    ("DATABASE_URL", "stands in for `CHIPQ_DATABASE_URL` where that is not set"),
    ("CHIPQ_POSTGRES_BIN", "folder with PostgreSQL's programs, for the private server"),
    (
        "PG…",
        "PostgreSQL's own, such as `PGPASSWORD`: for a database that is configured, as libpq reads them; never for the private one",
    ),
    ("PATH", "where PostgreSQL's programs are looked for otherwise"),
    ("XDG_DATA_HOME", "where `chipq` keeps its folder when `CHIPQ_DATA` is not set"),
    ("HOME", "the same, without `XDG_DATA_HOME`"),
    ("USER", "who routes a model, or decides about a stream, when `CHIPQ_ACTOR` is not set"),
    ("LOGNAME", "the same, without `USER`"),
    (
        "CHIPQ_CLIENT_SECRET",
        "the client's secret for `chipq token`, and for the sample client; no option, since arguments can be read by others",
    ),
    (
        "CHIPQ_STORE_NOTIFICATION_SECRET",
        "the secret that the bucket of pictures sends with its notifications, where no file is named; no option, since arguments can be read by others",
    ),
    ("AWS_ACCESS_KEY_ID", "for pictures in a bucket, as AWS's own tools read it: the access key"),
    ("AWS_SECRET_ACCESS_KEY", "the same: its secret"),
    ("AWS_SESSION_TOKEN", "the same: of keys that end with a session"),
    ("AWS_PROFILE", "the same: the profile of the files, where there are no keys"),
    ("AWS_SHARED_CREDENTIALS_FILE", "the same, instead of `~/.aws/credentials`"),
    ("AWS_CONFIG_FILE", "the same, instead of `~/.aws/config`"),
    ("AWS_REGION", "the same: the region, where the URL of the bucket has none"),
    ("AWS_DEFAULT_REGION", "the same, without `AWS_REGION`"),
    (
        "AWS_ENDPOINT_URL_S3",
        "the same: where the store is, where the URL of the bucket does not say",
    ),
    ("AWS_ENDPOINT_URL", "the same, without `AWS_ENDPOINT_URL_S3`"),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "the same, with `AWS_ROLE_ARN` and AWS's others: the identity that a machine has of its own",
    ),
    ("SSL_CERT_FILE", "certificates of authorities that are believed, instead of the system's"),
    ("CHIPQ_CACHE", "where `make` keeps Triton and Keycloak; read by the scripts"),
    ("CHIPQ_TEST_DATABASE_URL", "tests: this server instead of a private one"),
    (
        "CHIPQ_TEST_TIMESCALE_URL",
        "tests: this server with TimescaleDB, as a superuser, instead of a private one; every database of a test has the extension",
    ),
    (
        "CHIPQ_INDEX_ROWS",
        "tests: rows of each table whose filters are explained, instead of 100,000",
    ),
    (
        "CHIPQ_SEAWEEDFS",
        "tests: this program of SeaweedFS; without it, the tests against S3 do nothing",
    ),
    ("CHIPQ_TRITON", "tests: this Triton server instead of one of their own"),
    (
        "CHIPQ_KEYCLOAK",
        "tests: the folder of a Keycloak server; without it, the test that needs one does nothing",
    ),
];

/// An option that a variable sets.
struct Setting {
    /// Under which heading each of the commands has it.
    headings: Vec<String>,
    option: String,
    default: String,
    meaning: String,
    commands: Vec<String>,
}

#[test]
fn the_document_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let document = document(&chipq::command_line());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let copy = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        copy == document,
        "docs/configuration.md is stale; run: UPDATE_DOCS=1 cargo test -p chipq --test configuration"
    );
}

fn document(root: &Command) -> String {
    let commands = all_commands(root, "");
    let mut text = HEAD.to_owned();
    write_settings(&mut text, &commands);
    text.push_str("\n## Read without an option\n\n| variable | what for |\n|---|---|\n");
    for (variable, meaning) in WITHOUT_OPTION {
        writeln!(text, "| `{variable}` | {meaning} |").unwrap();
    }
    text.push_str("\n## Commands\n");
    for (name, command) in commands.iter().filter(|(name, _)| !name.is_empty()) {
        write_command(&mut text, name, command);
    }
    text
}

/// Every command below this one, with the names that lead to it.
fn all_commands<'a>(command: &'a Command, name: &str) -> Vec<(String, &'a Command)> {
    let mut found = vec![(name.to_owned(), command)];
    // What is hidden is for nobody to type.
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        let name = format!("{name} {}", below.get_name()).trim_start().to_owned();
        found.extend(all_commands(below, &name));
    }
    found
}

fn write_settings(text: &mut String, commands: &[(String, &Command)]) {
    let mut variables = BTreeMap::<String, Vec<Setting>>::new();
    for (name, command) in commands {
        for arg in command.get_arguments() {
            let Some(variable) = arg.get_env() else { continue };
            let known = variables.entry(variable.to_string_lossy().into_owned()).or_default();
            let setting = setting(arg, name);
            let same = |other: &&mut Setting| {
                (&other.meaning, &other.default) == (&setting.meaning, &setting.default)
            };
            match known.iter_mut().find(same) {
                Some(other) => {
                    other.commands.extend(setting.commands);
                    other.headings.extend(setting.headings);
                }
                None => known.push(setting),
            }
        }
    }
    let mut concerns = BTreeMap::<&str, Vec<(&str, &Setting)>>::new();
    for (variable, settings) in &variables {
        let rows = settings.iter().map(|setting| (variable.as_str(), setting));
        concerns.entry(most_frequent_heading(settings)).or_default().extend(rows);
    }
    for (concern, rows) in concerns {
        let head = "| variable | option | default | meaning | commands |\n|---|---|---|---|---|";
        writeln!(text, "\n## {concern}\n\n{head}").unwrap();
        for (variable, Setting { option, default, meaning, commands, .. }) in rows {
            let commands = match commands.as_slice() {
                [all] if all.is_empty() => "all".to_owned(),
                commands => commands.join(", "),
            };
            let row = format!("| `{variable}` | {option} | {default} | {meaning} | {commands} |");
            writeln!(text, "{row}").unwrap();
        }
    }
}

/// A variable stands where most commands have it.
fn most_frequent_heading(settings: &[Setting]) -> &str {
    let mut counts = BTreeMap::<&str, usize>::new();
    for heading in settings.iter().flat_map(|setting| &setting.headings) {
        *counts.entry(heading).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or("General", |(heading, _)| heading)
}

fn setting(arg: &Arg, command: &str) -> Setting {
    Setting {
        headings: vec![arg.get_help_heading().unwrap_or("General").to_owned()],
        option: option(arg),
        default: default(arg),
        meaning: meaning(arg),
        commands: vec![command.to_owned()],
    }
}

fn write_command(text: &mut String, name: &str, command: &Command) {
    writeln!(text, "\n### chipq {name}\n\n{}", cell(command.get_about())).unwrap();
    let is_own = |arg: &&Arg| arg.get_env().is_none() && !arg.is_hide_set();
    let own: Vec<&Arg> = command.get_arguments().filter(is_own).collect();
    if own.is_empty() {
        return;
    }
    text.push_str("\n| option | default | meaning |\n|---|---|---|\n");
    for arg in own {
        writeln!(text, "| {} | {} | {} |", option(arg), default(arg), meaning(arg)).unwrap();
    }
}

/// `--option VALUE`, or the name of what stands without an option.
fn option(arg: &Arg) -> String {
    let takes_value = arg.get_action().takes_values();
    let values = arg.get_value_names().into_iter().flatten().map(|name| name.as_str());
    let values = values.collect::<Vec<_>>().join(" ");
    let id = arg.get_id().as_str().to_uppercase();
    let values = if values.is_empty() { id.clone() } else { values };
    match arg.get_long() {
        // A value that is called as its option says nothing more.
        Some(long) if takes_value && values == id => format!("`--{long} …`"),
        Some(long) if takes_value => format!("`--{long} {values}`"),
        Some(long) => format!("`--{long}`"),
        None => format!("`{values}`"),
    }
}

fn default(arg: &Arg) -> String {
    let values = arg.get_default_values().iter().map(|value| value.to_string_lossy());
    let values = values.collect::<Vec<_>>().join(" ");
    match values.as_str() {
        "" if arg.is_required_set() => "required".to_owned(),
        _ if values.is_empty() || !arg.get_action().takes_values() => String::new(),
        _ => format!("`{values}`"),
    }
}

fn meaning(arg: &Arg) -> String {
    let choices = arg.get_possible_values();
    let choices = choices.iter().filter(|_| arg.get_action().takes_values());
    let choices = choices.map(|choice| format!("`{}`", choice.get_name())).collect::<Vec<_>>();
    let help = cell(arg.get_long_help().or(arg.get_help()));
    if choices.is_empty() { help } else { format!("{help}: {}", choices.join(" or ")) }
}

/// Text as it may stand in a cell of a table.
fn cell(text: Option<&StyledStr>) -> String {
    let text = text.map(ToString::to_string).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// What production code asks the environment for without an option is in the document as well.
#[test]
fn every_variable_that_code_reads_is_in_the_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = document(&chipq::command_line());
    let mut read = 0;
    for line in git_grep(root, r#"(env::var(_os)?|\bset)\("[A-Z_]+"\)"#) {
        for variable in line.split('"').filter(|part| is_variable(part)) {
            assert!(document.contains(&format!("`{variable}`")), "{line}");
            read += 1;
        }
    }
    assert!(read >= 4, "only {read} were found");
}

fn git_grep(root: &Path, pattern: &str) -> Vec<String> {
    let output = std::process::Command::new("git")
        .args([
            "grep",
            "-E",
            "--untracked",
            pattern,
            "--",
            "*/src/*.rs",
            ":!*/tests/*",
            ":!*/tests.rs",
        ])
        .current_dir(root)
        .output()
        .expect("this test searches with git");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn is_variable(word: &str) -> bool {
    word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

#[test]
fn settings_are_grouped_by_concern_and_commands_list_their_own_options() {
    let level = Arg::new("level").long("level").env("X_LEVEL").default_value("warn");
    let level = level.help_heading("Logging").help("How\nmuch | is said.");
    let root = Command::new("x").subcommand(
        Command::new("go").about("Goes.").arg(level).arg(Arg::new("where").required(true)),
    );
    let document = document(&root);
    for expected in [
        "## Logging\n",
        "| `X_LEVEL` | `--level …` | `warn` | How much \\| is said. | go |\n",
        "### chipq go\n\nGoes.\n",
        "| `WHERE` | required |  |\n",
    ] {
        assert!(document.contains(expected), "{expected}\nis missing in\n{document}");
    }
}
