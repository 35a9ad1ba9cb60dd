//! What shells and `man` are told of the command line, and how the executable names itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

#[path = "support/platform.rs"]
#[allow(dead_code, reason = "shared with tests that use the rest")]
mod platform;

use std::process::Command;

use platform::{chipq, finished, folder};

/// Those that people type.
fn shown_subcommands(line: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    line.get_subcommands().filter(|command| !command.is_hide_set())
}

fn completions(shell: &str) -> String {
    let (code, script, said) = finished(&mut chipq(&["completions", shell]));
    assert_eq!(code, 0, "{said}");
    script
}

#[test]
fn a_shell_completes_subcommands_and_options() {
    let folder = folder();
    let script = folder.path().join("completions");
    std::fs::write(&script, completions("bash")).unwrap();
    let complete = |typed: &[&str]| {
        let asked = format!(
            "source {}; COMP_WORDS=({}); COMP_CWORD={}; _chipq chipq \"${{COMP_WORDS[-1]}}\" x; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            typed.join(" "),
            typed.len() - 1
        );
        finished(Command::new("bash").args(["-c", &asked])).1
    };
    assert_eq!(complete(&["chipq", "insp"]), "inspect\n");
    assert_eq!(complete(&["chipq", "projections", "ret"]), "retry\n");
    assert_eq!(complete(&["chipq", "inspect", "--anno"]), "--annotate\n");
}

#[test]
fn every_shell_gets_a_script_of_every_subcommand() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = completions(shell);
        for command in shown_subcommands(&::chipq::command_line()) {
            assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
        }
    }
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let folder = folder();
    let pages = folder.path().join("share/man1");
    let (code, _, said) = finished(chipq(&["manual-pages"]).arg(&pages));
    assert_eq!(code, 0, "{said}");
    for command in shown_subcommands(&::chipq::command_line()) {
        let page = pages.join(format!("chipq-{}.1", command.get_name()));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains(".TH chipq"), "{}", page.display());
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            let written = format!("\\-\\-{}", option.replace('-', "\\-"));
            assert!(text.contains(&written), "{} of {}", option, page.display());
        }
    }
    let (code, _, said) = finished(&mut chipq(&["manual-pages", "/dev/null/no"]));
    assert!(code == 73 && said.contains("name a folder"), "{code}: {said}");
}

#[test]
fn the_version_names_the_commit() {
    let (_, said, _) = finished(&mut chipq(&["--version"]));
    assert!(said.starts_with(concat!("chipq ", env!("CARGO_PKG_VERSION"))), "{said}");
    let (code, commit, _) = finished(Command::new("git").args(["rev-parse", "HEAD"]));
    if code != 0 || std::env::var_os("CHIPQ_COMMIT").is_some() {
        eprintln!("SKIPPED: not a checkout");
        return;
    }
    assert!(said.contains(&format!("(commit {})", &commit[..12])), "{said} of {commit}");
}
