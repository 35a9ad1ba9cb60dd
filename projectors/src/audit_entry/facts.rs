//! What an event says besides who and why.

use domain::InspectionEvent;
use platform::event_log::Recorded;
use serde_json::{Map, Value, json};

/// Lists that a trail counts instead of repeating: what was found is a table of its own, and stands in the event.
const COUNTED: [(&str, &[&str]); 1] =
    [(InspectionEvent::INFERENCE_COMPLETED, &["defects", "differences"])];

/// The fields of the stored shape, without its tag and the reason.
pub(super) fn facts_of(recorded: &Recorded, display_name: Option<String>) -> Map<String, Value> {
    let mut facts = match recorded.payload.value() {
        Ok(Value::Object(payload)) => payload.clone(),
        // Another tool wrote it: it is shown as it is.
        Ok(other) => return Map::from_iter([("payload".to_owned(), other.clone())]),
        Err(_) => return Map::from_iter([("payload".to_owned(), recorded.payload.text().into())]),
    };
    facts.remove("type");
    if facts.get("reason").is_none_or(|reason| reason.is_string() || reason.is_null()) {
        facts.remove("reason");
    }
    if facts.remove("display_name").is_some_and(|name| !name.is_null()) {
        facts.insert("display_name".to_owned(), display_name.into());
    }
    let counted = COUNTED.iter().find(|(event, _)| *event == recorded.event_type);
    for field in counted.into_iter().flat_map(|(_, fields)| *fields) {
        if let Some(Value::Array(list)) = facts.get(*field) {
            let count = json!({ "count": list.len() });
            facts.insert((*field).to_owned(), count);
        }
    }
    if let Some(Value::Object(coverage)) = facts.get_mut("coverage") {
        for list in coverage.values_mut() {
            if let Value::Array(boxes) = list {
                *list = json!({ "count": boxes.len() });
            }
        }
    }
    facts
}
