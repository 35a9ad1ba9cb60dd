//! The queries.

use async_graphql::{Context, ID, Object, Result};
use chrono::{DateTime, Utc};
use domain::ProjectionName;
use platform::auth::Scope;
use platform::event_log::Position;
use platform::projection_repair::list_repairs;

use super::connection::{
    ObjectPage, await_all, models_behind_fields, parse_id, read_connection, read_connection_of,
};
use super::cost::{
    nodes_cost, page_cost, pareto_cost, projections_cost, requests_for_rows, series_cost,
    single_cost,
};
use super::metrics::{DefectPareto, YieldSeries, resolve_stretch};
use super::node::{Node, find_nodes};
use super::{Allowed, Everywhere, current_session, query_context, request_loaders};
use crate::as_of::{AsOf, read_as_of};
use crate::error::QueryError;
use crate::paging::{PageArguments, Within};
use crate::read_model::audit_trail::{AuditEntryObject, AuditTrailFilter, SubjectEntry};
use crate::read_model::defect_sums;
use crate::read_model::defects::{DefectFilter, DefectObject};
use crate::read_model::inspections::{self, InspectionFilter, InspectionObject};
use crate::read_model::parts::{
    self, GoldenSampleObject, OfPart, PartFilter, PartObject, RecipeRevisionObject,
};
use crate::read_model::projections::{self, GenerationObject, RepairObject};
use crate::read_model::reports::{self, ReportFilter, ReportObject};
use crate::read_model::words::GradeWord;
use crate::read_model::yields::{self, YieldFilter, YieldInterval};
use crate::read_model::{KeptPlace, LogPosition};
use crate::visibility::Placed;

/// The most decisions that are listed.
const REPAIRS_MAX: usize = 200;

/// Reads. Every argument `minPosition` takes the X-Log-Position of a command's answer: the read
/// then waits up to 2 s until it reflects that, and is refused with NOT_READY otherwise.
pub(crate) struct Query;

#[Object]
impl Query {
    /// Whatever has this `id`: an inspection, a picture of a board, a golden sample, a report, a finding or a part.
    #[graphql(complexity = "nodes_cost(1, child_complexity)")]
    async fn node(
        &self,
        ctx: &Context<'_>,
        id: ID,
        min_position: Option<KeptPlace>,
    ) -> Result<Option<Node>> {
        Ok(find_nodes(ctx, &[id], min_position).await?.pop().flatten())
    }

    /// Whatever has these ids, up to 200, in their order; null for one that nothing has.
    #[graphql(complexity = "nodes_cost(ids.len(), child_complexity)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        ids: Vec<ID>,
        min_position: Option<KeptPlace>,
    ) -> Result<Vec<Option<Node>>> {
        find_nodes(ctx, &ids, min_position).await
    }

    /// The inspection of this id. With `asOf` as it was at that moment of the log, with its pictures, findings, events and
    /// report: a position such as `4711`, the X-Log-Position of an answer, or a time with its offset from UTC. NOT_FOUND
    /// when it was created later.
    #[graphql(
        guard = "Allowed(Scope::InspectionsRead)",
        complexity = "single_cost(child_complexity)"
    )]
    async fn inspection(
        &self,
        ctx: &Context<'_>,
        id: ID,
        min_position: Option<KeptPlace>,
        as_of: Option<String>,
    ) -> Result<Option<InspectionObject>> {
        let (id, context) = (parse_id("id", &id)?, query_context(ctx)?);
        if let Some(moment) = as_of {
            let wanted = AsOf::from_argument("asOf", &moment, min_position.map(|place| place.0))?;
            let read = read_as_of(context, current_session(ctx)?, id, wanted).await?;
            let Some((place, past)) = read else { return Ok(None) };
            // Its report is read where it serves, which has to have come as far.
            let models = models_behind_fields(&ctx.look_ahead());
            await_all(context, &models, Some(KeptPlace(place))).await?;
            let object = past.object();
            request_loaders(ctx)?.keep_past(past);
            return Ok(Some(object));
        }
        await_all(context, &models_behind_fields(&ctx.look_ahead()), min_position).await?;
        Ok(inspections::by_ids(&context.pool, &[id], current_session(ctx)?.reach()).await?.pop())
    }

    /// Inspections, newest first.
    #[graphql(
        guard = "Allowed(Scope::InspectionsRead)",
        complexity = "page_cost(first, last, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn inspections(
        &self,
        ctx: &Context<'_>,
        filter: Option<InspectionFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<KeptPlace>,
    ) -> Result<ObjectPage<InspectionObject>> {
        let filter = filter.unwrap_or_default();
        filter.check_arguments()?;
        let nodes = ctx.look_ahead().field("edges").field("node");
        let mut models = models_behind_fields(&nodes);
        models.extend(models_behind_fields(&ctx.look_ahead().field("nodes")));
        let page = PageArguments { first, after, last, before };
        read_connection(ctx, page, &filter, &models, min_position).await
    }

    /// Findings from the recipe's review_at, newest first.
    #[graphql(
        guard = "Allowed(Scope::InspectionsRead)",
        complexity = "page_cost(first, last, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn defects(
        &self,
        ctx: &Context<'_>,
        filter: Option<DefectFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<KeptPlace>,
    ) -> Result<ObjectPage<DefectObject>> {
        let filter = filter.unwrap_or_default();
        filter.check_arguments()?;
        filter.check_list()?;
        let page = PageArguments { first, after, last, before };
        read_connection(ctx, page, &filter, &[ProjectionName::Defects], min_position).await
    }

    /// The part with this number.
    #[graphql(guard = "Allowed(Scope::PartsRead)", complexity = "single_cost(child_complexity)")]
    async fn part(
        &self,
        ctx: &Context<'_>,
        part: String,
        min_position: Option<KeptPlace>,
    ) -> Result<Option<PartObject>> {
        let context = query_context(ctx)?;
        let part = domain::PartNumber::new(&part).map_err(QueryError::from)?;
        await_all(context, &[ProjectionName::Parts], min_position).await?;
        Ok(parts::by_number(&context.pool, part.as_str(), current_session(ctx)?.reach()).await?)
    }

    /// Parts, by number.
    #[graphql(
        guard = "Allowed(Scope::PartsRead)",
        complexity = "page_cost(first, last, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn parts(
        &self,
        ctx: &Context<'_>,
        filter: Option<PartFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<KeptPlace>,
    ) -> Result<ObjectPage<PartObject>> {
        let filter = filter.unwrap_or_default();
        let page = PageArguments { first, after, last, before };
        read_connection(ctx, page, &filter, &[ProjectionName::Parts], min_position).await
    }

    /// Every recipe that a part ever had, the latest first; `first` and `last` are 1 to 50.
    #[graphql(
        guard = "Allowed(Scope::PartsRead)",
        complexity = "page_cost(first, last, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn recipe_revisions(
        &self,
        ctx: &Context<'_>,
        part: String,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<KeptPlace>,
    ) -> Result<ObjectPage<RecipeRevisionObject>> {
        let filter = OfPart::parse(&part)?;
        let page = PageArguments { first, after, last, before };
        read_connection(ctx, page, &filter, &[ProjectionName::Parts], min_position).await
    }

    /// Every golden sample that a part ever had, the latest first.
    #[graphql(
        guard = "Allowed(Scope::PartsRead)",
        complexity = "page_cost(first, last, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn golden_samples(
        &self,
        ctx: &Context<'_>,
        part: String,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<KeptPlace>,
    ) -> Result<ObjectPage<GoldenSampleObject>> {
        let filter = OfPart::parse(&part)?;
        let page = PageArguments { first, after, last, before };
        read_connection(ctx, page, &filter, &[ProjectionName::Parts], min_position).await
    }

    /// Yield by the hour, of the last day when no times are given, at most 92 days; or by the day (UTC), of the last 30
    /// days, at most 1,098. At most 250,000 sums of a part at a station, or of a lot where one is named, are added up.
    #[graphql(
        guard = "Allowed(Scope::ReportsRead)",
        complexity = "series_cost((from, to), by, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn yield_series(
        &self,
        ctx: &Context<'_>,
        filter: Option<YieldFilter>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
        #[graphql(default_with = "YieldInterval::Hour")] by: YieldInterval,
        min_position: Option<KeptPlace>,
    ) -> Result<YieldSeries> {
        let (filter, context) = (filter.unwrap_or_default(), query_context(ctx)?);
        filter.check_arguments()?;
        let stretch = resolve_stretch((from, to), by, Utc::now())?;
        await_all(context, &[ProjectionName::Yield], min_position).await?;
        let session = current_session(ctx)?;
        let _turn = context.wait_for_broad_turn(session).await?;
        let filter = Within::rows(Placed::AtStation, &filter, session.reach());
        let sums = yields::read_sums(&context.pool, &filter, by, stretch).await?;
        if let Some(reads) = requests_for_rows(sums.iter().map(|sum| sum.rows).sum()) {
            session.count_reads(&context.rate, reads)?;
        }
        Ok(YieldSeries::from_sums(stretch, sums))
    }

    /// Findings by class, the most frequent first; those graded DEFECT unless the filter names a
    /// grade. At most 250,000 sums by the day and hour are added up, or findings, where a lot, an inspection or a
    /// confidence is named.
    #[graphql(
        guard = "Allowed(Scope::InspectionsRead)",
        complexity = "pareto_cost(child_complexity)"
    )]
    async fn defect_pareto(
        &self,
        ctx: &Context<'_>,
        filter: Option<DefectFilter>,
        min_position: Option<KeptPlace>,
    ) -> Result<DefectPareto> {
        let (mut filter, context) = (filter.unwrap_or_default(), query_context(ctx)?);
        filter.check_arguments()?;
        filter.grade.get_or_insert(GradeWord::Defect);
        await_all(context, &[ProjectionName::Defects], min_position).await?;
        let session = current_session(ctx)?;
        let _turn = context.wait_for_broad_turn(session).await?;
        let filter = Within::list::<DefectObject>(&filter, session.reach());
        Ok(DefectPareto::from_counts(defect_sums::count_by_class(&context.pool, &filter).await?))
    }

    /// The report of this id.
    #[graphql(guard = "Allowed(Scope::ReportsRead)", complexity = "single_cost(child_complexity)")]
    async fn report(
        &self,
        ctx: &Context<'_>,
        id: ID,
        min_position: Option<KeptPlace>,
    ) -> Result<Option<ReportObject>> {
        let (id, context) = (parse_id("id", &id)?, query_context(ctx)?);
        await_all(context, &[ProjectionName::Reports], min_position).await?;
        Ok(reports::by_ids(&context.pool, &[id], current_session(ctx)?.reach()).await?.pop())
    }

    /// Reports, newest first.
    #[graphql(
        guard = "Allowed(Scope::ReportsRead)",
        complexity = "page_cost(first, last, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn reports(
        &self,
        ctx: &Context<'_>,
        filter: Option<ReportFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<KeptPlace>,
    ) -> Result<ObjectPage<ReportObject>> {
        let filter = filter.unwrap_or_default();
        filter.check_arguments()?;
        let page = PageArguments { first, after, last, before };
        read_connection(ctx, page, &filter, &[ProjectionName::Reports], min_position).await
    }

    /// Who did what, when, from where, with which token, to what, and why: every event, the oldest first; `first` and
    /// `last` are 1 to 100. What is of no part or station is for whoever is not limited to any.
    #[graphql(
        guard = "Allowed(Scope::AuditRead)",
        complexity = "page_cost(first, last, child_complexity)"
    )]
    #[allow(clippy::too_many_arguments, reason = "they are GraphQL arguments")]
    async fn audit_trail(
        &self,
        ctx: &Context<'_>,
        filter: Option<AuditTrailFilter>,
        first: Option<i32>,
        after: Option<String>,
        last: Option<i32>,
        before: Option<String>,
        min_position: Option<KeptPlace>,
    ) -> Result<ObjectPage<AuditEntryObject>> {
        let (filter, models) = (filter.unwrap_or_default(), [ProjectionName::AuditTrail]);
        filter.check_arguments()?;
        let page = PageArguments { first, after, last, before };
        if filter.subject.is_some() {
            let entries = read_connection_of::<SubjectEntry, _>;
            return entries(ctx, page, &filter, &models, min_position).await;
        }
        read_connection(ctx, page, &filter, &models, min_position).await
    }

    /// How far each read model has come, and what it had to leave out.
    #[graphql(
        guard = "Allowed(Scope::ProjectionsRead).and(Everywhere)",
        complexity = "projections_cost(child_complexity)"
    )]
    async fn projections(&self, ctx: &Context<'_>) -> Result<Vec<GenerationObject>> {
        let context = query_context(ctx)?;
        let mut found = projections::read_generations(&context.pool).await?;
        projections::add_parked_streams(&context.pool, &mut found).await?;
        let positions: Vec<Position> = found.iter().map(|row| row.position.into()).collect();
        let (head, lags) = context.read_lags(&positions).await?;
        for (projection, lag_seconds) in found.iter_mut().zip(lags) {
            projection.head = LogPosition(head.0);
            projection.lag_events = (head.0 - projection.position.0).max(0);
            projection.lag_seconds = lag_seconds;
        }
        Ok(found)
    }

    /// What was decided about the parked streams of a read model, the latest first; `first` is 1 to 200.
    #[graphql(
        guard = "Allowed(Scope::ProjectionsRead).and(Everywhere)",
        complexity = "usize::try_from(first).unwrap_or_default() * child_complexity"
    )]
    async fn projection_repairs(
        &self,
        ctx: &Context<'_>,
        projection: String,
        #[graphql(default = 50)] first: i32,
    ) -> Result<Vec<RepairObject>> {
        let projection: ProjectionName = projection.parse().map_err(QueryError::from)?;
        let limit = usize::try_from(first).ok().filter(|first| (1..=REPAIRS_MAX).contains(first));
        let limit = limit.ok_or_else(|| QueryError::invalid("first", "must be 1 to 200"))?;
        let log = query_context(ctx)?.tail.log();
        let repairs = list_repairs(&**log, projection.as_str(), limit).await;
        Ok(repairs.map_err(QueryError::from)?.into_iter().map(RepairObject::from).collect())
    }
}
