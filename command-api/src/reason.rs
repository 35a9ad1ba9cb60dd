//! Why somebody did something, in that person's words: kept with the event for ever.

use domain::Invalid;

/// The longest reason, in characters.
pub(crate) const REASON_MAX_CHARS: usize = 500;

/// The reason without white space at its ends.
///
/// # Errors
/// When nothing is left, or it is too long or not printable.
pub(crate) fn parse_reason(text: &str) -> Result<String, Invalid> {
    let reason = text.trim();
    let must = if reason.is_empty() {
        "must not be empty"
    } else if reason.chars().count() > REASON_MAX_CHARS {
        "must be at most 500 characters long"
    } else if reason.chars().any(is_unprintable) {
        "must consist of printable characters"
    } else {
        return Ok(reason.to_owned());
    };
    Err(Invalid { field: "reason", must })
}

/// Controls, line separators, direction overrides and invisible characters.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}')
}
