//! What a person reads when a command fails: one line what happened, one line what to do next.
//!
//! Invariant: no `Debug` output reaches the terminal, and every failure says what to do.

use std::fmt;
use std::io;

use platform::config::ConfigErrors;
use platform::embedded_postgres::EmbeddedPostgresError;

/// Exit codes of failures, as `sysexits.h` (BSD) has them; judgements use 0, 1 and 2.
pub(crate) mod exit {
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 64;
    /// A file is not what it should be.
    pub(crate) const DATA: u8 = 65;
    /// A file cannot be read.
    pub(crate) const NO_INPUT: u8 = 66;
    /// Something that is needed does not answer, or is missing.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// Anything else.
    pub(crate) const INTERNAL: u8 = 70;
    /// A file cannot be written.
    pub(crate) const CANNOT_WRITE: u8 = 73;
}

const CORRECT_IT: &str = "correct what is named, then run it again";
const UNKNOWN_NEXT: &str = "run it again with --log debug; if it stays, report it with that output";

/// A failure, in words for the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) next: String,
    /// The exit code.
    pub(crate) code: u8,
}

impl Failure {
    /// What happened, what to do next, and the exit code.
    pub(crate) fn new(what: impl fmt::Display, next: impl fmt::Display, code: u8) -> Self {
        Self { what: without_os_error(what.to_string()), next: next.to_string(), code }
    }

    /// What `error` means to whoever typed the command.
    ///
    /// Errors of the platform end in "; what to do"; that part becomes the second line.
    pub(crate) fn from_error(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if let Some(failure) = cause.downcast_ref::<Self>() {
                return failure.clone();
            }
            if let Some(error) = cause.downcast_ref::<EmbeddedPostgresError>() {
                return from_private_postgres(error);
            }
            if let Some(error) = cause.downcast_ref::<ConfigErrors>() {
                return from_config(error);
            }
        }
        let message = one_line(error);
        let code = code_of(error);
        match message.rsplit_once("; ") {
            Some((what, next)) => Self::new(what, next, code),
            None => Self::new(message, UNKNOWN_NEXT, code),
        }
    }
}

/// What came of two things that were tried beside each other; or everything that stands in the way, each with what to
/// do about it, so that nobody corrects one thing and is told of the next.
pub(crate) fn join_faults<A, B>(
    first: anyhow::Result<A>,
    second: anyhow::Result<B>,
) -> anyhow::Result<(A, B)> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        (Err(first), Err(second)) => {
            let failures = [Failure::from_error(&first), Failure::from_error(&second)];
            let said =
                failures.each_ref().map(|Failure { what, next, .. }| format!("{what}; {next}"));
            let what = format!("{} things are in the way: {}", said.len(), said.join(" | "));
            Err(Failure::new(what, CORRECT_IT, failures[0].code).into())
        }
    }
}

/// What platform says of the private PostgreSQL, in two lines.
fn from_private_postgres(error: &EmbeddedPostgresError) -> Failure {
    use EmbeddedPostgresError as E;
    let text = error.to_string().replace('\n', " ");
    let (what, next) = match error {
        E::NotInstalled { searched } => {
            return Failure::new(
                format_args!("PostgreSQL is not installed (looked in {searched})"),
                "install it: sudo apt-get install postgresql (Debian, Ubuntu) or brew install \
                 postgresql@17 (macOS); or set CHIPQ_POSTGRES_BIN to its programs' folder, or \
                 CHIPQ_DATABASE_URL to a server that runs",
                exit::UNAVAILABLE,
            );
        }
        E::Program { .. } => text.rsplit_once("; ").unwrap_or((&text, UNKNOWN_NEXT)),
        _ => text.split_once("; ").unwrap_or((&text, UNKNOWN_NEXT)),
    };
    let code = if let E::Io { .. } = error { exit::CANNOT_WRITE } else { exit::UNAVAILABLE };
    Failure::new(what, next, code)
}

/// Everything that is wrong on the first line, what to do on the second.
fn from_config(errors: &ConfigErrors) -> Failure {
    let lines: Vec<_> = errors.iter().collect();
    if let [only] = lines.as_slice() {
        // It ends in what to do, as every error of the platform.
        let (what, next) = only.rsplit_once("; ").unwrap_or((only, CORRECT_IT));
        return Failure::new(what, next, exit::USAGE);
    }
    let what = format_args!("{} settings are wrong: {}", lines.len(), lines.join(" | "));
    Failure::new(what, CORRECT_IT, exit::USAGE)
}

/// Without the numbers that std adds to what the system says: "(os error 2)".
fn without_os_error(mut text: String) -> String {
    while let Some(start) = text.find(" (os error ")
        && let Some(length) = text[start..].find(')')
    {
        text.replace_range(start..=start + length, "");
    }
    text
}

/// The error and its causes on one line, without those that repeat what was said already.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line = format!("{line}: {text}");
        }
    }
    line
}

fn code_of(error: &anyhow::Error) -> u8 {
    use platform::artifact_store::ArtifactStoreError;
    use platform::event_log::OpenEventLogError;
    use platform::postgres::PostgresError;
    for cause in error.chain() {
        if let Some(io) = cause.downcast_ref::<io::Error>() {
            return match io.kind() {
                io::ErrorKind::NotFound => exit::NO_INPUT,
                io::ErrorKind::PermissionDenied | io::ErrorKind::StorageFull => exit::CANNOT_WRITE,
                _ => exit::UNAVAILABLE,
            };
        }
        if cause.is::<platform::ownership::OwnershipError>() {
            return exit::CANNOT_WRITE;
        }
        if let Some(ArtifactStoreError::Unusable(_)) = cause.downcast_ref() {
            return exit::UNAVAILABLE;
        }
        if let Some(error) = cause.downcast_ref::<OpenEventLogError>() {
            return if error.may_pass() { exit::UNAVAILABLE } else { exit::USAGE };
        }
        if cause.is::<PostgresError>() || cause.is::<sqlx::Error>() || cause.is::<reqwest::Error>()
        {
            return exit::UNAVAILABLE;
        }
    }
    exit::INTERNAL
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\n  next: {}", self.what, self.next)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_keeps_its_words_through_contexts() {
        let failure = Failure::new("it broke", "mend it", exit::DATA);
        let error = anyhow::Error::new(failure.clone()).context("while trying");
        assert_eq!(Failure::from_error(&error), failure);
        assert_eq!(failure.to_string(), "error: it broke\n  next: mend it");
    }

    #[test]
    fn what_to_do_is_taken_from_the_end_of_a_platform_error() {
        let error = anyhow::Error::new(platform::postgres::PostgresError::NotConfigured);
        let failure = Failure::from_error(&error);
        assert_eq!(failure.what, "no database is configured");
        assert!(failure.next.starts_with("set CHIPQ_DATABASE_URL"));
        assert_eq!(failure.code, exit::UNAVAILABLE);
    }

    #[test]
    fn two_things_in_the_way_are_one_failure_with_what_to_do_about_each() {
        let database = || anyhow::Error::new(platform::postgres::PostgresError::NotConfigured);
        let bucket = || anyhow::Error::new(Failure::new("no bucket", "create it", exit::DATA));
        let both = join_faults::<(), ()>(Err(database()), Err(bucket())).unwrap_err();
        let failure = Failure::from_error(&both);
        assert!(failure.what.starts_with("2 things are in the way: no database is"), "{failure}");
        assert!(failure.what.ends_with(" | no bucket; create it"), "{failure}");
        assert_eq!((failure.next.as_str(), failure.code), (CORRECT_IT, exit::UNAVAILABLE));
        let one = join_faults::<(), ()>(Ok(()), Err(bucket())).unwrap_err();
        assert_eq!(Failure::from_error(&one).what, "no bucket");
        assert_eq!(join_faults(Ok(1), Ok(2)).unwrap(), (1, 2));
    }

    #[test]
    fn causes_stand_on_one_line_and_are_not_repeated() {
        let cause = io::Error::new(io::ErrorKind::NotFound, "no such file");
        let error =
            anyhow::Error::new(cause).context("cannot read x: no such file").context("stop");
        let failure = Failure::from_error(&error);
        assert_eq!(failure.what, "stop: cannot read x: no such file");
        assert_eq!((failure.next.as_str(), failure.code), (UNKNOWN_NEXT, exit::NO_INPUT));
    }
}
