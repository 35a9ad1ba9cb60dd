//! Standard output and standard error, which may be closed or full at any moment.
//!
//! Invariant: writing there never ends the work. A reader that has gone away has what it wanted; of anything
//! else that keeps an answer from where it belongs, the command says so at its end. Absent: `println!`, which
//! panics; the lints of this crate refuse it.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::OnceLock;

use crate::failure::{Failure, exit};

/// Why something did not get out: the first time counts.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// Writes to standard output, as `print!` does.
macro_rules! out {
    ($($text:tt)*) => { $crate::output::write_answer(format_args!($($text)*)) };
}

/// Writes a line to standard output, as `println!` does.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::write_answer(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes a line to standard error, as `eprintln!` does.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::write_remark(format_args!("{}\n", format_args!($($text)*))) };
}

/// Writes a part of the command's answer.
pub(crate) fn write_answer(text: fmt::Arguments<'_>) {
    note(io::stdout().write_fmt(text));
}

/// Writes what is not part of the answer. Nothing is left to tell anyone when that fails.
pub(crate) fn write_remark(text: fmt::Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}

/// Writes out what is still held back.
///
/// # Errors
/// When a part of the answer was lost, except to a reader that went away.
pub(crate) fn finish() -> Result<(), Failure> {
    note(io::stdout().flush());
    match LOST.get() {
        Some(lost) if lost.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            format_args!("cannot write to standard output: {lost}"),
            "make room where it goes, or let it go elsewhere, then run it again",
            exit::CANNOT_WRITE,
        )),
        _ => Ok(()),
    }
}

fn note(written: io::Result<()>) {
    if let Err(error) = written {
        let _ = LOST.set(error);
    }
}
