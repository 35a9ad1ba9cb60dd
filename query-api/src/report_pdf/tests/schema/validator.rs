//! The part of JSON Schema 2020-12 that our schema uses. A keyword it does not know is a panic, so
//! that no rule goes unchecked.

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// A schema document.
pub(super) struct Schema(pub(super) Value);

/// The first thing wrong with `value`, or `None` when it is valid.
pub(super) fn problem(schema: &Schema, value: &Value) -> Option<String> {
    check(&schema.0, &schema.0, value, "").err()
}

type Checked = Result<(), String>;

fn check(root: &Value, schema: &Value, value: &Value, at: &str) -> Checked {
    for (keyword, rule) in schema.as_object().expect("a schema is an object") {
        let holds = match keyword.as_str() {
            "$schema" | "$id" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let pointer =
                    rule.as_str().and_then(|r| r.strip_prefix('#')).expect("a local $ref");
                check(root, root.pointer(pointer).expect("a $ref that exists"), value, at)?;
                true
            }
            "properties" | "items" => inside(root, (keyword, rule), value, at)?,
            "oneOf" => {
                let options = rule.as_array().expect("oneOf is a list").iter();
                options.filter(|option| check(root, option, value, at).is_ok()).count() == 1
            }
            _ => simple(schema, (keyword, rule), value),
        };
        if !holds {
            return Err(format!("{at}: {keyword} {rule} does not hold for {value}"));
        }
    }
    Ok(())
}

fn inside(
    root: &Value,
    (keyword, rule): (&str, &Value),
    value: &Value,
    at: &str,
) -> Result<bool, String> {
    if keyword == "items" {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            check(root, rule, item, &format!("{at}/{index}"))?;
        }
        return Ok(true);
    }
    for (name, property) in rule.as_object().expect("properties is an object") {
        if let Some(field) = value.get(name) {
            check(root, property, field, &format!("{at}/{name}"))?;
        }
    }
    Ok(true)
}

/// A keyword that looks at the value alone; those of another type than the value hold.
fn simple(schema: &Value, (keyword, rule): (&str, &Value), value: &Value) -> bool {
    let number = || rule.as_f64().expect("a number");
    let text = value.as_str();
    match keyword {
        "const" => value == rule,
        "enum" => rule.as_array().expect("enum is a list").contains(value),
        "type" => match rule.as_str().expect("one type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "number" => value.is_number(),
            "integer" => value.is_i64() || value.is_u64(),
            "null" => value.is_null(),
            other => panic!("type {other}"),
        },
        "required" => {
            let names = rule.as_array().expect("required is a list");
            names.iter().all(|name| value.get(name.as_str().expect("a name")).is_some())
        }
        "additionalProperties" => {
            assert_eq!(rule, &Value::Bool(false), "additionalProperties");
            let known = &schema["properties"];
            value.as_object().is_none_or(|v| v.keys().all(|name| known.get(name).is_some()))
        }
        "minimum" => value.as_f64().is_none_or(|v| v >= number()),
        "maximum" => value.as_f64().is_none_or(|v| v <= number()),
        "maxItems" => value.as_array().is_none_or(|v| v.len() as f64 <= number()),
        "minItems" => value.as_array().is_none_or(|v| v.len() as f64 >= number()),
        "minLength" => text.is_none_or(|v| v.chars().count() as f64 >= number()),
        "maxLength" => text.is_none_or(|v| v.chars().count() as f64 <= number()),
        "format" => text.is_none_or(|v| match rule.as_str() {
            Some("uuid") => v.parse::<Uuid>().is_ok(),
            Some("date-time") => v.parse::<DateTime<Utc>>().is_ok(),
            other => panic!("format {other:?}"),
        }),
        "pattern" => text.is_none_or(|v| matches(rule.as_str().expect("a pattern"), v)),
        other => panic!("the validator does not know {other}"),
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let hex = |text: &str| text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
    match pattern {
        "Z$" => text.ends_with('Z'),
        "^[0-9a-f]{64}$" => text.len() == 64 && hex(text),
        "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" => {
            let groups: Vec<_> = text.split('-').collect();
            let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
            lengths == [8, 4, 4, 4, 12] && groups.into_iter().all(hex)
        }
        "^[a-z0-9-]{1,32}$" => {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            (1..=32).contains(&text.len()) && text.chars().all(plain)
        }
        other => panic!("the validator does not know the pattern {other}"),
    }
}
