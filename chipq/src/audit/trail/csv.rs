//! Entries as comma-separated values (RFC 4180): CRLF at the end of every record, quotes where they are needed.
//!
//! Invariant: no value is a formula to a spreadsheet. One that begins as one does has an apostrophe before it, as
//! people type it there (OWASP, CSV Injection); whoever reads the file by a program takes that away again.

use projectors::{AuditEntry, EntryCause};
use serde::Serialize;

const COLUMNS: &str = "position,at,event,event_version,stream_type,stream_id,stream_sequence,actor,actor_name,\
    actor_roles,actor_client,cause_event_id,cause_position,cause_event,cause_trace_id,correlation_id,command_id,\
    address,token_id,reason,subjects,inspection,changed,facts";

/// What a spreadsheet takes for the beginning of a formula, or for nothing before one.
const BEGINS_FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The names of the columns, as a record.
pub(super) fn header() -> String {
    format!("{COLUMNS}\r\n")
}

/// The record of an entry. Lists of names have spaces between them; `changed` and `facts` are JSON.
pub(super) fn record(entry: &AuditEntry) -> String {
    let actor = entry.actor.as_ref();
    let (event_id, position, event, trace_id) = match &entry.caused_by {
        Some(EntryCause::Event { event_id, position, event }) => {
            (Some(event_id.to_string()), position.map(|at| at.to_string()), event.clone(), None)
        }
        Some(EntryCause::Trace { trace_id }) => (None, None, None, Some(trace_id.clone())),
        None => (None, None, None, None),
    };
    let values = [
        Some(entry.position.to_string()),
        Some(json_text(&entry.at)),
        Some(entry.event.clone()),
        Some(entry.event_version.clone()),
        Some(entry.stream.aggregate_type.clone()),
        Some(entry.stream.id.clone()),
        Some(entry.stream.sequence.to_string()),
        actor.map(|actor| actor.subject.clone()),
        actor.and_then(|actor| actor.name.clone()),
        actor.map(|actor| actor.roles.join(" ")),
        actor.and_then(|actor| actor.client.clone()),
        event_id,
        position,
        event,
        trace_id,
        entry.correlation_id.clone(),
        entry.command_id.map(|id| id.to_string()),
        entry.address.clone(),
        entry.token_id.clone(),
        entry.reason.clone(),
        Some(entry.subjects.join(" ")),
        entry.inspection.clone(),
        (!entry.changed.is_empty()).then(|| json_text(&entry.changed)),
        (!entry.facts.is_empty()).then(|| json_text(&entry.facts)),
    ];
    let values = values.map(|value| quoted(&value.unwrap_or_default()));
    format!("{}\r\n", values.join(","))
}

/// As it stands in JSON; a text without the quotes.
fn json_text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(value) => value.to_string(),
        // No entry holds what JSON cannot.
        Err(_) => String::new(),
    }
}

fn quoted(value: &str) -> String {
    let guard = if value.starts_with(BEGINS_FORMULA) { "'" } else { "" };
    let value = format!("{guard}{value}");
    if value.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", value.replace('"', "\"\""))
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_a_formula() {
        for formula in ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1"] {
            assert!(quoted(formula).trim_start_matches('"').starts_with('\''), "{formula:?}");
        }
        for harmless in ["a=1", "", "PCB-7", "'tis", "1-2"] {
            assert_eq!(quoted(harmless), harmless);
        }
    }

    #[test]
    fn what_would_end_a_value_stands_in_quotes() {
        assert_eq!(quoted("a,b"), "\"a,b\"");
        assert_eq!(quoted("say \"so\""), "\"say \"\"so\"\"\"");
        assert_eq!(quoted("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(quoted("two\nlines"), "\"two\nlines\"");
    }

    #[test]
    fn a_record_has_a_value_for_each_column() {
        assert_eq!(COLUMNS.split(',').count(), 24);
        assert!(COLUMNS.split(',').all(|name| name.trim() == name));
    }
}
