//! What is kept with an append, such as the answer to the command that appends.
//!
//! Invariant: an attachment is kept only when the events that it belongs to are in the log. Absent: what
//! it is, and where it is kept, which is its own affair.

use std::fmt;

use futures::future::BoxFuture;
use sqlx::PgConnection;

use super::{Appended, EventLogError};

/// Something to keep with an append.
pub trait Attachment: fmt::Debug + Send {
    /// Keeps it, now that it is known what was appended: in the transaction of the append, where the
    /// log and the attachment share a database, or else by itself, after the append.
    fn keep<'a>(
        self: Box<Self>,
        appended: &'a Appended,
        scope: AppendScope<'a>,
    ) -> BoxFuture<'a, Result<(), AttachmentError>>;
}

/// How an attachment is bound to the append that it is kept with.
#[derive(Debug)]
pub enum AppendScope<'a> {
    /// The transaction that appends: what is written here is committed with the events or not at all.
    Transaction(&'a mut PgConnection),
    /// The events are in the log already, and stay there whatever becomes of the attachment.
    Appended,
}

/// Why an attachment was not kept.
#[derive(Debug, thiserror::Error)]
pub enum AttachmentError {
    /// It must not be kept any more, for the reason that it gives.
    #[error(transparent)]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// Where it is kept cannot be reached, or failed.
    #[error(transparent)]
    Log(#[from] EventLogError),
}
