//! How much stands in the arguments of a query once its variables are put in.
//!
//! Checks and resolvers copy a variable's value at each of its uses, so that a large one that is used
//! often is more than the text and the variables together. Nothing here recurses: values are weighed
//! with a stack of their own.

use std::collections::HashMap;

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Name, Variables};
use async_graphql_value::{ConstValue, Value};

/// Bytes of text that count as one value more.
const TEXT_BYTES: usize = 64;

/// The weight of each variable's value: one for every value within it, and its text.
pub(super) struct VariableWeights<'d>(HashMap<&'d str, usize>);

impl<'d> VariableWeights<'d> {
    /// Those that the request gives, and the default values of `document`.
    pub(super) fn new(document: &'d ExecutableDocument, given: &'d Variables) -> Self {
        let given = given.iter().map(|(name, value)| (name.as_str(), weigh_const(value)));
        let mut weights: HashMap<_, _> = given.collect();
        let operations = document.operations.iter().map(|(_, operation)| &operation.node);
        for definition in operations.flat_map(|operation| &operation.variable_definitions) {
            if let Some(default) = &definition.node.default_value {
                let weight = weights.entry(definition.node.name.node.as_str()).or_default();
                *weight = weigh_const(&default.node).max(*weight);
            }
        }
        Self(weights)
    }

    /// What stands in an argument.
    pub(super) fn weigh_argument(&self, argument: &Value) -> usize {
        let (mut weight, mut within) = (0, vec![argument]);
        while let Some(value) = within.pop() {
            weight += match value {
                Value::Variable(name) => self.weigh_variable(name),
                Value::List(values) => {
                    within.extend(values);
                    1
                }
                Value::Object(fields) => {
                    within.extend(fields.values());
                    weigh_names(fields.keys())
                }
                Value::String(text) => weigh_text(text),
                Value::Enum(name) => weigh_text(name),
                Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) => 1,
            };
        }
        weight
    }

    fn weigh_variable(&self, name: &str) -> usize {
        self.0.get(name).copied().unwrap_or(1)
    }
}

fn weigh_const(value: &ConstValue) -> usize {
    let (mut weight, mut within) = (0, vec![value]);
    while let Some(value) = within.pop() {
        weight += match value {
            ConstValue::List(values) => {
                within.extend(values);
                1
            }
            ConstValue::Object(fields) => {
                within.extend(fields.values());
                weigh_names(fields.keys())
            }
            ConstValue::String(text) => weigh_text(text),
            ConstValue::Enum(name) => weigh_text(name),
            ConstValue::Null
            | ConstValue::Number(_)
            | ConstValue::Boolean(_)
            | ConstValue::Binary(_) => 1,
        };
    }
    weight
}

fn weigh_names<'n>(names: impl Iterator<Item = &'n Name>) -> usize {
    1 + names.map(|name| name.len() / TEXT_BYTES).sum::<usize>()
}

fn weigh_text(text: &str) -> usize {
    1 + text.len() / TEXT_BYTES
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::{Value as Json, json};

    use super::*;

    fn weight_of(argument: &str, variables: Json) -> usize {
        let text = format!("query($d: Int = 7, $l: [Int] = [1, 2]) {{ a(b: {argument}) }}");
        let (document, given) = (parse_query(text).unwrap(), Variables::from_json(variables));
        let weights = VariableWeights::new(&document, &given);
        let (_, operation) = document.operations.iter().next().unwrap();
        let selection = &operation.node.selection_set.node.items[0].node;
        let async_graphql::parser::types::Selection::Field(field) = selection else { panic!() };
        weights.weigh_argument(&field.node.arguments[0].1.node)
    }

    #[test]
    fn every_value_counts_and_so_does_text() {
        let text = "x".repeat(3 * TEXT_BYTES);
        for (argument, weight) in [
            ("1".to_owned(), 1),
            ("[1, [null, RED], {a: true}]".to_owned(), 7),
            (format!("\"{text}\""), 4),
            (format!("{{{text}: 1}}"), 5),
            ("$unknown".to_owned(), 1),
            ("$d".to_owned(), 1),
            ("[$l, $l]".to_owned(), 7),
        ] {
            assert_eq!(weight_of(&argument, json!({})), weight, "{argument}");
        }
        let given = json!({"v": [1, {"a": [2, text]}], "l": [1]});
        assert_eq!(weight_of("$v", given.clone()), 9);
        assert_eq!(weight_of("[$v $v]", given.clone()), 19);
        assert_eq!(weight_of("$l", given), 3, "the larger of what is given and the default");
    }
}
