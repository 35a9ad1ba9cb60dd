//! What introspection costs: the values of its answer, counted from the schema before any of them is made.
//!
//! Invariants: the schema is walked as the library's resolvers walk it, so that as many values are counted as the
//! answer has, those among them that `@skip` and `@include` leave out. Counting ends with the first value beyond
//! [`COST_MAX`], and recurses no deeper than what [`expansion`](super::expansion) let pass.

use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::registry::{
    MetaDirective, MetaField, MetaInputValue, MetaType, MetaTypeName, Registry,
};
use async_graphql::{Name, Variables};
use async_graphql_value::{ConstValue, Value};

use super::cost::COST_MAX;

/// The field of a query that answers with the whole schema.
pub(super) const SCHEMA_FIELD: &str = "__schema";
/// The field of a query that answers with one type.
const TYPE_FIELD: &str = "__type";
/// Its argument.
const TYPE_NAME: &str = "name";

/// How many values the introspection in all operations of `document` answers with; some number above
/// [`COST_MAX`] when there are more than that.
pub(super) fn count_introspected(
    document: &ExecutableDocument,
    variables: &Variables,
    registry: &Registry,
) -> usize {
    let operations = document.operations.iter();
    operations.fold(0, |values, (_, operation)| {
        let operation = &operation.node;
        let mut walk = IntrospectionWalk { document, variables, registry, operation, values };
        walk.count_set(&operation.selection_set.node, Described::Operation);
        walk.values
    })
}

/// What a selection set is about.
#[derive(Clone, Copy)]
enum Described<'r> {
    /// What introspection stands in.
    Operation,
    /// `__Schema`.
    Schema,
    /// `__Type`, of a type as it is written, such as `[Part!]!`.
    Type(&'r str),
    /// `__Field`.
    Field(&'r MetaField),
    /// `__InputValue`.
    InputValue(&'r MetaInputValue),
    /// `__Directive`.
    Directive(&'r MetaDirective),
    /// What leads to nothing else, such as `__EnumValue`.
    Leaf,
}

/// What a field of introspection answers with.
enum Answered<'r> {
    /// Null, a scalar, or nothing of introspection.
    Value,
    Object(Described<'r>),
    List(Vec<Described<'r>>),
}

struct IntrospectionWalk<'d> {
    document: &'d ExecutableDocument,
    variables: &'d Variables,
    registry: &'d Registry,
    /// The one that is walked: its variables have default values.
    operation: &'d OperationDefinition,
    values: usize,
}

impl<'d> IntrospectionWalk<'d> {
    fn count_set(&mut self, set: &'d SelectionSet, of: Described<'d>) {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => self.count_field(&field.node, of),
                Selection::InlineFragment(fragment) => {
                    self.count_set(&fragment.node.selection_set.node, of);
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.node.fragment_name.node);
                    if let Some(fragment) = fragment {
                        self.count_set(&fragment.node.selection_set.node, of);
                    }
                }
            }
        }
    }

    fn count_field(&mut self, field: &'d Field, of: Described<'d>) {
        if self.values > COST_MAX {
            return;
        }
        let answered = self.answer_field(field, of);
        // What is no introspection is reckoned elsewhere.
        if matches!((of, &answered), (Described::Operation, Answered::Value)) {
            return;
        }
        self.values += 1;
        let set = &field.selection_set.node;
        match answered {
            Answered::Value => {}
            Answered::Object(inner) => self.count_set(set, inner),
            Answered::List(items) => {
                self.values += items.len();
                items.into_iter().for_each(|item| self.count_set(set, item));
            }
        }
    }

    /// As the resolvers of the library do, which say nothing of fields that the schema does not have.
    fn answer_field(&self, field: &'d Field, of: Described<'d>) -> Answered<'d> {
        use Described as D;
        let registry = self.registry;
        match (of, field.name.node.as_str()) {
            (D::Operation, SCHEMA_FIELD) => Answered::Object(D::Schema),
            (D::Operation, TYPE_FIELD) => self
                .find_named_type(field)
                .map_or(Answered::Value, |name| Answered::Object(D::Type(name))),
            (D::Schema, "types") => list(registry.types.keys().map(|name| D::Type(name))),
            (D::Schema, "directives") => list(registry.directives.values().map(D::Directive)),
            (D::Schema, "queryType") => Answered::Object(D::Type(&registry.query_type)),
            (D::Schema, "mutationType") => describe_type(registry.mutation_type.as_ref()),
            (D::Schema, "subscriptionType") => describe_type(registry.subscription_type.as_ref()),
            (D::Type(name), member) => self.answer_of_type(name, member),
            (D::Field(field), "args") => list(field.args.values().map(D::InputValue)),
            (D::Field(field), "type") => Answered::Object(D::Type(&field.ty)),
            (D::InputValue(value), "type") => Answered::Object(D::Type(&value.ty)),
            (D::Directive(directive), "args") => list(directive.args.values().map(D::InputValue)),
            (D::Directive(directive), "locations") => {
                list(directive.locations.iter().map(|_| D::Leaf))
            }
            _ => Answered::Value,
        }
    }

    fn answer_of_type(&self, name: &'d str, member: &str) -> Answered<'d> {
        use Described as D;
        let named = match MetaTypeName::create(name) {
            MetaTypeName::NonNull(inner) | MetaTypeName::List(inner) => {
                return match member {
                    "ofType" => Answered::Object(D::Type(inner)),
                    _ => Answered::Value,
                };
            }
            MetaTypeName::Named(name) => self.registry.types.get(name),
        };
        match (named, member) {
            (Some(named), "fields") => named.fields().map_or(Answered::Value, |fields| {
                let shown = fields.values().filter(|field| !field.name.starts_with("__"));
                list(shown.map(D::Field))
            }),
            (Some(named), "possibleTypes") => named
                .possible_types()
                .map_or(Answered::Value, |types| list(types.iter().map(|name| D::Type(name)))),
            (Some(MetaType::Object { name, .. }), "interfaces") => {
                let interfaces = self.registry.implements.get(name).into_iter().flatten();
                list(interfaces.map(|name| D::Type(name)))
            }
            (Some(MetaType::Enum { enum_values, .. }), "enumValues") => {
                list(enum_values.values().map(|_| D::Leaf))
            }
            (Some(MetaType::InputObject { input_fields, .. }), "inputFields") => {
                list(input_fields.values().map(D::InputValue))
            }
            _ => Answered::Value,
        }
    }

    /// The type that `__type` is asked for, when there is one.
    fn find_named_type(&self, field: &Field) -> Option<&'d str> {
        let name = match &field.get_argument(TYPE_NAME)?.node {
            Value::String(name) => name,
            Value::Variable(variable) => self.find_text(variable)?,
            _ => return None,
        };
        self.registry.types.get_key_value(name).map(|(name, _)| name.as_str())
    }

    /// The text of a variable, given or by default.
    fn find_text(&self, variable: &Name) -> Option<&'d String> {
        let definitions = self.operation.variable_definitions.iter().map(|one| &one.node);
        let default = definitions
            .filter(|definition| definition.name.node == *variable)
            .find_map(|definition| definition.default_value.as_ref());
        match self.variables.get(variable).or(default.map(|value| &value.node))? {
            ConstValue::String(text) => Some(text),
            _ => None,
        }
    }
}

fn list<'r>(items: impl Iterator<Item = Described<'r>>) -> Answered<'r> {
    Answered::List(items.collect())
}

fn describe_type(name: Option<&String>) -> Answered<'_> {
    name.map_or(Answered::Value, |name| Answered::Object(Described::Type(name)))
}
