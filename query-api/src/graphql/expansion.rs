//! How large an operation is once its fragments are expanded, counted before anything walks it.
//!
//! Invariant: nothing here recurses, and counting stops at the first bound that is passed, so that the
//! work is bounded whatever the fragments do: spread each other in a chain, many times over, or in a
//! circle. What passes may be walked with recursion, and as often as it has selections: the library's
//! own checks and resolvers do.

use std::collections::HashSet;
use std::slice::Iter;

use async_graphql::parser::types::{
    Directive, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType,
    Selection, SelectionSet,
};
use async_graphql::{Name, Positioned};

use super::refusal::Refusal;

/// The deepest nesting of fields. Introspection as tools send it needs 15.
const DEPTH_MAX: usize = 16;
/// The deepest nesting of selections: fields, inline fragments and spreads.
pub(super) const LEVELS_MAX: usize = 64;
/// The most fields, inline fragments and spreads of a query once its fragments are expanded.
const SELECTIONS_MAX: usize = 1_000;
/// The most arguments of one field or directive, known or not; those of two fields are compared each with
/// each.
const ARGUMENTS_MAX: usize = 32;
/// The most directives on one field, inline fragment or spread.
const DIRECTIVES_MAX: usize = 8;

/// Refuses a document of which all operations together are too large once expanded.
///
/// # Errors
/// Which bound is passed; a fragment that is not there, not used, or contains itself; a subscription
/// to more than one thing.
pub(super) fn check_expansion(document: &ExecutableDocument) -> Result<(), Refusal> {
    let mut walk = ExpandedWalk { document, selections: 0, used: HashSet::new() };
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
    selections: usize,
    used: HashSet<&'d Name>,
}

/// One selection set that the walk is in.
struct Level<'d> {
    rest: Iter<'d, Positioned<Selection>>,
    /// Fields that this is nested in.
    fields: usize,
    /// The fragment that this is the content of.
    fragment: Option<&'d Name>,
}

impl<'d> Level<'d> {
    fn new(set: &'d SelectionSet, fields: usize, fragment: Option<&'d Name>) -> Self {
        Self { rest: set.items.iter(), fields, fragment }
    }
}

impl<'d> ExpandedWalk<'d> {
    fn walk_operation(&mut self, operation: &'d OperationDefinition) -> Result<(), Refusal> {
        let mut root_fields = 0;
        let mut path = vec![Level::new(&operation.selection_set.node, 0, None)];
        while let Some(level) = path.last_mut() {
            let fields = level.fields;
            let Some(selection) = level.rest.next() else {
                path.pop();
                continue;
            };
            self.count_selection()?;
            check_directives(selection.node.directives())?;
            let inner = match &selection.node {
                Selection::Field(field) => {
                    root_fields += usize::from(fields == 0);
                    check_arguments(&field.node.name.node, field.node.arguments.len())?;
                    Level::new(&field.node.selection_set.node, fields + 1, None)
                }
                Selection::InlineFragment(inline) => {
                    Level::new(&inline.node.selection_set.node, fields, None)
                }
                Selection::FragmentSpread(spread) => {
                    let (name, fragment) = self.use_fragment(&spread.node.fragment_name.node)?;
                    if path.iter().any(|level| level.fragment == Some(name)) {
                        let message = format!("the fragment {name} contains itself");
                        return Err(Refusal::Invalid(message));
                    }
                    Level::new(&fragment.selection_set.node, fields, Some(name))
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
        Ok(())
    }

    fn count_selection(&mut self) -> Result<(), Refusal> {
        self.selections += 1;
        if self.selections <= SELECTIONS_MAX {
            return Ok(());
        }
        Err(Refusal::TooComplex(format!(
            "the query has more than {SELECTIONS_MAX} fields and fragments once it is expanded"
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

fn check_arguments(name: &Name, arguments: usize) -> Result<(), Refusal> {
    if arguments <= ARGUMENTS_MAX {
        return Ok(());
    }
    Err(Refusal::TooComplex(format!("{name} has more than {ARGUMENTS_MAX} arguments")))
}

fn check_directives(directives: &[Positioned<Directive>]) -> Result<(), Refusal> {
    if directives.len() > DIRECTIVES_MAX {
        let message = format!("at most {DIRECTIVES_MAX} directives stand in one place");
        return Err(Refusal::TooComplex(message));
    }
    let mut directives = directives.iter().map(|directive| &directive.node);
    directives.try_for_each(|node| check_arguments(&node.name.node, node.arguments.len()))
}

fn too_deep() -> Refusal {
    Refusal::TooDeep(format!(
        "the query is nested too deep: at most {DEPTH_MAX} fields, and {LEVELS_MAX} fields and fragments"
    ))
}
