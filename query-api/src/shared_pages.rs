//! Pages of lists as they are sent, read once for all who ask for the same one at once.

use axum::body::Bytes;
use platform::shared_reads::SharedReads;

use crate::error::QueryError;

/// A page as JSON.
#[derive(Debug, Clone)]
pub(crate) struct WrittenPage {
    pub(crate) json: Bytes,
    pub(crate) is_empty: bool,
}

/// Pages that are read now, by what names them
/// ([`PageRequest::name`](crate::paging::PageRequest::name)).
pub(crate) type SharedPages = SharedReads<String, Result<WrittenPage, QueryError>>;
