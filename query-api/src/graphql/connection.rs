//! Pages as Relay's connections: what every list of the queries does.

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::{Context, ID, Lookahead, OutputType, Result, SimpleObject};
use domain::ProjectionName;
use uuid::Uuid;

use super::{current_session, query_context};
use crate::error::QueryError;
use crate::paging::{
    Filter, Listed, PageArguments, Slice, Within, cursor_of, parse_page, read_page,
};
use crate::query_context::QueryContext;
use crate::read_model::KeptPlace;

/// What a page says about itself beyond Relay.
#[derive(Debug, SimpleObject)]
pub(super) struct Reflects {
    /// The page reflects the log at least up to here.
    position: KeptPlace,
    /// How many rows the list has; null when they are more than 10,000. It is counted only when it is asked for, and
    /// counts as a request more, or as 20 where the filter has several broad conditions.
    total_count: Option<i32>,
}

pub(super) type ObjectPage<R> = Connection<String, R, Reflects, EmptyFields>;

/// The read models that an inspection's selected fields come from.
pub(super) fn models_behind_fields(inspection: &Lookahead<'_>) -> Vec<ProjectionName> {
    let mut models = vec![ProjectionName::InspectionOverview];
    for (field, model) in
        [("defects", ProjectionName::Defects), ("report", ProjectionName::Reports)]
    {
        if inspection.field(field).exists() {
            models.push(model);
        }
    }
    models
}

/// Waits until all `models` have reached `wanted`; the place is that of the first.
pub(super) async fn await_all(
    context: &QueryContext,
    models: &[ProjectionName],
    wanted: Option<KeptPlace>,
) -> Result<KeptPlace, QueryError> {
    let wanted = wanted.map(|KeptPlace(place)| place);
    Ok(KeptPlace(context.checkpoints.all_reached(models, wanted).await?))
}

/// A page of a list, as far as it is within the caller's reach. The arguments are checked before any SQL runs.
pub(super) async fn read_connection<R: Listed + OutputType>(
    ctx: &Context<'_>,
    arguments: PageArguments,
    filter: &impl Filter,
    models: &[ProjectionName],
    wanted: Option<KeptPlace>,
) -> Result<ObjectPage<R>> {
    read_connection_of::<R, R>(ctx, arguments, filter, models, wanted).await
}

/// The same of a list whose rows are shown as another object.
pub(super) async fn read_connection_of<R: Listed + Into<O>, O: OutputType>(
    ctx: &Context<'_>,
    arguments: PageArguments,
    filter: &impl Filter,
    models: &[ProjectionName],
    wanted: Option<KeptPlace>,
) -> Result<ObjectPage<O>> {
    let context = query_context(ctx)?;
    let session = current_session(ctx)?;
    let filter = &Within::list::<R>(filter, session.reach());
    let asked = parse_page::<R>(arguments, filter, &context.cursor_key)?;
    session.count_page(&context.rate, filter)?;
    let position = await_all(context, models, wanted).await?;
    let turn = context.wait_for_page_turn(session, filter).await?;
    let slice: Slice<R> = read_page(&context.pool, asked, filter).await?;
    drop(turn);
    let total_count = match ctx.look_ahead().field("totalCount").exists() {
        true => context.count_list::<R>(session, filter).await?,
        false => None,
    };
    let reflects = Reflects { position, total_count };
    let mut page = Connection::with_additional_fields(slice.has_previous, slice.has_next, reflects);
    page.edges.extend(slice.rows.into_iter().map(|row| {
        let cursor = cursor_of(&row, filter, &context.cursor_key);
        Edge::new(cursor, row.into())
    }));
    Ok(page)
}

pub(super) fn parse_id(argument: &'static str, id: &ID) -> Result<Uuid, QueryError> {
    Uuid::parse_str(id).map_err(|_| QueryError::invalid(argument, "must be a UUID"))
}
