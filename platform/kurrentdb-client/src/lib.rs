//! A client of KurrentDB for one purpose: to append to streams with an expected revision, and to read them and the
//! whole log, always on the leader.
//!
//! Invariants: a [`LeaderConnection`] is one TCP connection to one life of one leader, and never becomes another: when
//! it breaks it is over, and [`KurrentClient`] looks for the leader anew. So whoever holds one knows that nothing was
//! put back or taken over behind it. Every wait has a limit. Nothing is sent twice in here: whether to try again is
//! the caller's decision, and [`KurrentError::may_pass`] says when that is worth it. Absent on purpose: deleting,
//! appending whatever the revision, persistent subscriptions, reading from followers.

pub use client::KurrentClient;
pub use connection::LeaderConnection;
pub use error::KurrentError;
pub use node_url::{
    KurrentCredentials, KurrentUrl, KurrentUrlProblem, KurrentUrlProblems, NodeAddress,
    RefusedCredentials, TransportSecurity,
};
pub use streams::{
    AllStart, AppendAnswer, ExpectedRevision, KurrentEvent, LogSubscription, ProposedEvent,
    ReadOrder, StreamStart,
};

mod client;
mod connection;
mod error;
mod gossip;
mod node_url;
mod streams;
