//! What a precondition may be.

use super::*;

#[test]
fn if_match_is_a_star_or_one_strong_tag() {
    assert_eq!(parse_if_match("*").unwrap(), None);
    assert_eq!(parse_if_match("\"12\"").unwrap(), Some(12));
    for bad in ["", "12", "W/\"12\"", "\"\"", "\"+1\"", "\"a\"", "\"1\", \"2\"", "\"1"] {
        assert_eq!(parse_if_match(bad).unwrap_err().name(), "if-match-malformed", "{bad:?}");
    }
    assert!(parse_if_match("\"99999999999999999999\"").is_err());
}
