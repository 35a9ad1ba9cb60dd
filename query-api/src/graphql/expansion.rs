//! How large an operation is once its fragments are expanded and its variables put in, counted before
//! anything walks it.
//!
//! Invariant: nothing here recurses, and counting stops at the first bound that is passed, so that the
//! work is bounded whatever the fragments do: spread each other in a chain, many times over, or in a
//! circle. What passes may be walked with recursion, and as often as it has selections and values: the
//! library's own checks and resolvers do.

use std::collections::HashSet;
use std::slice::Iter;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::Value;

use super::argument_weight::VariableWeights;
use super::introspection::SCHEMA_FIELD;
use super::refusal::Refusal;

/// The deepest nesting of fields. Introspection as tools send it needs 15.
const DEPTH_MAX: usize = 16;
/// The deepest nesting of selections: fields, inline fragments and spreads.
pub(super) const LEVELS_MAX: usize = 64;
/// The most fields, inline fragments and spreads of a query once its fragments are expanded.
const SELECTIONS_MAX: usize = 1_000;
/// The most that the checks look at, once fragments are expanded and variables put in: selections and the
/// values in their arguments, each as often as the sets that it is merged into. A query of as many fields
/// as are allowed, each with four arguments and in a fragment of a fragment, has less.
const WEIGHT_MAX: usize = 16_000;
/// The most arguments of one field or directive, known or not; those of two fields are compared each with
/// each.
const ARGUMENTS_MAX: usize = 32;
/// The most directives on one field, inline fragment or spread.
const DIRECTIVES_MAX: usize = 8;
/// The most variables of one operation: they are looked up one by one.
const VARIABLES_MAX: usize = 256;

/// Refuses a document of which all operations together are too large once expanded, with these variables.
///
/// # Errors
/// Which bound is passed; a fragment that is not there, not used, or contains itself; a subscription
/// to more than one thing, or the whole schema more than once.
pub(super) fn check_expansion(
    document: &ExecutableDocument,
    variables: &Variables,
) -> Result<(), Refusal> {
    let variables = VariableWeights::new(document, variables);
    let used = HashSet::new();
    let mut walk = ExpandedWalk { document, variables, selections: 0, weight: 0, used };
    for (_, operation) in document.operations.iter() {
        walk.walk_operation(&operation.node)?;
    }
    match document.fragments.keys().find(|name| !walk.used.contains(name)) {
        Some(unused) => Err(Refusal::Invalid(format!("the fragment {unused} is not used"))),
        None => Ok(()),
    }
}

/// What was met on the way through the operations of a document.
struct ExpandedWalk<'d> {
    document: &'d ExecutableDocument,
    variables: VariableWeights<'d>,
    selections: usize,
    weight: usize,
    used: HashSet<&'d Name>,
}

/// One selection set that the walk is in.
struct Level<'d> {
    rest: Iter<'d, Positioned<Selection>>,
    /// Fields that this is nested in.
    fields: usize,
    /// The sets that its selections are merged into: itself, and those around it up to the next field's.
    merged: usize,
    /// The fragment that this is the content of.
    fragment: Option<&'d Name>,
}

impl<'d> Level<'d> {
    /// The selections of a field, or of an operation.
    fn for_field(set: &'d SelectionSet, fields: usize) -> Self {
        Self { rest: set.items.iter(), fields, merged: 1, fragment: None }
    }

    /// The selections of a fragment among those of this level.
    fn merge(&self, set: &'d SelectionSet, fragment: Option<&'d Name>) -> Self {
        let Self { fields, merged, .. } = *self;
        Self { rest: set.items.iter(), fields, merged: merged + 1, fragment }
    }
}

impl<'d> ExpandedWalk<'d> {
    fn walk_operation(&mut self, operation: &'d OperationDefinition) -> Result<(), Refusal> {
        self.count_definitions(operation)?;
        let (mut root_fields, mut whole_schemas) = (0, 0);
        let mut path = vec![Level::for_field(&operation.selection_set.node, 0)];
        while let Some(level) = path.last_mut() {
            let Some(selection) = level.rest.next() else {
                path.pop();
                continue;
            };
            let (fields, merged) = (level.fields, level.merged);
            self.count_selection(&selection.node, merged)?;
            let inner = match &selection.node {
                Selection::Field(field) => {
                    let is_whole_schema = field.node.name.node == SCHEMA_FIELD;
                    root_fields += usize::from(fields == 0);
                    whole_schemas += usize::from(fields == 0 && is_whole_schema);
                    Level::for_field(&field.node.selection_set.node, fields + 1)
                }
                Selection::InlineFragment(inline) => {
                    level.merge(&inline.node.selection_set.node, None)
                }
                Selection::FragmentSpread(spread) => {
                    let (name, fragment) = self.use_fragment(&spread.node.fragment_name.node)?;
                    self.count_directives(&fragment.directives, merged)?;
                    let inner = level.merge(&fragment.selection_set.node, Some(name));
                    if path.iter().any(|level| level.fragment == Some(name)) {
                        let message = format!("the fragment {name} contains itself");
                        return Err(Refusal::Invalid(message));
                    }
                    inner
                }
            };
            if inner.fields > DEPTH_MAX || path.len() >= LEVELS_MAX {
                return Err(too_deep());
            }
            path.push(inner);
        }
        if operation.ty == OperationType::Subscription && root_fields > 1 {
            let message = "a subscription has one field: subscribe to each on its own";
            return Err(Refusal::Invalid(message.to_owned()));
        }
        if whole_schemas > 1 {
            let message = format!("{SCHEMA_FIELD} answers the same each time: ask for it once");
            return Err(Refusal::TooComplex(message));
        }
        Ok(())
    }

    fn count_definitions(&mut self, operation: &'d OperationDefinition) -> Result<(), Refusal> {
        let definitions = &operation.variable_definitions;
        if definitions.len() > VARIABLES_MAX {
            let message = format!("an operation has more than {VARIABLES_MAX} variables");
            return Err(Refusal::TooComplex(message));
        }
        self.count_directives(&operation.directives, 1)?;
        let mut definitions = definitions.iter().map(|definition| &definition.node);
        definitions.try_for_each(|definition| self.count_directives(&definition.directives, 1))
    }

    fn count_selection(&mut self, selection: &'d Selection, merged: usize) -> Result<(), Refusal> {
        self.selections += 1;
        if self.selections > SELECTIONS_MAX {
            return Err(Refusal::TooComplex(format!(
                "the query has more than {SELECTIONS_MAX} fields and fragments once it is expanded"
            )));
        }
        self.count_weight(merged)?;
        self.count_directives(selection.directives(), merged)?;
        match selection {
            Selection::Field(field) => {
                self.count_arguments(&field.node.name.node, &field.node.arguments, merged)
            }
            Selection::InlineFragment(_) | Selection::FragmentSpread(_) => Ok(()),
        }
    }

    fn count_directives(
        &mut self,
        directives: &'d [Positioned<Directive>],
        merged: usize,
    ) -> Result<(), Refusal> {
        if directives.len() > DIRECTIVES_MAX {
            let message = format!("at most {DIRECTIVES_MAX} directives stand in one place");
            return Err(Refusal::TooComplex(message));
        }
        let mut directives = directives.iter().map(|directive| &directive.node);
        directives.try_for_each(|directive| {
            self.count_arguments(&directive.name.node, &directive.arguments, merged)
        })
    }

    fn count_arguments(
        &mut self,
        of: &Name,
        arguments: &'d [(Positioned<Name>, Positioned<Value>)],
        merged: usize,
    ) -> Result<(), Refusal> {
        if arguments.len() > ARGUMENTS_MAX {
            let message = format!("{of} has more than {ARGUMENTS_MAX} arguments");
            return Err(Refusal::TooComplex(message));
        }
        arguments.iter().try_for_each(|(_, value)| {
            self.count_weight(self.variables.weigh_argument(&value.node).saturating_mul(merged))
        })
    }

    fn count_weight(&mut self, weight: usize) -> Result<(), Refusal> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight <= WEIGHT_MAX {
            return Ok(());
        }
        Err(Refusal::TooComplex(format!(
            "the query has more than {WEIGHT_MAX} fields and values of arguments once its fragments \
             are expanded and its variables put in"
        )))
    }

    fn use_fragment(&mut self, name: &Name) -> Result<(&'d Name, &'d FragmentDefinition), Refusal> {
        let found = self.document.fragments.get_key_value(name);
        let (name, fragment) =
            found.ok_or_else(|| Refusal::Invalid(format!("there is no fragment {name}")))?;
        self.used.insert(name);
        Ok((name, &fragment.node))
    }
}

fn too_deep() -> Refusal {
    Refusal::TooDeep(format!(
        "the query is nested too deep: at most {DEPTH_MAX} fields, and {LEVELS_MAX} fields and fragments"
    ))
}
