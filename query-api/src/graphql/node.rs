//! Relay's `Node`: whatever has an identity is found again by its `id` alone.
//!
//! What has a UUID has it as its id, the same as in REST; the read models say what it is of. A part and a finding have
//! none: theirs is made of what names them, and opaque to clients. A node needs the scope of the field that shows
//! it elsewhere.

use std::collections::HashMap;

use async_graphql::{Context, ID, Interface, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{PartNumber, ProjectionName};
use platform::auth::Scope;
use uuid::Uuid;

use super::connection::await_all;
use super::{current_session, query_context};
use crate::error::QueryError;
use crate::paging::PAGE_MAX;
use crate::query_context::QueryContext;
use crate::read_model::KeptPlace;
use crate::read_model::artifacts::{self, ArtifactObject};
use crate::read_model::defects::{self, DefectObject};
use crate::read_model::identities::{IdentityKind, kinds_of};
use crate::read_model::inspections::{self, InspectionObject};
use crate::read_model::parts::{self, GoldenSampleObject, PartObject};
use crate::read_model::reports::{self, ReportObject};
use crate::session::Session;

/// Something that is found again by its id.
#[derive(Debug, Clone, Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Its id, which nothing else has."))]
#[allow(clippy::large_enum_variant, reason = "an answer has few of them")]
pub(super) enum Node {
    /// An inspection.
    Inspection(InspectionObject),
    /// A picture of a board.
    Artifact(ArtifactObject),
    /// A golden sample.
    GoldenSample(GoldenSampleObject),
    /// A report.
    Report(ReportObject),
    /// A finding.
    Defect(DefectObject),
    /// A part.
    Part(PartObject),
}

/// What an id says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum NodeKey {
    /// Of something that has a UUID.
    Uuid(Uuid),
    /// The finding of this number on this picture.
    Defect(Uuid, i32),
    /// The part of this number.
    Part(String),
}

impl NodeKey {
    /// # Errors
    /// When it is nobody's.
    fn parse(ID(id): &ID) -> Result<Self, QueryError> {
        if let Ok(id) = Uuid::parse_str(id) {
            return Ok(Self::Uuid(id));
        }
        let made = || {
            let text = String::from_utf8(URL_SAFE_NO_PAD.decode(id).ok()?).ok()?;
            match text.split_once(':')? {
                ("part", number) => Some(Self::Part(PartNumber::new(number).ok()?.to_string())),
                ("defect", place) => {
                    let (picture, number) = place.split_once(':')?;
                    Some(Self::Defect(Uuid::parse_str(picture).ok()?, number.parse().ok()?))
                }
                _ => None,
            }
        };
        made().ok_or_else(|| QueryError::invalid("id", "must be an id as an answer gave it"))
    }

    /// The read models that may have to be asked.
    const fn models(&self) -> &'static [ProjectionName] {
        match self {
            Self::Uuid(_) => &[
                ProjectionName::InspectionOverview,
                ProjectionName::Reports,
                ProjectionName::Parts,
            ],
            Self::Defect(..) => &[ProjectionName::Defects],
            Self::Part(_) => &[ProjectionName::Parts],
        }
    }

    /// Refuses who may not see it, as far as the id says what it is. Of a UUID nothing is said to who may see
    /// nothing that has one.
    fn check_scope(&self, session: &Session) -> Result<(), QueryError> {
        match self {
            Self::Uuid(_) => {
                let scopes = [Scope::InspectionsRead, Scope::ReportsRead, Scope::PartsRead];
                match scopes.into_iter().any(|scope| session.has_scope(scope)) {
                    true => Ok(()),
                    false => session.require_scope(Scope::InspectionsRead),
                }
            }
            Self::Defect(..) => session.require_scope(Scope::InspectionsRead),
            Self::Part(_) => session.require_scope(Scope::PartsRead),
        }
    }
}

/// The id of a finding.
pub(super) fn id_of_defect(artifact_id: Uuid, number: i32) -> ID {
    ID(URL_SAFE_NO_PAD.encode(format!("defect:{artifact_id}:{number}")))
}

/// The id of a part.
pub(super) fn id_of_part(part: &str) -> ID {
    ID(URL_SAFE_NO_PAD.encode(format!("part:{part}")))
}

/// What has these ids, in their order.
///
/// # Errors
/// When they are too many, one is no id, or the caller may not see what has it.
pub(super) async fn find_nodes(
    ctx: &Context<'_>,
    ids: &[ID],
    wanted: Option<KeptPlace>,
) -> Result<Vec<Option<Node>>> {
    if ids.len() > PAGE_MAX {
        return Err(QueryError::invalid("ids", format!("must be at most {PAGE_MAX}")).into());
    }
    let keys = ids.iter().map(NodeKey::parse).collect::<Result<Vec<_>, _>>()?;
    let (context, session) = (query_context(ctx)?, current_session(ctx)?);
    keys.iter().try_for_each(|key| key.check_scope(session))?;
    if wanted.is_some() {
        let mut models: Vec<_> = keys.iter().flat_map(|key| key.models()).copied().collect();
        models.sort_unstable();
        models.dedup();
        await_all(context, &models, wanted).await?;
    }
    let found = load_nodes(context, session, &keys).await?;
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

async fn load_nodes(
    context: &QueryContext,
    session: &Session,
    keys: &[NodeKey],
) -> Result<HashMap<NodeKey, Node>, QueryError> {
    let (mut uuids, mut findings, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        match key {
            NodeKey::Uuid(id) => uuids.push(*id),
            NodeKey::Defect(picture, number) => findings.push((*picture, *number)),
            NodeKey::Part(number) => numbers.push(number.clone()),
        }
    }
    let reach = session.reach();
    let mut found = load_identified(context, session, uuids).await?;
    if !findings.is_empty() {
        let rows = defects::by_places(&context.pool, &findings, reach).await?;
        let rows = rows
            .into_iter()
            .map(|row| (NodeKey::Defect(row.artifact_id, row.number), Node::Defect(row)));
        found.extend(rows);
    }
    if !numbers.is_empty() {
        let rows = parts::by_numbers(&context.pool, &numbers, reach).await?;
        found
            .extend(rows.into_iter().map(|row| (NodeKey::Part(row.part.clone()), Node::Part(row))));
    }
    Ok(found)
}

/// What has these UUIDs. One statement says of which kind each is, and one reads those of each kind.
async fn load_identified(
    context: &QueryContext,
    session: &Session,
    uuids: Vec<Uuid>,
) -> Result<HashMap<NodeKey, Node>, QueryError> {
    let (pool, reach, mut found) = (&context.pool, session.reach(), HashMap::new());
    if uuids.is_empty() {
        return Ok(found);
    }
    let mut kinds: HashMap<IdentityKind, Vec<Uuid>> = HashMap::new();
    for (id, kind) in kinds_of(pool, &uuids, reach).await? {
        kinds.entry(kind).or_default().push(id);
    }
    kinds.keys().try_for_each(|kind| session.require_scope(scope_of(*kind)))?;
    for (kind, ids) in kinds {
        match kind {
            IdentityKind::Inspection => {
                let rows = inspections::by_ids(pool, &ids, reach).await?.into_iter();
                found.extend(
                    rows.map(|row| (NodeKey::Uuid(row.inspection_id), Node::Inspection(row))),
                );
            }
            IdentityKind::Artifact => {
                let rows = artifacts::by_ids(pool, &ids, reach).await?.into_iter();
                found.extend(rows.map(|row| (NodeKey::Uuid(row.artifact_id), Node::Artifact(row))));
            }
            IdentityKind::GoldenSample => {
                let rows = parts::golden_samples_by_ids(pool, &ids, reach).await?.into_iter();
                found.extend(
                    rows.map(|row| (NodeKey::Uuid(row.artifact_id), Node::GoldenSample(row))),
                );
            }
            IdentityKind::Report => {
                let rows = reports::by_ids(pool, &ids, reach).await?.into_iter();
                found.extend(rows.map(|row| (NodeKey::Uuid(row.report_id), Node::Report(row))));
            }
        }
    }
    Ok(found)
}

/// What the field needs that shows it elsewhere.
const fn scope_of(kind: IdentityKind) -> Scope {
    match kind {
        IdentityKind::Inspection | IdentityKind::Artifact => Scope::InspectionsRead,
        IdentityKind::GoldenSample => Scope::PartsRead,
        IdentityKind::Report => Scope::ReportsRead,
    }
}
