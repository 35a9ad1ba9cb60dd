//! Where a password comes from: a file, the terminal, or standard input. Never an argument, which everybody on the
//! machine can read.

use std::io::{self, BufRead as _, IsTerminal as _};

use secrecy::SecretString;

use crate::cli::PasswordArgs;
use crate::failure::{Failure, exit};

/// The longest line that is read, in bytes.
const LINE_MAX_BYTES: u64 = 64 << 10;

/// Reads a password; at a terminal it is asked for twice, and not shown.
pub(super) fn read_password(args: &PasswordArgs) -> Result<SecretString, Failure> {
    if let Some(path) = &args.password_file {
        let file = std::fs::File::open(path).map_err(|error| {
            let what = format_args!("cannot read {}: {error}", path.display()).to_string();
            Failure::new(what, "name a file that holds the password", exit::NO_INPUT)
        })?;
        return read_line(file);
    }
    if !io::stdin().is_terminal() {
        return read_line(io::stdin());
    }
    let ask = |prompt: &str| {
        let typed = rpassword::prompt_password(prompt);
        typed.map(SecretString::from).map_err(|error| unreadable(&error))
    };
    let (password, again) = (ask("Password: ")?, ask("Again: ")?);
    if is_same(&password, &again) {
        Ok(password)
    } else {
        Err(Failure::new("the two passwords differ", "run it again", exit::DATA))
    }
}

fn is_same(one: &SecretString, other: &SecretString) -> bool {
    use secrecy::ExposeSecret as _;
    one.expose_secret() == other.expose_secret()
}

fn read_line(from: impl io::Read) -> Result<SecretString, Failure> {
    let mut line = String::new();
    let mut reader = io::BufReader::new(io::Read::take(from, LINE_MAX_BYTES));
    reader.read_line(&mut line).map_err(|error| unreadable(&error))?;
    let password = line.strip_suffix('\n').unwrap_or(&line);
    Ok(SecretString::from(password.strip_suffix('\r').unwrap_or(password)))
}

fn unreadable(error: &io::Error) -> Failure {
    let what = format_args!("the password cannot be read: {error}").to_string();
    Failure::new(what, "type it at a terminal, or use --password-file", exit::NO_INPUT)
}
