//! A part's recipe: how it looks on the wire, and the command that puts a new revision in force.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Confidence, InspectedArea, Invalid, Part, PartCommand, PixelBox, Recipe, ViewName};
use platform::execute::Executed;
use platform::http::{FieldError, JsonBody, Problem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{PartBody, part_location};
use crate::command::{Mutation, Plan, WriteParts, dispatch_command, make_answer};
use crate::descriptions::{MutationHeaders, MutationProblems};
use crate::problems::field_error;
use crate::reason::parse_reason;
use crate::{CommandApi, parts};

/// The commands on recipes.
pub(super) fn routes() -> OpenApiRouter<CommandApi> {
    OpenApiRouter::default().routes(routes!(revise_recipe))
}

/// What a part is inspected and judged by.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes domain::Recipe, which knows no OpenAPI")]
pub(super) struct RecipeBody {
    /// 0 for the factory recipe of an unregistered part.
    #[schema(example = 1)]
    revision: u32,
    /// Confidence from which a finding is a defect.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    fail_at: f32,
    /// Confidence from which a finding is doubtful.
    #[schema(minimum = 0, maximum = 1, example = 0.25)]
    review_at: f32,
    /// What is inspected.
    area: AreaBody,
    /// By how many pixels a picture may bend against its golden sample.
    #[schema(minimum = 0, maximum = 10, example = 10.0)]
    bend_max_px: f32,
    /// The views that a board must show, each once; empty when they are not named.
    #[schema(max_items = 64, example = json!(["top", "bottom"]))]
    views: Vec<String>,
}

/// Which part of a picture is inspected. Boxes are in pixels of the golden sample.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = InspectedArea)]
#[serde(deny_unknown_fields)]
struct AreaBody {
    /// What is inspected; null for the whole picture.
    // With a reader of its own serde does not take what is left out for null.
    #[schema(required)]
    #[serde(deserialize_with = "Option::deserialize")]
    region_of_interest: Option<BoxBody>,
    /// What of it is not inspected, on purpose.
    #[schema(max_items = 64)]
    keep_outs: Vec<BoxBody>,
    /// Where differences that no finding explains do not count, such as silk screen and stickers.
    #[schema(max_items = 64)]
    tolerated: Vec<BoxBody>,
}

impl AreaBody {
    fn parse(&self) -> Result<InspectedArea, Invalid> {
        let boxes = |all: &[BoxBody]| all.iter().map(BoxBody::to_domain).collect();
        let region_of_interest = self.region_of_interest.as_ref().map(BoxBody::to_domain);
        InspectedArea::new(region_of_interest, boxes(&self.keep_outs), boxes(&self.tolerated))
    }
}

/// A box in pixels, origin at the top left.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(as = AreaBox)]
#[serde(deny_unknown_fields)]
struct BoxBody {
    /// Left edge.
    #[schema(example = 40)]
    x: u32,
    /// Top edge.
    #[schema(example = 60)]
    y: u32,
    /// Width.
    #[schema(minimum = 1, example = 120)]
    width: u32,
    /// Height.
    #[schema(minimum = 1, example = 80)]
    height: u32,
}

impl BoxBody {
    const fn to_domain(&self) -> PixelBox {
        PixelBox { x: self.x, y: self.y, width: self.width, height: self.height }
    }
}

/// The whole new recipe, and why. Nothing may be left out, so that nothing becomes what the factory set
/// without being said.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReviseRecipe {
    /// Confidence from which a finding is a defect.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    fail_at: f32,
    /// Confidence from which a finding is doubtful; not above `fail_at`, nor above 0.5: what is likelier a
    /// defect than not is never nothing.
    #[schema(minimum = 0, maximum = 0.5, example = 0.25)]
    review_at: f32,
    /// What is inspected.
    area: AreaBody,
    /// By how many pixels a picture may bend against its golden sample; more is *review*.
    #[schema(minimum = 0, maximum = 10, example = 10.0)]
    bend_max_px: f32,
    /// The views that a board must show, each once: 1 to 32 of a–z, 0–9 and the hyphen. Empty when they
    /// are not named.
    #[schema(max_items = 64, example = json!(["top", "bottom"]))]
    views: Vec<String>,
    /// 1 to 500 printable characters; kept with the revision for ever.
    #[schema(min_length = 1, max_length = 500, example = "the connector is fitted by hand")]
    reason: String,
}

impl ReviseRecipe {
    /// The recipe, without a number yet, and the reason; or everything that is wrong.
    fn parse(&self) -> Result<(Recipe, String), Problem> {
        let threshold =
            |field, value| Confidence::new(value).map_err(|invalid| Invalid { field, ..invalid });
        let mut wrong = Vec::new();
        let mut note = |error: FieldError| wrong.push(error);
        let fail_at = kept(threshold("fail_at", self.fail_at), &mut note);
        let review_at = kept(threshold("review_at", self.review_at), &mut note);
        let recipe = fail_at.zip(review_at);
        let recipe =
            recipe.and_then(|(fail, review)| kept(Recipe::new(0, fail, review), &mut note));
        let area = kept(self.area.parse(), &mut note);
        let bend = Recipe::factory(0).with_bend_max_px(self.bend_max_px);
        let bend = kept(bend.map(|recipe| recipe.bend_max_px), &mut note);
        let views = self.parse_views(&mut note);
        let reason = kept(parse_reason(&self.reason), &mut note);
        let (Some(recipe), Some(area), Some(bend), Some(views), Some(reason)) =
            (recipe, area, bend, views, reason)
        else {
            return Err(Problem::validation(wrong));
        };
        let recipe = recipe.with_area(area).with_bend_max_px(bend);
        let recipe = recipe.and_then(|recipe| recipe.with_views(views));
        Ok((recipe.map_err(|invalid| Problem::validation(vec![field_error(invalid)]))?, reason))
    }

    fn parse_views(&self, note: &mut impl FnMut(FieldError)) -> Option<Vec<ViewName>> {
        let mut views = Vec::with_capacity(self.views.len().min(Recipe::VIEWS_MAX));
        let mut complete = true;
        for (index, name) in self.views.iter().enumerate() {
            match ViewName::new(name) {
                Ok(view) => views.push(view),
                Err(invalid) => {
                    complete = false;
                    let field = format!("views[{index}]");
                    note(FieldError { field, message: invalid.must.to_owned() });
                }
            }
        }
        let recipe = complete.then(|| Recipe::factory(0).with_views(views))?;
        kept(recipe.map(|recipe| recipe.views), note)
    }
}

/// The value, or `None` after what is wrong with it was noted.
fn kept<T>(parsed: Result<T, Invalid>, note: &mut impl FnMut(FieldError)) -> Option<T> {
    parsed.map_err(|invalid| note(field_error(invalid))).ok()
}

/// Put a new recipe in force
///
/// The body is the whole recipe. It becomes the part's next revision, which never changes; inspections
/// that are open keep the one that they were created with. The recipe in force again changes nothing.
#[utoipa::path(
    post, path = "/v1/parts/{part}/recipe-revisions", tag = "parts", operation_id = "reviseRecipe",
    params(
        ("part" = String, Path, description = "The part number", example = "PCB-4711"),
        MutationHeaders,
    ),
    request_body = ReviseRecipe,
    security(("oauth2" = ["parts:write"]), ("bearer" = [])),
    responses(
        (status = 201, description = "In force", body = PartBody, headers(
            ("Location" = String, description = "The path of the part"),
        )),
        MutationProblems,
    ),
)]
#[tracing::instrument(skip_all)]
async fn revise_recipe(
    State(api): State<CommandApi>,
    Path(part): Path<String>,
    mutation: Mutation<WriteParts>,
    JsonBody(body): JsonBody<ReviseRecipe>,
) -> Result<Response, Problem> {
    let part = parts::parse_part_number(&part)?;
    let (recipe, reason) = body.parse()?;
    let request = mutation.with_body(&body)?;
    dispatch_command(&api, request, move |_| async move {
        let number = part.clone();
        Ok(Plan::<Part> {
            aggregate_id: part.to_string(),
            is_new: false,
            command: PartCommand::ReviseRecipe { recipe, reason },
            answer: Arc::new(move |done: &Executed<Part>| {
                let body = PartBody::from_state(number.clone(), &done.state, done.version);
                make_answer(StatusCode::CREATED, done, Some(part_location(&number)), body)
            }),
        })
    })
    .await
}
