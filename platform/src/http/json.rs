//! JSON as it is taken from outside: an object where an object belongs, every field once, and no NUL.
//!
//! serde by itself takes an array for any struct, as its fields in the order in which they are declared here,
//! and of two entries of one name in a map the last. Neither is what anybody meant, and another reader of the
//! same bytes may understand something else. So the text becomes a tree first, and types are read from that.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::error::Category;
use serde_json::{Error, Map, Number, Value};

use super::{FieldError, Problem, ProblemType};

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses an object; fields that `T` does not know are refused if it says `#[serde(deny_unknown_fields)]`.
///
/// # Errors
/// 400 `malformed-json` with line and column when it is not JSON; 422 `validation` with the field when it is
/// not a `T`, names a field twice or holds NUL.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // Some editors and languages begin a text with it; a parser may pass over it (RFC 8259, 8.1).
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let UnambiguousValue(value) = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| explain_refusal(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| explain_refusal(".", &error))?;
    let typed = read_json(&value)?;
    // Last: a field that takes no NUL has said so, with its name.
    match find_nul(&value, "") {
        Some(field) => Err(Problem::invalid_field(field, "must hold no NUL character")),
        None => Ok(typed),
    }
}

/// Reads a `T` from an object that was parsed, as strictly.
///
/// # Errors
/// 422 `validation` with the field.
pub fn read_json<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    let object = StrictValue(value);
    let read = object.require_object().map_err(|error| explain_refusal(".", &error));
    read.and_then(|()| {
        serde_path_to_error::deserialize(object)
            .map_err(|error| explain_refusal(&error.path().to_string(), error.inner()))
    })
}

fn explain_refusal(path: &str, error: &Error) -> Problem {
    let text = error.to_string();
    // serde_json ends every message about a text with its place, which we give apart.
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match error.classify() {
        Category::Data => Problem::validation(vec![FieldError {
            field: name_field(path, message),
            message: message.to_owned(),
        }]),
        Category::Syntax | Category::Eof | Category::Io => {
            let (line, column) = (error.line(), error.column());
            let detail = format!("the body is not JSON: {message} at line {line}, column {column}");
            Problem::new(ProblemType::MalformedJson, detail)
                .with_extension("line", line)
                .with_extension("column", column)
        }
    }
}

/// The path to the mistake; a missing or repeated field is named in the message only.
fn name_field(path: &str, message: &str) -> String {
    let parent = if path == "." { "" } else { path };
    let named = ["missing field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.strip_suffix('`'));
    match named {
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) => format!("{parent}.{name}"),
        None => parent.to_owned(),
    }
}

/// The path to the first text with NUL in it. No deeper than what serde_json parses, 128 levels.
fn find_nul(value: &Value, path: &str) -> Option<String> {
    match value {
        Value::String(text) => text.contains('\0').then(|| path.to_owned()),
        Value::Array(values) => {
            let mut numbered = values.iter().enumerate();
            numbered.find_map(|(number, value)| find_nul(value, &format!("{path}[{number}]")))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if name.contains('\0') { Some(path.to_owned()) } else { find_nul(value, &inner) }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Any JSON in which no object names a field twice.
struct UnambiguousValue(Value);

impl<'de> Deserialize<'de> for UnambiguousValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // JSON writes no other numbers than finite ones.
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(UnambiguousValue(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            let UnambiguousValue(value) = entries.next_value()?;
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// JSON of which structs and maps are read from objects only.
#[derive(Clone, Copy)]
struct StrictValue<'de>(&'de Value);

impl StrictValue<'_> {
    fn require_object(self) -> Result<(), Error> {
        let found = match self.0 {
            Value::Object(_) => return Ok(()),
            Value::Null => "null",
            Value::Bool(_) => "a truth value",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
        };
        Err(Error::custom(format_args!("must be an object, not {found}")))
    }
}

impl<'de> IntoDeserializer<'de, Error> for StrictValue<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for StrictValue<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(values) => {
                let mut items = SeqDeserializer::new(values.iter().map(StrictValue));
                let read = visitor.visit_seq(&mut items)?;
                items.end().map(|()| read)
            }
            Value::Object(fields) => {
                let entries =
                    fields.iter().map(|(name, value)| (name.as_str(), StrictValue(value)));
                let mut entries = MapDeserializer::new(entries);
                let read = visitor.visit_map(&mut entries)?;
                entries.end().map(|()| read)
            }
            simple => simple.deserialize_any(visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.require_object()?;
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    /// Variants without fields, by their names: bodies have no others.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(_) => self.0.deserialize_enum(name, variants, visitor),
            _ => Err(Error::custom("must be one of the names that are known here")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct identifier ignored_any
    }
}
