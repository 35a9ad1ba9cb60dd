//! Boxes of pictures as they are shown: in pixels, and in millimetres where the picture's scale is known.

use async_graphql::SimpleObject;
use domain::{MillimetreBox, PixelBox, PixelScale};
use serde::Serialize;
use utoipa::ToSchema;

/// A box in pixels of the picture, origin at the top left.
#[derive(Debug, Clone, SimpleObject, Serialize, ToSchema)]
#[graphql(name = "PixelBox")]
#[schema(as = PixelBox)]
pub(crate) struct PixelBoxObject {
    /// Left edge.
    pub(crate) x: i32,
    /// Top edge.
    pub(crate) y: i32,
    /// Width.
    pub(crate) width: i32,
    /// Height.
    pub(crate) height: i32,
}

impl PixelBoxObject {
    pub(crate) fn from_box(&PixelBox { x, y, width, height }: &PixelBox) -> Self {
        // GraphQL has no larger integers, and no picture that many pixels.
        let [x, y, width, height] =
            [x, y, width, height].map(|side| i32::try_from(side).unwrap_or(i32::MAX));
        Self { x, y, width, height }
    }
}

/// A box in millimetres from the upper left corner of the picture, to a micrometre.
#[derive(Debug, Clone, SimpleObject, Serialize, ToSchema)]
#[graphql(name = "MillimetreBox")]
#[schema(as = MillimetreBox)]
pub(crate) struct MillimetreBoxObject {
    /// Left edge.
    x: f64,
    /// Top edge.
    y: f64,
    /// Width.
    width: f64,
    /// Height.
    height: f64,
}

impl From<MillimetreBox> for MillimetreBoxObject {
    fn from(MillimetreBox { x, y, width, height }: MillimetreBox) -> Self {
        Self { x, y, width, height }
    }
}

/// A box of a picture of `scale` pixels per millimetre; `None` when nobody stated that.
pub(crate) fn measure(scale: Option<f32>, bounds: PixelBox) -> Option<MillimetreBox> {
    let scale = scale.and_then(|scale| PixelScale::new(scale).ok());
    scale.map(|scale| scale.measure(bounds))
}
