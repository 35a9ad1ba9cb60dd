//! The fields of parts that are shaped for GraphQL: recipes and golden samples.

use async_graphql::{ComplexObject, ID, Result, SimpleObject};
use domain::{InspectedArea, PixelBox, Recipe};

use super::node::id_of_part;
use crate::read_model::artifacts::picture_url;
use crate::read_model::boxes::PixelBoxObject;
use crate::read_model::detection_limits::{DetectionLimitObject, detection_limits};
use crate::read_model::parts::{GoldenSampleObject, PartObject, RecipeRevisionObject};
use crate::read_model::round_to_single;

#[ComplexObject]
impl PartObject {
    /// Its id: opaque, and of no use in REST.
    pub(super) async fn id(&self) -> ID {
        id_of_part(&self.part)
    }

    /// The recipe in force.
    async fn recipe(&self) -> RecipeObject {
        RecipeObject::from_recipe(&self.recipe)
    }
}

#[ComplexObject]
impl RecipeRevisionObject {
    /// The whole recipe.
    async fn recipe(&self) -> RecipeObject {
        RecipeObject::from_recipe(&self.recipe)
    }
}

/// What pictures are inspected and judged by.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "Recipe")]
pub(super) struct RecipeObject {
    /// From 1; 0 stands for the factory recipe of an unregistered part.
    revision: u32,
    /// Confidence from which a finding is a defect.
    fail_at: f64,
    /// Confidence from which a finding is doubtful.
    review_at: f64,
    /// What is inspected, in pixels of the golden sample.
    area: AreaObject,
    /// By how many pixels a picture may bend against its golden sample.
    bend_max_px: f64,
    /// The views that a board must show, each once; empty when they are not named.
    views: Vec<String>,
}

impl RecipeObject {
    pub(super) fn from_recipe(recipe: &Recipe) -> Self {
        Self {
            revision: recipe.revision,
            fail_at: round_to_single(recipe.fail_at.get()),
            review_at: round_to_single(recipe.review_at.get()),
            area: AreaObject::from_area(&recipe.area),
            bend_max_px: round_to_single(recipe.bend_max_px),
            views: recipe.views.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Which part of a picture is inspected, in pixels of the golden sample.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(name = "InspectedArea")]
struct AreaObject {
    /// What is inspected; null is the whole picture.
    region_of_interest: Option<PixelBoxObject>,
    /// What of it is not inspected, on purpose.
    #[graphql(complexity = "4 * child_complexity")]
    keep_outs: Vec<PixelBoxObject>,
    /// Where differences that no finding explains do not count.
    #[graphql(complexity = "4 * child_complexity")]
    tolerated: Vec<PixelBoxObject>,
}

impl AreaObject {
    fn from_area(area: &InspectedArea) -> Self {
        let boxes = |all: &[PixelBox]| all.iter().map(PixelBoxObject::from_box).collect();
        Self {
            region_of_interest: area.region_of_interest().as_ref().map(PixelBoxObject::from_box),
            keep_outs: boxes(area.keep_outs()),
            tolerated: boxes(area.tolerated()),
        }
    }
}

#[ComplexObject]
impl GoldenSampleObject {
    /// The picture's id.
    pub(super) async fn id(&self) -> ID {
        self.artifact_id.into()
    }

    /// The picture's id.
    async fn artifact_id(&self) -> ID {
        self.artifact_id.into()
    }

    /// Its scale, in pixels of the picture per millimetre of the board; null when nobody stated it.
    async fn pixels_per_millimetre(&self) -> Option<f64> {
        self.pixels_per_millimetre.map(round_to_single)
    }

    /// What comparisons with it find and may not find, by method: the pictures decide which one it is.
    #[graphql(complexity = "2 * child_complexity")]
    async fn detection_limits(&self) -> Result<Vec<DetectionLimitObject>> {
        Ok(detection_limits(self.pixels_per_millimetre)?)
    }

    /// Where the file is served, with the same token.
    async fn url(&self) -> String {
        picture_url(self.artifact_id)
    }
}
