//! Followers: everything that reacts to the event log.
//!
//! # What a follower is
//!
//! A follower reads the log in its order and does something about each event. It has
//!
//! - a **name**, under which all that follows is kept and shown;
//! - a **checkpoint**: everything up to this position is done. It is kept in the database and moves
//!   only forward, so a follower that starts again goes on where it was. A new one begins at 0, with
//!   the first event ever: whoever must not act on the past says so by the checkpoint it begins with;
//! - one **owner** at a time. Any number of processes may run the same follower; one does the work, the
//!   others stand by. Who believes to be the owner may be wrong (it was cut off, or stood still for a
//!   minute), so every owner has an **epoch**, greater than all before it, and moves the checkpoint only
//!   where its own epoch stands. An owner with an old one is *fenced*: it changes nothing any more, and
//!   looks again who owns what;
//! - **hints**: something may have changed. A hint is a reason to look and never data; it may be late,
//!   early, doubled or lost, so whoever waits for one looks now and then without it
//!   ([`POLL_INTERVAL`](crate::event_log::POLL_INTERVAL), [`crate::postgres::channel`]);
//! - a **back-off**: what is in the way is tried again, ever more slowly ([`crate::backoff`]);
//! - a **status** in memory, for readiness and metrics.
//!
//! # Projector and reactor
//!
//! What a follower does and that it was done cannot always be written down at once. That divides them:
//!
//! - A **projector** writes rows into the database that also keeps its checkpoint: both in *one
//!   transaction*. A crash leaves both or neither, so each event counts exactly once. The fence is in
//!   that transaction, too.
//! - A **reactor** acts on something else: another stream of the log, a broker, somebody's web server, a
//!   file. It acts first and moves the checkpoint afterwards; the other way round, a crash in between
//!   would lose the effect. So an event may be given to it *more than once* (after a crash, after it was
//!   fenced), and its effect happens once only if doing it again changes nothing: by an id derived from
//!   what is done (the worker's results), by a key at the other end (a relay's positions), or because
//!   the effect is a fact that can be set again (a file's content).
//!
//! At least once with effects once is all that a log can promise to the world outside it; exactly once
//! is what a transaction can promise to itself.
//!
//! A reactor whose work belongs to one stream at a time is a [`StreamReactor`]: it says which events
//! give work and what one stream asks for. Its streams are divided into partitions, each leased to one
//! of the processes that run it; streams are done in any order and at once, and the checkpoint of a
//! partition waits before the first event that is not done. [`run_reactor`] does all of that.
//!
//! Work may kill the process that does it, and the next owner is then given it again, and dies as well. A
//! reactor whose work may do that writes each attempt down before it begins ([`AttemptLedger`]), and gives
//! up what was begun too often and never ended.
//!
//! A reactor that needs the log's own order (a relay, a sender of webhooks, a builder of proofs) is a
//! [`LogReactor`]: one process at a time owns it, and it is given page after page, as far ahead as it has room.
//!
//! Ownership comes in two kinds, with the same epochs. A projector and a `LogReactor` have one owner,
//! whose lock ends with its connection ([`OwnerConnection`]): a process that dies is replaced at once.
//! Partitions are leased for a time by the database's clock, because many of them are shared out anew
//! whenever a process comes or goes.
//!
//! # Who reads the log
//!
//! One reader per process, the [`LogTail`]: it reads the end of the log while anybody waits for more,
//! keeps the recent stretch, and wakes who waits. A [`Follow`] is one follower's place in it. Who is
//! behind that stretch reads older pages from the log itself until it has caught up; who is slow is
//! never waited for. When nobody waits, nothing is read.

mod attempts;
mod log_reactor;
mod owner;
mod projector;
mod session;
mod status;
mod stream_reactor;
mod tail;

pub use attempts::{Attempt, AttemptLedger};
pub use log_reactor::{LogReactor, LogReactorFollower, ReactionError, ReactionSession};
pub use owner::{OwnerConnection, OwnerLock};
pub use projector::{Projector, ProjectorFollower, project_to_end};
pub use session::{FollowError, Follower, SESSION_BACKOFF, run_follower};
pub use status::{FollowerStatus, Followers};
pub use stream_reactor::{
    Handled, LeaseError, PartitionStatus, ReactorOptions, StreamReactor, run_reactor,
};
pub use tail::{Follow, LogTail};
