//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are enough for any process of this platform: nothing asks for more.
const ENOUGH: u64 = 65_536;
/// Descriptors that are kept for the database, files, engines and the listener itself.
const KEPT: u64 = 256;

/// Lets this process open as many files as its hard limit allows, up to 65,536; what it starts inherits that.
/// Many systems begin with 1,024, of which every connection takes one.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit { current: Some(wanted), maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, ?current, "the limit of open files stays as it is");
    }
}

/// How many connections may be open, by the limit in force: at least half of what there is.
pub(crate) fn for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH);
    usize::try_from(limit - KEPT.min(limit / 2)).unwrap_or(usize::MAX)
}
