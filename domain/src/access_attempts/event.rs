//! What can have been tried, and under which names it is stored.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

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
    /// A command of somebody who may give it was rejected by the rules, once or several times in the same way.
    #[serde(rename = "CommandRejected")]
    CommandRejected {
        /// The account or client that gave it; absent where nobody knows.
        subject: Option<String>,
        /// The id (`jti`) of the token that it was given with; absent where none was.
        token_id: Option<String>,
        /// From where; absent where nobody knows.
        address: Option<String>,
        /// What was asked: a method and the pattern of a path, or the name of a GraphQL mutation.
        asked: String,
        /// What it was for: a path, or a read model and a position in the log.
        resource: String,
        /// The rejection's name.
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
        /// Commands that were rejected.
        rejected: u64,
        /// When first.
        first_at: DateTime<Utc>,
        /// When last.
        last_at: DateTime<Utc>,
    },
}

stored_events!(AccessAttemptEvent {
    TOKEN_GRANTED: TokenGranted = "TokenGranted",
    ACCESS_REFUSED: AccessRefused = "AccessRefused",
    COMMAND_REJECTED: CommandRejected = "CommandRejected",
    ATTEMPTS_SUMMED: AttemptsSummed = "AttemptsSummed" upcast [without_rejected],
});

/// From version 1, when rejected commands were not recorded, to version 2.
fn without_rejected(mut payload: Value) -> Value {
    payload["rejected"] = json!(0);
    payload
}
