//! Where in the claims of a token something stands.

use serde::Deserialize;
use serde_json::Value;

use super::claims::Claims;

/// The most names of a path.
const PATH_NAMES_MAX: usize = 8;

/// Names of claims, from the outside in: `realm_access.roles`, or a list of them where a name has a dot in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenPath")]
pub(super) struct ClaimPath(Vec<String>);

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenPath {
    Dotted(String),
    Names(Vec<String>),
}

impl TryFrom<WrittenPath> for ClaimPath {
    type Error = &'static str;

    fn try_from(written: WrittenPath) -> Result<Self, &'static str> {
        let names = match written {
            WrittenPath::Dotted(path) => path.split('.').map(str::to_owned).collect(),
            WrittenPath::Names(names) => names,
        };
        let is_path = (1..=PATH_NAMES_MAX).contains(&names.len());
        if is_path && names.iter().all(|name| !name.is_empty()) {
            Ok(Self(names))
        } else {
            Err("a claim is named as in \"realm_access.roles\", or as a list of names")
        }
    }
}

impl ClaimPath {
    /// The claim of this name, at the top.
    pub(super) fn for_claim(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// What stands there.
    pub(super) fn find<'a>(&self, claims: &'a Claims) -> Option<&'a Value> {
        let (first, below) = self.0.split_first()?;
        below.iter().try_fold(claims.get(first)?, |value, name| value.get(name))
    }

    /// The text that stands there.
    pub(super) fn find_text<'a>(&self, claims: &'a Claims) -> Option<&'a str> {
        self.find(claims)?.as_str()
    }

    /// The texts that stand there: one, or a list.
    pub(super) fn find_texts<'a>(&self, claims: &'a Claims) -> Vec<&'a str> {
        match self.find(claims) {
            Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(text)) => vec![text],
            _ => Vec::new(),
        }
    }
}
