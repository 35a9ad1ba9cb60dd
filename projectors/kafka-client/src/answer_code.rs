//! What brokers answer with, as numbers: <https://kafka.apache.org/protocol#protocol_error_codes>.
//!
//! Invariant: every code has one class, those that nobody knows yet included.

use std::fmt;

use rskafka::protocol::error::Error;

/// No error code of Kafka is above this.
const CODE_MAX: i16 = 300;

/// An error code of a broker; never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerCode(pub i16);

/// What an answer to a batch means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerClass {
    /// A record, or their sum, is not taken, now or later; nothing of the batch is stored.
    Refused,
    /// We may not; nothing is stored.
    Forbidden,
    /// It passes by itself, and nothing is stored.
    Passing,
    /// It passes by itself, and the batch may be stored already.
    PassingPerhapsStored,
}

impl AnswerCode {
    /// The topic or the partition is not there.
    pub const UNKNOWN_TOPIC: Self = Self(3);
    /// Nobody leads the partition at the moment.
    pub const LEADER_NOT_AVAILABLE: Self = Self(5);
    /// The broker waited for others in vain.
    pub const TIMED_OUT: Self = Self(7);
    /// The offset is before the beginning or behind the end.
    pub const OFFSET_OUT_OF_RANGE: Self = Self(1);
    /// A record, or the batch, is larger than the topic takes.
    pub const MESSAGE_TOO_LARGE: Self = Self(10);
    /// A record's time is too far from the broker's.
    pub const INVALID_TIMESTAMP: Self = Self(32);
    /// Somebody else has made it.
    pub const TOPIC_EXISTS: Self = Self(36);

    /// What it means for a batch.
    #[must_use]
    pub const fn class(self) -> AnswerClass {
        match self.0 {
            // Corrupt, too large, too many, too far ahead, invalid; a codec that is not taken.
            2 | 10 | 18 | 32 | 76 | 87 => AnswerClass::Refused,
            // Topic, cluster.
            29 | 31 => AnswerClass::Forbidden,
            // No such topic, no leader, another leader, too few replicas, an old leader's epoch, an unknown one.
            3 | 5 | 6 | 19 | 74 | 75 => AnswerClass::Passing,
            _ => AnswerClass::PassingPerhapsStored,
        }
    }

    /// Whether it says that there is no such topic, as far as the user may know.
    #[must_use]
    pub const fn is_unknown_topic(self) -> bool {
        self.0 == Self::UNKNOWN_TOPIC.0
    }

    pub(crate) fn from_error(error: Option<Error>) -> Option<Self> {
        let error = error?;
        if let Error::Unknown(code) = error {
            return Some(Self(code));
        }
        // The crate below knows the way from numbers to names alone.
        (-1..=CODE_MAX).find(|code| Error::new(*code) == Some(error)).map(Self)
    }
}

impl fmt::Display for AnswerCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Error::new(self.0) {
            Some(Error::Unknown(_)) | None => write!(f, "code {}", self.0),
            Some(error) => write!(f, "code {}, {error:?}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_numbers() {
        for code in (-1..=107).filter(|code| *code != 0) {
            assert_eq!(AnswerCode::from_error(Error::new(code)), Some(AnswerCode(code)));
        }
        assert_eq!(AnswerCode::from_error(None), None);
        assert_eq!(AnswerCode(19).to_string(), "code 19, NotEnoughReplicas");
    }

    #[test]
    fn what_may_be_stored_is_never_said_to_be_lost() {
        for code in [7, 13, 20, 56, -1, 250] {
            assert_eq!(AnswerCode(code).class(), AnswerClass::PassingPerhapsStored, "{code}");
        }
    }
}
