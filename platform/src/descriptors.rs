//! How many files and connections this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are enough for any process of this platform: nothing asks for more.
const ENOUGH: u64 = 65_536;
/// Descriptors that one connection may take: its own, and that of a picture that is sent or received by it.
const PER_CONNECTION: u64 = 2;
/// Descriptors that are kept for the database, files, engines and the listener itself.
const KEPT: u64 = 256;

/// Lets this process open as many files as its hard limit allows, up to 65,536; what it starts inherits that.
/// Many systems begin with 1,024, of which every connection takes one or two.
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

/// How many connections may be open, by the limit in force.
pub(crate) fn for_connections() -> usize {
    connections_within(getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH))
}

/// Of a limit that is low half is kept in any case.
fn connections_within(limit: u64) -> usize {
    let shared = limit - KEPT.min(limit / 2);
    usize::try_from(shared / PER_CONNECTION).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_may_have_a_file_open_and_enough_is_left_for_the_rest() {
        for (limit, connections) in [(65_536, 32_640), (1_024, 384), (256, 64), (3, 1)] {
            assert_eq!(connections_within(limit), connections, "{limit}");
        }
    }
}
