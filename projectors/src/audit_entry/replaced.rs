//! What an event puts in the place of something before it in its stream: a recipe, a role, a reach, a policy, a network.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::{
    AccessControlEvent, Aggregate, GoldenSampleUse, ModelRouteEvent, Part, PartEvent,
    PictureRetentionEvent,
};
use platform::event_log::Recorded;
use serde::Serialize;
use serde_json::{Map, Value};

/// Something of which a stream has one at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaceableValue {
    /// What it is, among all of its stream, such as `role ada`.
    pub key: String,
    /// What the event puts in place.
    pub value: Value,
    /// The field of the event's shape that it is; empty where the whole event is.
    field: &'static str,
}

/// What took the place of what.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangedValue {
    /// What changed, such as `recipe.fail_at`.
    pub field: String,
    /// What it was.
    pub old: Value,
    /// What it is.
    pub new: Value,
}

/// What the event puts in place; nothing for most events.
#[must_use]
pub fn replaceable_values(recorded: &Recorded) -> Vec<ReplaceableValue> {
    let payload = &recorded.payload;
    let field = |field: &'static str| {
        let value = payload.get(field).cloned().unwrap_or_default();
        ReplaceableValue { key: field.to_owned(), value, field }
    };
    let name = payload.get("name").and_then(Value::as_str).unwrap_or_default();
    let of_principal =
        |of: ReplaceableValue| ReplaceableValue { key: format!("{} {name}", of.key), ..of };
    let enabled = |is_enabled: bool| {
        let (key, value) = ("enabled".to_owned(), Value::Bool(is_enabled));
        of_principal(ReplaceableValue { key, value, field: "enabled" })
    };
    match recorded.event_type.as_str() {
        PartEvent::PART_REGISTERED | PartEvent::RECIPE_REVISED => {
            vec![ReplaceableValue { value: recipe_of(recorded), ..field("recipe") }]
        }
        PartEvent::GOLDEN_SAMPLE_REGISTERED => golden_sample(recorded).into_iter().collect(),
        AccessControlEvent::PRINCIPAL_CREATED => {
            let [role, reach, credential] =
                ["role", "reach", "credential"].map(field).map(of_principal);
            vec![role, reach, credential, enabled(true)]
        }
        AccessControlEvent::PRINCIPAL_DISABLED => vec![enabled(false)],
        AccessControlEvent::PRINCIPAL_ENABLED => vec![enabled(true)],
        AccessControlEvent::ROLE_CHANGED => vec![of_principal(field("role"))],
        AccessControlEvent::REACH_CHANGED => vec![of_principal(field("reach"))],
        AccessControlEvent::CREDENTIAL_REPLACED => vec![of_principal(field("credential"))],
        AccessControlEvent::PUBLIC_KEY_REGISTERED => vec![of_principal(field("key"))],
        PictureRetentionEvent::PICTURE_RETENTION_REVISED => {
            let periods = payload.value().ok().and_then(Value::as_object);
            let periods = periods.cloned().unwrap_or_default();
            let periods = periods.into_iter().filter(|(field, _)| field.ends_with("_days"));
            let value = Value::Object(periods.collect());
            vec![ReplaceableValue { key: "policy".to_owned(), value, field: "" }]
        }
        ModelRouteEvent::MODEL_ROUTED => {
            vec![ReplaceableValue { key: "model".to_owned(), ..field("to") }]
        }
        _ => Vec::new(),
    }
}

/// An event of a part in today's shape, so that it can be held against that of another version.
fn shape_today(recorded: &Recorded) -> Option<Cow<'_, Value>> {
    let Recorded { event_type, event_version, payload, .. } = recorded;
    let stored = payload.value().ok()?;
    Some(Part::upcast(event_type, event_version, stored).unwrap_or(Cow::Borrowed(stored)))
}

fn recipe_of(recorded: &Recorded) -> Value {
    shape_today(recorded).and_then(|part| part.get("recipe").cloned()).unwrap_or_default()
}

/// The golden sample that takes the place of those before it; one that stands beside them replaces nothing.
fn golden_sample(recorded: &Recorded) -> Option<ReplaceableValue> {
    let payload = shape_today(recorded)?;
    let is_replacement = payload.get("use")?.as_str()? == GoldenSampleUse::Replacement.as_str();
    let view = payload.get("view").and_then(Value::as_str).unwrap_or_default();
    let value = payload.get("revision")?.clone();
    let key = format!("golden sample {view}");
    is_replacement.then_some(ReplaceableValue { key, value, field: "revision" })
}

/// What took the place of what stood before the event in its stream.
pub(super) fn changed_values(
    recorded: &Recorded,
    before: &BTreeMap<String, Value>,
) -> Vec<ChangedValue> {
    if recorded.event_type == AccessControlEvent::PRINCIPAL_CREATED {
        // Whoever is new takes nobody's place.
        return Vec::new();
    }
    let mut changed = Vec::new();
    for ReplaceableValue { key, value: new, field } in replaceable_values(recorded) {
        // The event of a route says itself what was routed to before, also when the software shipped with it.
        let stated = recorded.payload.get("from").filter(|_| field == "to");
        let Some(old) = stated.or_else(|| before.get(&key)) else { continue };
        let shown = if field == "to" { "model" } else { field };
        match (old, &new) {
            (Value::Object(old), Value::Object(new)) => {
                changed.extend(changed_fields(shown, old, new))
            }
            _ if *old == new => {}
            _ => changed.push(ChangedValue { field: shown.to_owned(), old: old.clone(), new }),
        }
    }
    changed
}

fn changed_fields(
    of: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> Vec<ChangedValue> {
    let gone = old.keys().filter(|field| !new.contains_key(*field));
    let fields = new.keys().chain(gone);
    let values = fields.map(|field| {
        let value = |map: &Map<String, Value>| map.get(field).cloned().unwrap_or_default();
        let shown = if of.is_empty() { field.clone() } else { format!("{of}.{field}") };
        ChangedValue { field: shown, old: value(old), new: value(new) }
    });
    values.filter(|changed| changed.old != changed.new).collect()
}

/// Takes out of the facts what is told as changed.
pub(super) fn take_changed(
    facts: &mut Map<String, Value>,
    recorded: &Recorded,
    changed: &[ChangedValue],
) {
    if changed.is_empty() {
        return;
    }
    for ReplaceableValue { field, value, .. } in replaceable_values(recorded) {
        match (field, &value) {
            ("", Value::Object(periods)) => periods.keys().for_each(|field| {
                facts.remove(field);
            }),
            _ => {
                facts.remove(field);
            }
        }
    }
    if recorded.event_type == ModelRouteEvent::MODEL_ROUTED {
        facts.remove("from");
    }
}
