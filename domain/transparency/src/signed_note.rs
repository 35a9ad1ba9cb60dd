//! Signed notes of C2SP (<https://c2sp.org/signed-note>): a text that ends in a newline, an empty line, and signatures.
//!
//! Invariant: there is one way to write a note, and whatever is written otherwise is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// What C2SP calls the type of an Ed25519 key.
const ED25519: u8 = 1;
/// Bytes of the id of a key before a signature, and of an Ed25519 signature.
const KEY_ID_BYTES: usize = 4;
const SIGNATURE_BYTES: usize = 64;
const SIGNATURE_BEGIN: &str = "— ";

/// Whether an Ed25519 signature of a message is good: public key, message, signature.
pub type VerifyEd25519<'a> = &'a dyn Fn(&[u8; 32], &[u8], &[u8]) -> bool;

/// Why a note is none, or is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// It is not written as C2SP says.
    #[error("it is no signed note of C2SP: {0}")]
    Malformed(&'static str),
    /// Another key signed it.
    #[error("it was signed by another key ({found}) than the one that was given ({expected})")]
    AnotherKey {
        /// Its key id, in hexadecimal digits.
        found: String,
        /// That of the key.
        expected: String,
    },
    /// The key did not sign this.
    #[error("its signature is not that of its text: one of the two was altered")]
    BadSignature,
}

/// A note with one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    /// The text, which ends in a newline.
    text: String,
    /// Who signed, by name.
    signer: String,
    key_id: [u8; KEY_ID_BYTES],
    signature: [u8; SIGNATURE_BYTES],
}

/// The first four bytes of SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key): by which a note says with which key it was signed.
#[must_use]
pub fn note_key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519]);
    let hash: [u8; 32] = hash.chain_update(public_key).finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

impl SignedNote {
    /// The note of `text`, which `signer` signed with the key of this id.
    pub(crate) fn new(
        (text, signer): (String, String),
        key_id: [u8; KEY_ID_BYTES],
        signature: [u8; SIGNATURE_BYTES],
    ) -> Self {
        Self { text, signer, key_id, signature }
    }

    /// The note that `text` is.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let (body, signatures) =
            text.rsplit_once("\n\n").ok_or(malformed("it has no empty line"))?;
        if body.is_empty() || text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(malformed("its text is empty, or has control characters"));
        }
        let line = signatures.strip_suffix('\n').ok_or(malformed("its last line has no end"))?;
        if line.contains('\n') {
            return Err(malformed("it has several signatures"));
        }
        let rest = line.strip_prefix(SIGNATURE_BEGIN);
        let (signer, encoded) = rest
            .and_then(|rest| rest.split_once(' '))
            .ok_or(malformed("its last line is no signature"))?;
        if signer.is_empty() || signer.contains(|c: char| c.is_whitespace() || c == '+') {
            return Err(malformed("the name of its signer has a space or a plus sign"));
        }
        let decoded =
            STANDARD.decode(encoded).map_err(|_| malformed("its signature is no base64"))?;
        let (key_id, signature) = decoded
            .split_first_chunk::<KEY_ID_BYTES>()
            .ok_or(malformed("its signature is too short"))?;
        let signature = signature.try_into();
        let signature = signature.map_err(|_| malformed("its signature is not one of Ed25519"))?;
        let parsed = Self {
            text: format!("{body}\n"),
            signer: signer.to_owned(),
            key_id: *key_id,
            signature,
        };
        if parsed.to_text() == text {
            Ok(parsed)
        } else {
            Err(malformed("it is written otherwise"))
        }
    }

    /// The notes that stand one after the other in a file, each followed by an empty line.
    ///
    /// # Errors
    /// That of the first that is none, with its number, from 1.
    pub fn parse_all(file: &str) -> Result<Vec<Self>, (usize, NoteError)> {
        let mut notes = Vec::new();
        let mut rest = file;
        while !rest.is_empty() {
            let number = notes.len() + 1;
            let unfinished = || (number, NoteError::Malformed("it is not whole"));
            let text = rest.find("\n\n").ok_or_else(unfinished)?;
            let end = text + 2 + rest[text + 2..].find("\n\n").ok_or_else(unfinished)? + 1;
            notes.push(Self::parse(&rest[..end]).map_err(|error| (number, error))?);
            rest = &rest[end + 1..];
        }
        Ok(notes)
    }

    /// As it is written.
    #[must_use]
    pub fn to_text(&self) -> String {
        let signature = [&self.key_id[..], &self.signature].concat();
        let Self { text, signer, .. } = self;
        format!("{text}\n{SIGNATURE_BEGIN}{signer} {}\n", STANDARD.encode(signature))
    }

    /// The text, which nobody has verified yet.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Who says to have signed it.
    pub(crate) fn signer(&self) -> &str {
        &self.signer
    }

    /// Whether one of the keys signed it.
    ///
    /// # Errors
    /// [`NoteError::AnotherKey`], [`NoteError::BadSignature`].
    pub(crate) fn verify(
        &self,
        public_keys: &[[u8; 32]],
        verify: VerifyEd25519<'_>,
    ) -> Result<(), NoteError> {
        let is_named = |key: &&[u8; 32]| note_key_id(&self.signer, key) == self.key_id;
        let Some(key) = public_keys.iter().find(is_named) else {
            let found = hex::encode(self.key_id);
            let ids = public_keys.iter().map(|key| hex::encode(note_key_id(&self.signer, key)));
            return Err(NoteError::AnotherKey {
                found,
                expected: ids.collect::<Vec<_>>().join(", "),
            });
        };
        let is_good = verify(key, self.text.as_bytes(), &self.signature);
        if is_good { Ok(()) } else { Err(NoteError::BadSignature) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The note in C2SP's specification, with a signature of the length that ours have.
    fn note() -> String {
        let signature = STANDARD.encode([[7; 4].as_slice(), &[9; 64]].concat());
        format!(
            "If you think cryptography is the answer to your problem,\nyou don't know it.\n\n— example.com/foo {signature}\n"
        )
    }

    #[test]
    fn the_key_id_is_that_of_the_specification() {
        // c2sp.org/signed-note: PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW
        let key = STANDARD.decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW").unwrap();
        let public: [u8; 32] = key[1..].try_into().unwrap();
        assert_eq!(hex::encode(note_key_id("PeterNeumann", &public)), "c74f20a3");
    }

    #[test]
    fn a_note_is_read_and_written_and_everything_else_refused() {
        let text = note();
        assert_eq!(SignedNote::parse(&text).unwrap().to_text(), text);
        let twice = format!("{text}\n{text}\n");
        assert_eq!(SignedNote::parse_all(&twice).unwrap().len(), 2);
        assert_eq!(SignedNote::parse_all(&twice[..twice.len() - 1]).unwrap_err().0, 2);
        let signature = text.lines().last().unwrap().to_owned();
        for broken in [
            String::new(),
            text.trim_end().to_owned(),
            text.replace("\n\n", "\n"),
            text.replace("— ", "- "),
            text.replace("example.com/foo ", "example.com/foo  "),
            text.replace("example.com/foo", "a+b"),
            text.replace("you don't", "you\tdon't"),
            text.replace("=\n", "\n"),
            format!("{text}{signature}\n"),
            format!("{text}\n"),
        ] {
            assert!(
                matches!(SignedNote::parse(&broken), Err(NoteError::Malformed(_))),
                "{broken:?}"
            );
        }
    }

    #[test]
    fn another_key_and_another_text_are_told_apart() {
        let public = [3; 32];
        let id = note_key_id("n", &public);
        let note = SignedNote::new(("text\n".to_owned(), "n".to_owned()), id, [1; 64]);
        assert_eq!(note.verify(&[[4; 32], public], &|_, _, _| true), Ok(()));
        assert_eq!(note.verify(&[public], &|_, _, _| false), Err(NoteError::BadSignature));
        assert!(matches!(
            note.verify(&[[4; 32]], &|_, _, _| true),
            Err(NoteError::AnotherKey { .. })
        ));
    }
}
