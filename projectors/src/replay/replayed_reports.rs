//! The reports as of then, beside those that serve.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{ArtifactId, ProjectionName};
use platform::event_log::Position;
use platform::postgres::DatabaseConnection;
use uuid::Uuid;

use super::{Replay, ReplayError};
use crate::generation::schema;

/// When the files of pictures and golden samples were given up, of those that were.
pub type Retirements = BTreeMap<ArtifactId, DateTime<Utc>>;

/// A report as of then, and the one that serves.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ReplayedReport {
    /// Its id.
    pub report_id: Uuid,
    /// Whose it is.
    pub inspection_id: Uuid,
    /// The part.
    pub part: String,
    /// The place of the judgement.
    pub position: i64,
    /// How many events the inspection had.
    pub version: i64,
    /// Byte for byte.
    pub document: String,
    /// The same of the one that serves; `None` when none does.
    pub served: Option<String>,
}

impl Replay {
    /// The reports that were judged after a position, in order, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read_reports(
        &mut self,
        after: Position,
        limit: i64,
    ) -> Result<Vec<ReplayedReport>, ReplayError> {
        let reports = self.generation(ProjectionName::Reports.as_str())?;
        let overview = self.generation(ProjectionName::InspectionOverview.as_str())?;
        let mut tx = self.connection.begin().await?;
        let serving = find_serving(&mut tx, ProjectionName::Reports).await?;
        let sql = format!(
            "SELECT r.report_id, r.inspection_id, r.part, r.position, i.version,
                    r.document::text AS document, s.document::text AS served
             FROM {reports}.reports r
             JOIN {overview}.inspections i USING (inspection_id)
             LEFT JOIN {serving}.reports s ON s.report_id = r.report_id
             WHERE r.position > $1 ORDER BY r.position LIMIT $2"
        );
        let read = sqlx::query_as(&sql).bind(after.0).bind(limit).fetch_all(&mut *tx).await?;
        tx.commit().await?;
        Ok(read)
    }

    /// Reports that serve, were judged by then, and follow from no event; at most `limit`. With `inspection`, of that
    /// one alone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_unfounded_reports(
        &mut self,
        inspection: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Uuid>, ReplayError> {
        let reports = self.generation(ProjectionName::Reports.as_str())?;
        let mut tx = self.connection.begin().await?;
        let serving = find_serving(&mut tx, ProjectionName::Reports).await?;
        let sql = format!(
            "SELECT s.report_id FROM {serving}.reports s
             WHERE s.position <= $1 AND ($2 IS NULL OR s.inspection_id = $2)
               AND NOT EXISTS (SELECT FROM {reports}.reports r WHERE r.report_id = s.report_id)
             ORDER BY s.position LIMIT $3"
        );
        let found = sqlx::query_scalar(&sql)
            .bind(self.up_to.position.0)
            .bind(inspection)
            .bind(limit)
            .fetch_all(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(found)
    }

    /// Which of these pictures and golden samples had been retired then, and which are now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_retirements(
        &mut self,
        ids: &[ArtifactId],
    ) -> Result<(Retirements, Retirements), ReplayError> {
        let overview = self.generation(ProjectionName::InspectionOverview.as_str())?;
        let parts = self.generation(ProjectionName::Parts.as_str())?;
        let mut tx = self.connection.begin().await?;
        let overview_now = find_serving(&mut tx, ProjectionName::InspectionOverview).await?;
        let parts_now = find_serving(&mut tx, ProjectionName::Parts).await?;
        let then = read_retirements(&mut tx, (&overview, &parts), ids).await?;
        let now = read_retirements(&mut tx, (&overview_now, &parts_now), ids).await?;
        tx.commit().await?;
        Ok((then, now))
    }
}

/// The schema of the generation that serves.
async fn find_serving(
    tx: &mut DatabaseConnection,
    projection: ProjectionName,
) -> Result<String, ReplayError> {
    let name = projection.as_str();
    let number: Option<i32> = sqlx::query_scalar(
        "SELECT generation FROM public.projection_checkpoints
         WHERE projection = $1 AND status = 'serving'",
    )
    .bind(name)
    .fetch_optional(tx)
    .await?;
    number.map(|number| schema(name, number)).ok_or(ReplayError::NothingServes(name))
}

async fn read_retirements(
    tx: &mut DatabaseConnection,
    (overview, parts): (&str, &str),
    ids: &[ArtifactId],
) -> Result<Retirements, sqlx::Error> {
    let sql = format!(
        "SELECT artifact_id, retired_at FROM {overview}.artifacts
         WHERE artifact_id = ANY($1) AND retired_at IS NOT NULL
         UNION ALL SELECT artifact_id, retired_at FROM {parts}.golden_samples
         WHERE artifact_id = ANY($1) AND retired_at IS NOT NULL"
    );
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let found: Vec<(Uuid, DateTime<Utc>)> = sqlx::query_as(&sql).bind(ids).fetch_all(tx).await?;
    Ok(found.into_iter().map(|(id, at)| (ArtifactId(id), at)).collect())
}
