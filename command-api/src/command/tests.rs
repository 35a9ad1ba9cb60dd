//! What a precondition may be, and what new things are called.

use chrono::{DateTime, TimeDelta, Utc};
use platform::event_log::Incarnation;
use uuid::Uuid;

use super::execution::AcceptedCommand;
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

#[test]
fn what_is_made_later_comes_later_and_the_same_command_makes_the_same() {
    let at: DateTime<Utc> = "2026-11-30T10:00:00.123456Z".parse().unwrap();
    let command = |n, at| AcceptedCommand { command_id: Uuid::from_u128(n), at };
    let first = command(9, at).new_id("inspection");
    assert_eq!(first.get_version_num(), 7);
    assert_eq!(first.get_timestamp().unwrap().to_unix(), (1_796_032_800, 123_000_000));
    assert_eq!(first, command(9, at).new_id("inspection"));
    assert_ne!(first, command(9, at).new_id("artifact"));
    assert_ne!(first, command(8, at).new_id("inspection"));
    assert!(command(1, at + TimeDelta::milliseconds(1)).new_id("inspection") > first);
}
