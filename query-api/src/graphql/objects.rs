//! The fields of objects that are shaped for GraphQL or come from elsewhere in the read model.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Json, Result, SimpleObject};
use domain::FiredRule;
use platform::auth::Scope;
use uuid::Uuid;

use super::cost::DOCUMENT_COST;
use super::loaders::{ArtifactsOf, DefectsOf, DocumentOf, InspectionOf, ReportOf, TimelineOf};
use super::node::id_of_defect;
use super::part_objects::RecipeObject;
use super::{Allowed, request_loaders};
use crate::error::QueryError;
use crate::read_model::artifacts::ArtifactObject;
use crate::read_model::boxes::{MillimetreBoxObject, PixelBoxObject};
use crate::read_model::defects::DefectObject;
use crate::read_model::inspections::{InspectionObject, TimelineObject};
use crate::read_model::past_inspections::PastInspection;
use crate::read_model::reports::ReportObject;
use crate::read_model::words::{DefectClassWord, JudgementWord};
use crate::read_model::{LogPosition, round_to_single};

#[ComplexObject]
impl InspectionObject {
    /// The inspection's id.
    pub(super) async fn id(&self) -> ID {
        self.inspection_id.into()
    }

    /// The rules that fired; none until it is judged.
    #[graphql(complexity = "2 * child_complexity")]
    async fn rules(&self) -> Result<Vec<RuleObject>> {
        let rules = self.rules.iter().flat_map(|rules| &rules.0);
        Ok(rules.map(RuleObject::from_rule).collect::<Result<_, _>>()?)
    }

    /// The recipe in force when it was created.
    async fn recipe(&self) -> RecipeObject {
        RecipeObject::from_recipe(&self.recipe)
    }

    /// The findings from the recipe's review_at: pictures as they were announced, most confident first.
    #[graphql(complexity = "10 * child_complexity")]
    async fn defects(&self, ctx: &Context<'_>) -> Result<Vec<DefectObject>> {
        if let Some(past) = self.as_of.map(|as_of| past_inspection(ctx, self.inspection_id, as_of))
        {
            return Ok(past?.defects());
        }
        let key = DefectsOf(self.inspection_id);
        Ok(request_loaders(ctx)?.load_one_of(key).await?.unwrap_or_default())
    }

    /// Its pictures, in the order in which they were announced.
    #[graphql(complexity = "4 * child_complexity")]
    async fn artifacts(&self, ctx: &Context<'_>) -> Result<Vec<ArtifactObject>> {
        if let Some(past) = self.as_of.map(|as_of| past_inspection(ctx, self.inspection_id, as_of))
        {
            return Ok(past?.artifacts());
        }
        let key = ArtifactsOf(self.inspection_id);
        Ok(request_loaders(ctx)?.load_one_of(key).await?.unwrap_or_default())
    }

    /// Its events, in order.
    #[graphql(complexity = "8 * child_complexity")]
    async fn timeline(&self, ctx: &Context<'_>) -> Result<Vec<TimelineObject>> {
        if let Some(past) = self.as_of.map(|as_of| past_inspection(ctx, self.inspection_id, as_of))
        {
            return Ok(past?.timeline());
        }
        let key = TimelineOf(self.inspection_id);
        Ok(request_loaders(ctx)?.load_one_of(key).await?.unwrap_or_default())
    }

    /// Its report, once it is judged.
    #[graphql(guard = "Allowed(Scope::ReportsRead)")]
    async fn report(&self, ctx: &Context<'_>) -> Result<Option<ReportObject>> {
        if self.judgement.is_none() {
            // Also where it is shown as it was before it was judged.
            return Ok(None);
        }
        let report = request_loaders(ctx)?.load_one_of(ReportOf(self.inspection_id)).await?;
        Ok(report.map(|report| ReportObject { as_of: self.as_of, ..report }))
    }
}

/// What an object of this answer is part of that is shown as it was.
fn past_inspection(ctx: &Context<'_>, id: Uuid, as_of: LogPosition) -> Result<Arc<PastInspection>> {
    let past = request_loaders(ctx)?.past_inspection((id, as_of));
    Ok(past.ok_or_else(|| QueryError::internal("a past inspection was not kept"))?)
}

/// A rule of judgement that fired, and on what.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "Rule")]
pub(super) struct RuleObject {
    /// The rule's name.
    rule: String,
    /// What the rule says on its own.
    judgement: JudgementWord,
    /// The class of findings it fired on.
    class: Option<DefectClassWord>,
    /// How many findings, differences or pieces it fired on.
    count: Option<u32>,
    /// Why a picture was not compared.
    reason: Option<String>,
    /// The rule in words.
    text: String,
}

impl RuleObject {
    fn from_rule(rule: &FiredRule) -> Result<Self, QueryError> {
        let (name, class, count, reason) = match rule {
            FiredRule::Defect { class, count } => ("defect", Some(*class), Some(*count), None),
            FiredRule::DoubtfulFinding { class, count } => {
                ("doubtful-finding", Some(*class), Some(*count), None)
            }
            FiredRule::UnexplainedDifference { count } => {
                ("unexplained-difference", None, Some(*count), None)
            }
            FiredRule::NotCovered { pieces } => ("not-covered", None, Some(*pieces), None),
            FiredRule::NotCompared { reason } => ("not-compared", None, None, Some(*reason)),
            FiredRule::MissingView => ("missing-view", None, None, None),
            FiredRule::DuplicateView => ("duplicate-view", None, None, None),
            FiredRule::UnknownView => ("unknown-view", None, None, None),
            FiredRule::NothingFound => ("nothing-found", None, None, None),
        };
        let class = class.map(|class| class.as_str().parse()).transpose();
        Ok(Self {
            rule: name.to_owned(),
            judgement: rule.judgement().as_str().parse().map_err(QueryError::internal)?,
            class: class.map_err(|error: String| QueryError::internal(error))?,
            count,
            reason: reason.map(|reason| reason.as_str().to_owned()),
            text: rule.to_string(),
        })
    }
}

#[ComplexObject]
impl DefectObject {
    /// Its id: opaque, and of no use in REST.
    pub(super) async fn id(&self) -> ID {
        id_of_defect(self.artifact_id, self.number)
    }

    /// How sure the network is, 0 to 1.
    async fn confidence(&self) -> f64 {
        round_to_single(self.confidence)
    }

    /// Where it is.
    #[graphql(name = "box")]
    async fn bounds(&self) -> PixelBoxObject {
        self.pixel_box()
    }

    /// Where it is in millimetres; null when the picture's scale is not known.
    async fn box_mm(&self) -> Option<MillimetreBoxObject> {
        self.millimetre_box()
    }

    /// The id of the picture it was found on.
    async fn artifact_id(&self) -> ID {
        self.artifact_id.into()
    }

    /// The id of the inspection.
    async fn inspection_id(&self) -> ID {
        self.inspection_id.into()
    }

    /// The inspection.
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<InspectionObject>> {
        if let Some(past) = self.as_of.map(|as_of| past_inspection(ctx, self.inspection_id, as_of))
        {
            return Ok(Some(past?.object()));
        }
        Ok(request_loaders(ctx)?.load_one_of(InspectionOf(self.inspection_id)).await?)
    }
}

#[ComplexObject]
impl ReportObject {
    /// The report's id.
    pub(super) async fn id(&self) -> ID {
        self.report_id.into()
    }

    /// The id of the inspection.
    async fn inspection_id(&self) -> ID {
        self.inspection_id.into()
    }

    /// The inspection.
    #[graphql(guard = "Allowed(Scope::InspectionsRead)")]
    async fn inspection(&self, ctx: &Context<'_>) -> Result<Option<InspectionObject>> {
        if let Some(past) = self.as_of.map(|as_of| past_inspection(ctx, self.inspection_id, as_of))
        {
            return Ok(Some(past?.object()));
        }
        Ok(request_loaders(ctx)?.load_one_of(InspectionOf(self.inspection_id)).await?)
    }

    /// Where the report is served, as JSON or PDF by Accept, with the same token.
    async fn url(&self) -> String {
        format!("/v1/reports/{}", self.report_id)
    }

    /// The whole report, `schemas/report.v5.schema.json`.
    #[graphql(complexity = "DOCUMENT_COST")]
    async fn document(&self, ctx: &Context<'_>) -> Result<Option<Json<serde_json::Value>>> {
        let stored = request_loaders(ctx)?.load_one_of(DocumentOf(self.report_id)).await?;
        let parsed = stored.map(|text| serde_json::from_str(&text)).transpose();
        Ok(parsed.map_err(QueryError::internal)?.map(Json))
    }
}
