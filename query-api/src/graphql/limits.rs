//! Bounds on a query, checked before it is validated or run, and a code for every error.
//!
//! Invariant: the cost of the checks is linear in the length of the query. Nesting is scanned
//! before the recursive parser sees it, and fragments are measured once each, however often they
//! are spread.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::async_trait::async_trait;
use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest, NextRequest, NextSubscribe,
    NextValidation,
};
use async_graphql::futures_util::stream::BoxStream;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Name, Request, Response, ServerError, ServerResult, ValidationResult};
use futures::StreamExt as _;

use crate::error::{code_extensions, with_code};
use crate::paging::{PAGE_DEFAULT, PAGE_MAX};

/// The deepest nesting of fields. Introspection as tools send it needs 15.
pub(super) const DEPTH_MAX: usize = 16;
/// Directives on one field.
pub(super) const DIRECTIVES_MAX: usize = 8;
/// The most fields of a query once its fragments are expanded.
const FIELDS_MAX: u64 = 1_000;
/// The most a query may cost: every field counts once for each object it may be asked of.
const COMPLEXITY_MAX: usize = 40_000;
/// The deepest nesting of brackets of any kind: fields, lists and objects of arguments.
const BRACKETS_MAX: usize = 64;
/// Errors in one answer.
const ERRORS_MAX: usize = 20;

/// What a page of `child` costs; an absurd size is refused later.
pub(super) fn page_complexity(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let size = first.or(last).map_or(PAGE_DEFAULT, |size| usize::try_from(size).unwrap_or(1));
    size.clamp(1, PAGE_MAX).saturating_mul(child).saturating_add(1)
}

/// The extension that bounds queries and gives errors their codes.
pub(super) struct QueryLimits;

impl ExtensionFactory for QueryLimits {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait]
impl Extension for QueryLimits {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        with_error_codes(next.run(ctx).await)
    }

    fn subscribe<'s>(
        &self,
        ctx: &ExtensionContext<'_>,
        stream: BoxStream<'s, Response>,
        next: NextSubscribe<'_>,
    ) -> BoxStream<'s, Response> {
        next.run(ctx, stream).map(with_error_codes).boxed()
    }

    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        mut request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        let document = parse_within_bounds(&request.query)?;
        request.set_parsed_query(document);
        next.run(ctx, request).await
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(ctx).await.map_err(|errors| {
            let invalid = |error| with_code_named(error, "GRAPHQL_VALIDATION_FAILED");
            errors.into_iter().take(ERRORS_MAX).map(invalid).collect::<Vec<_>>()
        })?;
        if result.complexity > COMPLEXITY_MAX {
            let message = format!(
                "the query costs {}, the most is {COMPLEXITY_MAX}: ask for less, or smaller pages",
                result.complexity
            );
            return Err(vec![refuse_query(message, "QUERY_TOO_COMPLEX")]);
        }
        Ok(result)
    }
}

fn with_error_codes(mut response: Response) -> Response {
    response.errors.truncate(ERRORS_MAX);
    response.errors = response.errors.into_iter().map(with_code).collect();
    response
}

/// The parsed query, when it is within bounds.
fn parse_within_bounds(query: &str) -> ServerResult<ExecutableDocument> {
    if bracket_depth(query) > BRACKETS_MAX {
        return Err(too_deep());
    }
    let document = parse_query(query)
        .map_err(|error| with_code_named(ServerError::from(error), "GRAPHQL_PARSE_FAILED"))?;
    let mut sizes = SelectionSizes { document: &document, fragments: HashMap::new() };
    let mut fields = 0_u64;
    for (_, operation) in document.operations.iter() {
        let size = sizes.measure_selections(&operation.node.selection_set.node)?;
        if size.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        fields = fields.saturating_add(size.fields);
    }
    if fields > FIELDS_MAX {
        let message =
            format!("the query has {fields} fields once expanded, the most is {FIELDS_MAX}");
        return Err(refuse_query(message, "QUERY_TOO_COMPLEX"));
    }
    Ok(document)
}

/// How deep brackets are nested, outside strings and comments.
fn bracket_depth(query: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0_usize);
    let mut rest = query;
    while let Some(letter) = rest.chars().next() {
        rest = if let Some(after) = rest.strip_prefix("\"\"\"") {
            skip_string(after, "\"\"\"")
        } else if let Some(after) = rest.strip_prefix('"') {
            skip_string(after, "\"")
        } else if letter == '#' {
            rest.find(['\n', '\r']).map_or("", |end| &rest[end..])
        } else {
            match letter {
                '{' | '[' | '(' => depth += 1,
                '}' | ']' | ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
            &rest[letter.len_utf8()..]
        };
    }
    deepest
}

/// What follows the string's end. A block string's end is escaped by a backslash in front of it,
/// another string's by an odd number of them.
fn skip_string<'q>(text: &'q str, end: &str) -> &'q str {
    let mut from = 0;
    while let Some(place) = text[from..].find(end).map(|offset| from + offset) {
        let before = text.as_bytes()[..place].iter().rev();
        let backslashes = before.take_while(|byte| **byte == b'\\').count();
        let is_escaped = if end.len() == 1 { backslashes % 2 == 1 } else { backslashes > 0 };
        if !is_escaped {
            return &text[place + end.len()..];
        }
        from = place + 1;
    }
    ""
}

#[derive(Debug, Clone, Copy, Default)]
struct SelectionSize {
    fields: u64,
    depth: usize,
}

/// Sizes of selections with their fragments expanded; every fragment is measured once.
struct SelectionSizes<'d> {
    document: &'d ExecutableDocument,
    /// `None` while it is being measured: to meet it then is a cycle.
    fragments: HashMap<&'d Name, Option<SelectionSize>>,
}

impl<'d> SelectionSizes<'d> {
    fn measure_selections(&mut self, selections: &'d SelectionSet) -> ServerResult<SelectionSize> {
        let mut whole = SelectionSize::default();
        for selection in &selections.items {
            let part = match &selection.node {
                Selection::Field(field) => {
                    let inner = self.measure_selections(&field.node.selection_set.node)?;
                    SelectionSize { fields: inner.fields.saturating_add(1), depth: inner.depth + 1 }
                }
                Selection::InlineFragment(inline) => {
                    self.measure_selections(&inline.node.selection_set.node)?
                }
                Selection::FragmentSpread(spread) => {
                    self.measure_fragment(&spread.node.fragment_name.node)?
                }
            };
            whole.fields = whole.fields.saturating_add(part.fields);
            whole.depth = whole.depth.max(part.depth);
        }
        Ok(whole)
    }

    /// A fragment that does not exist has no size: validation names it.
    fn measure_fragment(&mut self, name: &Name) -> ServerResult<SelectionSize> {
        let Some((name, fragment)) = self.document.fragments.get_key_value(name) else {
            return Ok(SelectionSize::default());
        };
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let message = format!("the fragment {name} contains itself");
                return Err(refuse_query(message, "GRAPHQL_VALIDATION_FAILED"));
            }
            None => {}
        }
        self.fragments.insert(name, None);
        let size = self.measure_selections(&fragment.node.selection_set.node)?;
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

fn too_deep() -> ServerError {
    let message = format!("the query is nested too deep: at most {DEPTH_MAX} fields");
    refuse_query(message, "QUERY_TOO_DEEP")
}

fn refuse_query(message: String, name: &str) -> ServerError {
    with_code_named(ServerError::new(message, None), name)
}

fn with_code_named(mut error: ServerError, name: &str) -> ServerError {
    error.extensions = Some(code_extensions(name));
    error
}
