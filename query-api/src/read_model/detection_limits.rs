//! What a comparison finds and what it may not find, as it is shown beside pictures and golden samples.

use async_graphql::SimpleObject;
use domain::{ComparisonMethod, DetectionLimit, PixelScale};
use serde::Serialize;
use utoipa::ToSchema;

use super::words::ComparisonMethodWord;
use crate::error::QueryError;

/// What a comparison finds, and what it may not find, in words.
#[derive(Debug, Clone, SimpleObject, Serialize, ToSchema)]
#[graphql(name = "DetectionLimit")]
#[schema(as = DetectionLimit)]
pub(crate) struct DetectionLimitObject {
    /// How it is compared.
    method: ComparisonMethodWord,
    /// What it finds.
    finds: String,
    /// What it may not find.
    may_miss: String,
}

/// The limit of comparing by this method a picture of `scale` pixels per millimetre.
pub(crate) fn detection_limit(
    method: ComparisonMethod,
    scale: Option<f32>,
) -> Result<DetectionLimitObject, QueryError> {
    let scale = scale.and_then(|scale| PixelScale::new(scale).ok());
    let DetectionLimit { finds, may_miss } = method.detection_limit(scale);
    let method = method.as_str().parse().map_err(|error: String| QueryError::internal(error))?;
    Ok(DetectionLimitObject { method, finds, may_miss })
}

/// The limits of every method: which one it is, the pictures decide.
pub(crate) fn detection_limits(
    scale: Option<f32>,
) -> Result<Vec<DetectionLimitObject>, QueryError> {
    ComparisonMethod::ALL.into_iter().map(|method| detection_limit(method, scale)).collect()
}
