//! Why a call came to nothing, told apart by what to do about it.

use std::error::Error;

use tonic::{Code, Status};

use crate::node_url::NodeAddress;

/// Why a call came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KurrentError {
    /// No connection, or it broke. What was appended on it may be there.
    #[error(
        "KurrentDB at {address} cannot be reached ({reason}); check that it runs, and CHIPQ_EVENT_LOG_URL"
    )]
    Unreachable {
        /// Which node.
        address: NodeAddress,
        /// In the words of the system.
        reason: String,
    },
    /// No node says that it leads at present.
    #[error(
        "KurrentDB has no leader at present ({address} knows of none); wait for its nodes to elect one"
    )]
    NoLeader {
        /// Which node was asked.
        address: NodeAddress,
    },
    /// The node does not lead any more.
    #[error("the node of KurrentDB does not lead any more")]
    NotLeader {
        /// Who does, as far as it knows.
        leader: Option<NodeAddress>,
    },
    /// The answer did not come in time, or the server gave up waiting for its cluster: what was appended may be there.
    #[error("KurrentDB did not answer in time: {0}")]
    NoAnswer(String),
    /// The server says that it cannot now.
    #[error("KurrentDB cannot do it now: {0}")]
    Interrupted(String),
    /// User or password are wrong, or missing.
    #[error(
        "KurrentDB does not accept the user or the password; set CHIPQ_KURRENTDB_USER and CHIPQ_KURRENTDB_PASSWORD, \
         or CHIPQ_KURRENTDB_PASSWORD_FILE"
    )]
    WrongCredentials,
    /// The user may not do this.
    #[error(
        "the user of KurrentDB may not do this ({0}); let it read $all, and read and write the streams that begin with \"chipq\""
    )]
    Denied(String),
    /// What answers speaks another language.
    #[error("what answers at {address} is not a KurrentDB ({reason}); correct CHIPQ_EVENT_LOG_URL")]
    NotKurrentDb {
        /// Where.
        address: NodeAddress,
        /// What it said.
        reason: String,
    },
    /// The stream was deleted for ever (a tombstone).
    #[error(
        "the stream {0} was deleted in KurrentDB, the log is not complete any more; put a backup back"
    )]
    StreamDeleted(String),
    /// More than the server takes at once.
    #[error("KurrentDB takes no append of this size ({0}); raise its MaxAppendSize")]
    TooLarge(String),
    /// The certificates cannot be used.
    #[error("{0}")]
    Certificates(String),
    /// Anything else: trying again does not help.
    #[error("KurrentDB refused: {0}")]
    Refused(String),
}

impl KurrentError {
    /// Whether it may go by itself: then the connection is over, and what was appended on it may be there.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::NoLeader { .. }
                | Self::NotLeader { .. }
                | Self::NoAnswer(_)
                | Self::Interrupted(_)
        )
    }

    /// What a status of a call on `stream` says.
    pub(crate) fn from_status(status: &Status, address: &NodeAddress, stream: &str) -> Self {
        let text = |key: &str| status.metadata().get(key).and_then(|value| value.to_str().ok());
        let said = || format!("{} ({:?})", status.message(), status.code());
        match text("exception") {
            Some("not-leader") => {
                let leader = text("leader-endpoint-host").zip(text("leader-endpoint-port"));
                let leader = leader.and_then(|(host, port)| {
                    Some(NodeAddress { host: host.to_owned(), port: port.parse().ok()? })
                });
                return Self::NotLeader { leader };
            }
            Some("stream-deleted") => return Self::StreamDeleted(stream.to_owned()),
            Some("maximum-append-size-exceeded") => return Self::TooLarge(said()),
            Some("access-denied") => return Self::Denied(said()),
            _ => {}
        }
        match status.code() {
            Code::Unauthenticated => Self::WrongCredentials,
            Code::PermissionDenied => Self::Denied(said()),
            Code::Unimplemented => Self::NotKurrentDb { address: address.clone(), reason: said() },
            Code::Aborted | Code::DeadlineExceeded | Code::Cancelled => Self::NoAnswer(said()),
            Code::Unavailable | Code::Unknown | Code::Internal | Code::DataLoss => {
                match status.source() {
                    Some(source) => {
                        Self::Unreachable { address: address.clone(), reason: explain(source) }
                    }
                    None => Self::Interrupted(said()),
                }
            }
            _ => Self::Refused(said()),
        }
    }
}

/// The whole chain of causes, each once.
pub(crate) fn explain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
