//! Tree heads: how many events the log had, and the root and the chain over them. C2SP's tlog-checkpoint
//! (<https://c2sp.org/tlog-checkpoint>) with three lines of our own behind the root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};

use crate::hashes::Digest32;
use crate::signed_note::{NoteError, SignedNote, VerifyEd25519, note_key_id};

/// What a log was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeHead {
    /// Which log: a name without spaces, and the name of its key, too.
    pub origin: String,
    /// How many events it had.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Digest32,
    /// The position of the last of them; 0 without any.
    pub position: i64,
    /// The chain over them.
    pub chain: Digest32,
    /// When it was signed, in milliseconds, by the clock of who signed.
    pub signed_at: DateTime<Utc>,
}

impl TreeHead {
    /// The text that is signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { origin, size, position, .. } = self;
        let (root, chain) = (STANDARD.encode(self.root), STANDARD.encode(self.chain));
        let at = self.signed_at.to_rfc3339_opts(SecondsFormat::Millis, true);
        format!("{origin}\n{size}\n{root}\nposition {position}\nchain {chain}\nat {at}\n")
    }

    /// What a note says that nobody has verified: to go on from, not to believe.
    ///
    /// # Errors
    /// When it says something else than a tree head.
    pub fn read_unverified(note: &SignedNote) -> Result<Self, NoteError> {
        let head = Self::parse(note.text())?;
        if note.signer() == head.origin {
            return Ok(head);
        }
        Err(NoteError::Malformed("it was signed in another name than that of its log"))
    }

    /// # Errors
    /// When it is written in any other way.
    fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = || NoteError::Malformed("its text is no tree head");
        let mut lines = text.lines();
        let mut take = |begin: &str| lines.next().and_then(|line| line.strip_prefix(begin));
        let origin = take("").ok_or_else(malformed)?.to_owned();
        let size = take("").and_then(|size| size.parse().ok()).ok_or_else(malformed)?;
        let root = take("").and_then(decode_digest).ok_or_else(malformed)?;
        let position = take("position ").and_then(|at| at.parse().ok()).ok_or_else(malformed)?;
        let chain = take("chain ").and_then(decode_digest).ok_or_else(malformed)?;
        let at = take("at ").and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        let signed_at = at.ok_or_else(malformed)?.to_utc();
        let head = Self { origin, size, root, position, chain, signed_at };
        if head.to_text() == text { Ok(head) } else { Err(malformed()) }
    }
}

fn decode_digest(text: &str) -> Option<Digest32> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// A tree head that its log's key signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTreeHead {
    /// What it says.
    pub head: TreeHead,
    note: SignedNote,
}

impl SignedTreeHead {
    /// Signs `head` with `sign`, which has the private half of `public_key`.
    pub fn sign(
        head: TreeHead,
        public_key: &[u8; 32],
        sign: impl FnOnce(&[u8]) -> [u8; 64],
    ) -> Self {
        let text = head.to_text();
        let signature = sign(text.as_bytes());
        let key_id = note_key_id(&head.origin, public_key);
        let note = SignedNote::new((text, head.origin.clone()), key_id, signature);
        Self { head, note }
    }

    /// What `note` says, if one of the keys signed it.
    ///
    /// # Errors
    /// When it says something else than a tree head, or another key signed it.
    pub fn verify(
        note: SignedNote,
        public_keys: &[[u8; 32]],
        verify: VerifyEd25519<'_>,
    ) -> Result<Self, NoteError> {
        let head = TreeHead::read_unverified(&note)?;
        note.verify(public_keys, verify)?;
        Ok(Self { head, note })
    }

    /// The note, as it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.note.to_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> TreeHead {
        TreeHead {
            origin: "chipq.example/0199".to_owned(),
            size: 12,
            root: [5; 32],
            position: 17,
            chain: [6; 32],
            signed_at: DateTime::from_timestamp_millis(1_790_000_000_123).unwrap(),
        }
    }

    #[test]
    fn a_head_is_what_c2sp_calls_a_checkpoint_with_three_lines_more() {
        let text = head().to_text();
        let expected = "chipq.example/0199\n12\nBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=\nposition 17\n\
            chain BgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgY=\nat 2026-09-21T14:13:20.123Z\n";
        assert_eq!(text, expected);
        assert_eq!(TreeHead::parse(&text).unwrap(), head());
        for broken in [
            text.replace("\n12\n", "\n012\n"),
            text.replace("\n12\n", "\n+12\n"),
            text.replace(".123Z", ".1230Z"),
            text.replace(".123Z", ".123+00:00"),
            text.replace("position 17", "position  17"),
            text.replace("BQU=", "BQV="),
            format!("{text}more\n"),
            text.trim_end().to_owned(),
        ] {
            assert!(TreeHead::parse(&broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn only_the_key_of_the_log_is_believed() {
        let public = [8; 32];
        let signed = SignedTreeHead::sign(head(), &public, |_| [1; 64]);
        let note = SignedNote::parse(&signed.to_text()).unwrap();
        let good = |_: &[u8; 32], _: &[u8], signature: &[u8]| signature == [1; 64];
        assert_eq!(SignedTreeHead::verify(note.clone(), &[public], &good).unwrap(), signed);
        assert!(SignedTreeHead::verify(note, &[[9; 32]], &good).is_err());
    }
}
