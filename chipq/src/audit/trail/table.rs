//! Entries for people: two lines each, of at most 120 columns; what does not fit ends in an ellipsis, and stands whole in
//! `--json`.
//!
//! Invariant: nothing that stands in the log moves a terminal's cursor or changes its colours.

use projectors::{AuditEntry, EntryCause};
use serde_json::Value;

/// The columns of a line.
const WIDTH: usize = 120;
/// The columns before the second line.
const INDENT: usize = 10;

/// Both lines of an entry.
pub(super) fn lines(entry: &AuditEntry) -> String {
    let at = entry.at.format("%F %TZ");
    let first = format!("{:>9} {at} {:<30} {}", entry.position.0, entry.event, who(entry));
    let second = format!("{:INDENT$}{}", "", details(entry).join("; "));
    format!("{}\n{}\n", fitting(&first), fitting(&second))
}

fn who(entry: &AuditEntry) -> String {
    let mut who = match &entry.actor {
        Some(actor) => actor.subject.clone(),
        None => "unknown".to_owned(),
    };
    if let Some(name) = entry.actor.as_ref().and_then(|actor| actor.name.as_ref()) {
        who = format!("{who} ({name})");
    }
    if let Some(address) = &entry.address {
        who = format!("{who} from {address}");
    }
    who
}

fn details(entry: &AuditEntry) -> Vec<String> {
    let mut details = vec![format!("{}/{}", entry.stream.aggregate_type, entry.stream.id)];
    details.extend(entry.reason.as_ref().map(|reason| format!("reason: {reason}")));
    let changed = entry.changed.iter();
    details.extend(changed.map(|changed| {
        format!("{} {} → {}", changed.field, shown(&changed.old), shown(&changed.new))
    }));
    if let Some(EntryCause::Event { position: Some(position), event: Some(event), .. }) =
        &entry.caused_by
    {
        details.push(format!("after {event} at {position}"));
    }
    let facts = entry.facts.iter().filter(|(_, value)| **value != entry.stream.id);
    details.extend(facts.map(|(field, value)| format!("{field} {}", shown(value))));
    details
}

/// A value, a text without its quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        value => value.to_string(),
    }
}

/// As much of a line as fits, without what a terminal would obey.
fn fitting(line: &str) -> String {
    let (mut fitting, mut columns) = (String::new(), 0);
    for c in line.chars().map(|c| if is_printed(c) { c } else { '\u{fffd}' }) {
        columns += columns_of(c);
        fitting.push(c);
        if columns > WIDTH {
            // The ellipsis has a column, too.
            while columns >= WIDTH
                && let Some(last) = fitting.pop()
            {
                columns -= columns_of(last);
            }
            fitting.push('…');
            return fitting;
        }
    }
    fitting
}

/// Neither a control nor what turns the direction of a text.
fn is_printed(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Two for the letters of East Asia (Unicode Annex 11, wide), else one.
const fn columns_of(c: char) -> usize {
    match c {
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(line: &str) -> usize {
        line.chars().map(columns_of).sum()
    }

    #[test]
    fn a_line_has_no_more_columns_than_a_terminal() {
        for letter in ["x", "基", "é"] {
            for count in [1, 59, 60, 61, 119, 120, 121, 500] {
                let (line, short) = (letter.repeat(count), fitting(&letter.repeat(count)));
                assert!(columns(&short) <= WIDTH, "{count} {letter}: {}", columns(&short));
                assert_eq!(short == line, columns(&line) <= WIDTH, "{count} {letter}");
                assert!(columns(&short) >= WIDTH - 1 || short == line, "{count} {letter}");
            }
        }
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(fitting("a\u{1b}[2Jb\nc\u{202e}d"), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d");
    }
}
