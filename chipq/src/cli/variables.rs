//! What all options that a variable sets have in common, said once.
//!
//! Invariant: an empty variable is an unset one, a switch takes what people write for yes and no, and a refusal
//! names the variable beside the option, since only one of the two was written.

use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};

/// The command line, with every variable taken as people set them.
pub(super) fn with_variables(command: Command) -> Command {
    command.mut_args(with_variable).mut_subcommands(with_variables)
}

fn with_variable(arg: Arg) -> Arg {
    let Some(variable) = arg.get_env() else { return arg };
    if std::env::var_os(variable).is_some_and(|value| value.is_empty()) {
        return arg.env(None::<&'static str>);
    }
    match arg.get_action() {
        ArgAction::SetTrue => arg.value_parser(BoolishValueParser::new()),
        _ => arg,
    }
}

/// The same refusal, in which every option of `command` stands with its variable.
pub(super) fn name_variables(
    mut refusal: clap::Error,
    command: &Command,
    arguments: &[OsString],
) -> clap::Error {
    let variable = |option: &str| named_beside(option, command, arguments);
    let named = match refusal.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => ContextValue::String(variable(option)),
        Some(ContextValue::Strings(options)) => {
            ContextValue::Strings(options.iter().map(|option| variable(option)).collect())
        }
        _ => return refusal,
    };
    refusal.insert(ContextKind::InvalidArg, named);
    refusal
}

/// `--option <VALUE>`, and its variable if it has one in the command that was asked for.
fn named_beside(option: &str, root: &Command, arguments: &[OsString]) -> String {
    let mut commands = vec![root];
    for argument in arguments {
        let below = argument.to_str().and_then(|name| commands.last()?.find_subcommand(name));
        commands.extend(below);
    }
    let long = option.split_whitespace().next().and_then(|word| word.strip_prefix("--"));
    let named = commands.iter().rev().flat_map(|command| command.get_arguments());
    let variable =
        named.filter(|arg| long.is_some() && arg.get_long() == long).find_map(Arg::get_env);
    match variable {
        Some(variable) => format!("{option} ({})", variable.to_string_lossy()),
        None => option.to_owned(),
    }
}
