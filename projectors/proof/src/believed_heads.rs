//! Which of the tree heads that were found are this log's.

use platform::auth::verify_ed25519;
use transparency::{SignedNote, SignedTreeHead};

use crate::origins::LogOrigin;

/// Tree heads that one of the keys signed: of the name that the log has now, and of those that it had before.
pub type BelievedHeads = (Vec<SignedTreeHead>, Vec<SignedTreeHead>);

/// Those of `notes` that are of this log, all of which one of the public keys has to have signed.
///
/// # Errors
/// In a sentence, the first that is of another log or key, or was altered.
pub fn believe_heads(
    notes: Vec<SignedNote>,
    public_keys: &[[u8; 32]],
    origins: &[LogOrigin],
) -> Result<BelievedHeads, String> {
    let (mut present, mut given_up) = (Vec::new(), Vec::new());
    for (number, note) in (1..).zip(notes) {
        let signed = SignedTreeHead::verify(note, public_keys, &verify_ed25519);
        let signed = signed
            .map_err(|error| format!("the tree head number {number} is not believed: {error}"))?;
        let place = origins.iter().position(|known| known.origin == signed.head.origin);
        match place {
            Some(place) if place + 1 == origins.len() => present.push(signed),
            Some(_) => given_up.push(signed),
            None => {
                let known: Vec<_> = origins.iter().map(|known| known.origin.as_str()).collect();
                return Err(format!(
                    "the tree head number {number} is of another log: {}, and this one is {}",
                    signed.head.origin,
                    known.join(", before that ")
                ));
            }
        }
    }
    Ok((present, given_up))
}
