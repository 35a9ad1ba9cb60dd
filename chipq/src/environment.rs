//! What this process inherits, put right before anything else is done.
//!
//! Invariant: variables of PostgreSQL's clients reach a private PostgreSQL in no way. Whoever configures a
//! database of his own may mean them for it.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use rustix::fs::Mode;
use rustix::process::umask;

use crate::failure::{Failure, exit};

/// Lets this process's user use what it makes: a mask that forbids that helps nobody.
pub(crate) fn unmask_own_files() {
    let inherited = umask(Mode::RWXG | Mode::RWXO);
    umask(inherited - Mode::RWXU);
}

/// Threads that a command may need beside those that work on requests and events: for files, names, the engine.
const THREADS_BESIDE: usize = 32;
/// What a thread that does nothing takes: beginning and ending it is all, and the allocator's share of that.
const IDLE_STACK_BYTES: usize = 256 << 10;

/// Refuses a machine that lets this user have too few threads: whoever starts one later cannot but panic.
///
/// # Errors
/// With how to let it have more.
pub(crate) fn check_threads(workers: usize) -> Result<(), Failure> {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    let wait_for_gate = |gate: &Mutex<mpsc::Receiver<()>>| {
        // It opens when nobody can send any more.
        let _ = gate.lock().map(|gate| gate.recv());
    };
    let mut waiting = Vec::new();
    let mut refused = None;
    for _ in 0..workers + THREADS_BESIDE {
        let gate = Arc::clone(&gate);
        let thread = thread::Builder::new().stack_size(IDLE_STACK_BYTES);
        match thread.spawn(move || wait_for_gate(&gate)) {
            Ok(thread) => waiting.push(thread),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    drop(open);
    let got = waiting.len();
    waiting.into_iter().for_each(|thread| drop(thread.join()));
    refused.map_or(Ok(()), |error| {
        Err(Failure::new(
            format_args!("this user may have {got} more threads, and that is too few: {error}"),
            "let it have more (ulimit -u, systemd: TasksMax, docker: --pids-limit), then run it again",
            exit::UNAVAILABLE,
        ))
    })
}

/// Starts this program again without the variables of PostgreSQL's clients, if there are any: the library that
/// connects reads them, and offers no way to connect without.
///
/// # Errors
/// When the program cannot be started again; otherwise this does not return.
pub(crate) fn leave_client_variables(arguments: &[OsString]) -> Result<(), Failure> {
    let variables: Vec<_> =
        std::env::vars_os().map(|(name, _)| name).filter(is_of_clients).collect();
    let Some(first) = variables.first() else { return Ok(()) };
    let named = arguments.first().cloned().unwrap_or_default();
    // Where `/proc` is hidden, the name that it was called by has to do.
    let program = std::env::current_exe().map_or_else(|_| named.clone(), OsString::from);
    let mut again = Command::new(program);
    again.arg0(named).args(arguments.iter().skip(1));
    for variable in &variables {
        again.env_remove(variable);
    }
    let error = again.exec();
    let what = format_args!(
        "{} is set, and cannot be kept from the private PostgreSQL: {error}",
        first.to_string_lossy()
    );
    Err(Failure::new(
        what,
        "unset the variables that begin with PG, then run it again",
        exit::USAGE,
    ))
}

/// `PGHOST`, `PGOPTIONS`, `PGSSLMODE`, and what else libpq reads.
fn is_of_clients(name: &OsString) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"PG") && name.iter().all(u8::is_ascii_uppercase)
}
