//! What can have been tried, and under which names it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::aggregate::stored_events;

/// The events of access attempts. Addresses are IP addresses as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum AccessAttemptEvent {
    /// Somebody proved who it is and has a token.
    #[serde(rename = "TokenGranted")]
    TokenGranted {
        /// The account or client.
        subject: String,
        /// By which kind of proof (RFC 6749, `grant_type`).
        grant_type: String,
        /// The token's id (`jti`), which stands in the events of what is done with it.
        token_id: String,
        /// From where it was asked for; absent where nobody knows.
        address: Option<String>,
        /// What it allows.
        scopes: Vec<String>,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody was refused, once or several times in the same way.
    #[serde(rename = "AccessRefused")]
    AccessRefused {
        /// The account or client, as far as one is known that it was about; never what might be a secret in the
        /// wrong place.
        subject: Option<String>,
        /// From where; absent where nobody knows.
        address: Option<String>,
        /// What was asked: a method and the pattern of a path.
        asked: String,
        /// Why it was refused, in a word that stays.
        reason: String,
        /// How often.
        count: u64,
        /// When first.
        first_at: DateTime<Utc>,
        /// When last.
        last_at: DateTime<Utc>,
    },
    /// So much was tried that this only says how often.
    #[serde(rename = "AttemptsSummed")]
    AttemptsSummed {
        /// Tokens that were granted.
        granted: u64,
        /// Refusals.
        refused: u64,
        /// When first.
        first_at: DateTime<Utc>,
        /// When last.
        last_at: DateTime<Utc>,
    },
}

stored_events!(AccessAttemptEvent {
    TOKEN_GRANTED: TokenGranted = "TokenGranted",
    ACCESS_REFUSED: AccessRefused = "AccessRefused",
    ATTEMPTS_SUMMED: AttemptsSummed = "AttemptsSummed",
});
