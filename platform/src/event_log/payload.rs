//! The stored shape of an event: JSON, as text until somebody looks into it.
//!
//! Most of what reads the log passes events on, or passes them over: to parse all of them would take more time than to
//! read them.

use std::fmt;
use std::ops::Index;
use std::sync::OnceLock;

use serde_json::Value;

/// JSON as it is stored.
pub struct StoredPayload {
    text: Box<str>,
    parsed: OnceLock<Result<Value, serde_json::Error>>,
}

impl StoredPayload {
    /// The JSON that `text` is.
    pub(super) fn from_text(text: impl Into<Box<str>>) -> Self {
        Self { text: text.into(), parsed: OnceLock::new() }
    }

    /// As the log has it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says; parsed once.
    ///
    /// # Errors
    /// When it has a number or a depth that is beyond what this software reads.
    pub fn value(&self) -> Result<&Value, &serde_json::Error> {
        self.parsed.get_or_init(|| serde_json::from_str(&self.text)).as_ref()
    }

    /// A field of it; none where there is none, or where it cannot be read.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&Value> {
        self.value().ok()?.get(field)
    }
}

impl From<Value> for StoredPayload {
    fn from(value: Value) -> Self {
        let text = value.to_string().into();
        Self { text, parsed: OnceLock::from(Ok(value)) }
    }
}

/// A field of it; null where [`StoredPayload::get`] has none.
impl Index<&str> for StoredPayload {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        self.get(field).unwrap_or(&Value::Null)
    }
}

impl Clone for StoredPayload {
    fn clone(&self) -> Self {
        Self::from_text(self.text.clone())
    }
}

/// The same JSON, however it is spaced.
impl PartialEq for StoredPayload {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
            || matches!((self.value(), other.value()), (Ok(one), Ok(two)) if one == two)
    }
}

impl fmt::Debug for StoredPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
