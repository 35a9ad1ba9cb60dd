//! Where a password, a client's secret or a claim code comes from: a file, the terminal, or standard input. Never an
//! argument, which everybody on the machine can read.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use secrecy::SecretString;

use crate::cli::PasswordArgs;
use crate::failure::{Failure, exit};

/// The longest line that is read, in bytes.
const LINE_MAX_BYTES: u64 = 64 << 10;

/// Reads a new password; at a terminal it is asked for twice, and not shown.
pub(super) fn read_password(args: &PasswordArgs) -> Result<SecretString, Failure> {
    let password = read_secret(args.password_file.as_deref(), "Password: ")?;
    let is_typed = args.password_file.is_none() && io::stdin().is_terminal();
    if is_typed && !is_same(&password, &prompt_for("Again: ")?) {
        return Err(Failure::new("the two passwords differ", "run it again", exit::DATA));
    }
    Ok(password)
}

/// The first line of the file, if there is one; else what is typed at the terminal and not shown, or the next line of
/// standard input.
pub(super) fn read_secret(file: Option<&Path>, prompt: &str) -> Result<SecretString, Failure> {
    match file {
        Some(path) => read_first_line_of(path),
        None if io::stdin().is_terminal() => prompt_for(prompt),
        None => read_line(io::stdin().lock()),
    }
}

fn read_first_line_of(path: &Path) -> Result<SecretString, Failure> {
    let file = std::fs::File::open(path).map_err(|error| {
        let what = format_args!("cannot read {}: {error}", path.display()).to_string();
        Failure::new(what, "name a file that holds it in its first line", exit::NO_INPUT)
    })?;
    read_line(io::BufReader::new(file))
}

fn prompt_for(prompt: &str) -> Result<SecretString, Failure> {
    let typed = rpassword::prompt_password(prompt);
    typed.map(SecretString::from).map_err(|error| unreadable(&error))
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    use secrecy::ExposeSecret as _;
    one.expose_secret() == other.expose_secret()
}

fn read_line(from: impl io::BufRead) -> Result<SecretString, Failure> {
    let mut line = String::new();
    from.take(LINE_MAX_BYTES).read_line(&mut line).map_err(|error| unreadable(&error))?;
    if line.is_empty() {
        let what = "nothing was there to be read, where a secret was expected";
        return Err(Failure::new(what, "pipe it in, a line each, or name a file", exit::NO_INPUT));
    }
    let secret = line.strip_suffix('\n').unwrap_or(&line);
    Ok(SecretString::from(secret.strip_suffix('\r').unwrap_or(secret)))
}

fn unreadable(error: &io::Error) -> Failure {
    let what = format_args!("what was to be typed or piped in cannot be read: {error}").to_string();
    Failure::new(what, "type it at a terminal, or name a file", exit::NO_INPUT)
}
