//! Reading accounts and clients, from the log itself: whoever changed one reads it so.

use std::ops::Bound;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{AccessControl, AccessControlRejection, Principal, PrincipalKind, PrincipalName};
use platform::execute::{Executed, load};
use platform::http::{Problem, ProblemType};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::change::Subject;
use super::{PrincipalBody, unstored};
use crate::command::{ReadAccess, Reader, make_answer, make_response};
use crate::{CommandApi, problems};

/// Rows of a page when nothing is said.
const PAGE_DEFAULT: u16 = 50;
/// The most rows of a page.
const PAGE_MAX: u16 = 200;

/// Somebody who may read accounts and clients.
pub(super) type AccessReader = Reader<ReadAccess>;

impl AccessReader {
    /// Whoever is limited sees those who act within the same limits.
    fn sees(&self, kind: PrincipalKind, principal: &Principal) -> bool {
        principal.kind == kind && self.actor.reach.covers_reach(&principal.reach)
    }
}

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct PrincipalListParams {
    /// Behind this name: the `next` of the page before.
    after: Option<String>,
    /// Rows of the page, 1 to 200; 50 when nothing is said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
}

/// A page of accounts, or of clients, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PrincipalPage {
    /// Those.
    items: Vec<PrincipalBody>,
    /// Where the next page begins; absent on the last.
    next: Option<PageStart>,
}

/// The last name of the page before.
#[derive(Debug, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String)]
struct PageStart(PrincipalName);

/// A page of those of this kind.
pub(super) async fn list(
    api: &CommandApi,
    reader: &AccessReader,
    kind: PrincipalKind,
    params: Result<Query<PrincipalListParams>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(PrincipalListParams { after, limit }) =
        params.map_err(|error| Problem::new(ProblemType::MalformedQuery, error.body_text()))?;
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::invalid_field("limit", "must be 1 to 200"));
    }
    let after: Option<PrincipalName> = after
        .map(|name| name.parse())
        .transpose()
        .map_err(|invalid: domain::Invalid| Problem::invalid_field("after", invalid.must))?;
    let read = read(api).await?;
    let behind = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut found =
        read.state.principals_from(behind).filter(|(_, found)| reader.sees(kind, found));
    let items: Vec<_> = found
        .by_ref()
        .take(limit.into())
        .map(|(name, principal)| PrincipalBody::for_principal(name, principal))
        .collect();
    let has_more = found.next().is_some();
    let next = items.last().filter(|_| has_more).map(|last| PageStart(last.name.clone()));
    let page = PrincipalPage { items, next };
    Ok(unstored(make_response(&make_answer(StatusCode::OK, &read, None, page))))
}

/// One of them. The ETag is that of all accounts and clients, for `If-Match`.
pub(super) async fn get(
    api: &CommandApi,
    reader: &AccessReader,
    Subject { name, kind }: Subject,
) -> Result<Response, Problem> {
    let read = read(api).await?;
    let found = read.state.principal(&name).filter(|found| reader.sees(kind, found));
    let Some(found) = found else {
        return Err(problems::from_rejection(&AccessControlRejection::PrincipalNotFound { name }));
    };
    let body = PrincipalBody::for_principal(&name, found);
    Ok(unstored(make_response(&make_answer(StatusCode::OK, &read, None, body))))
}

async fn read(api: &CommandApi) -> Result<Executed<AccessControl>, Problem> {
    let loaded = load::<AccessControl>(api.log(), AccessControl::ID).await;
    loaded.map(Executed::unchanged).map_err(problems::from_execute_error)
}
