//! What a precondition may be.

use platform::event_log::Incarnation;
use uuid::Uuid;

use super::*;

#[test]
fn if_match_is_a_star_or_one_strong_tag() {
    assert_eq!(parse_if_match("*").unwrap(), None);
    let version = StreamVersion { incarnation: Incarnation(Uuid::from_u128(7)), number: 12 };
    let tag = version.entity_tag();
    assert_eq!(parse_if_match(&tag).unwrap(), Some(version));
    let bare = tag.trim_matches('"');
    for bad in [
        "",
        "\"\"",
        bare,
        "\"12\"",
        &format!("W/{tag}"),
        &format!("{tag}, {tag}"),
        &format!("\"+{bare}\""),
        &format!("\"99999999999999999999{bare}\""),
    ] {
        assert_eq!(parse_if_match(bad).unwrap_err().name(), "if-match-malformed", "{bad:?}");
    }
}
