//! What an error says of what it refuses is not as long as the sender likes.

use std::borrow::Cow;

/// The most that is said of one thing, in bytes: more than any sentence of ours has.
const SAID_MAX_BYTES: usize = 1_000;

/// `text`, or its beginning and an ellipsis where it is longer than anybody reads.
#[must_use]
pub fn abbreviate(text: &str) -> Cow<'_, str> {
    if text.len() <= SAID_MAX_BYTES {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(SAID_MAX_BYTES)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let short = "ä".repeat(SAID_MAX_BYTES / 2);
        assert_eq!(abbreviate(&short), short);
        let long = format!("x{short}");
        let cut = abbreviate(&long);
        assert!(cut.len() < SAID_MAX_BYTES + 4 && cut.starts_with("xä") && cut.ends_with("ä…"));
    }
}
