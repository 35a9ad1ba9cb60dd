//! What a projection of findings has to remember of each inspection: whose board it is, by which
//! recipe it is judged, and how far its stream is applied.

use std::collections::HashMap;

use domain::{InspectionEvent, Lot, PartNumber, Recipe, Station};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::inspection_stream::{Fact, inspections, is_next};
use super::rows::{self, Row};
use crate::projection::ApplyError;

/// One inspection.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Board {
    inspection_id: Uuid,
    pub(crate) lot: Lot,
    pub(crate) part: PartNumber,
    pub(crate) station: Station,
    pub(crate) recipe: Recipe,
    /// Findings graded `defect` so far.
    pub(crate) defects: u64,
    /// Judged or voided: what comes later changes nothing.
    closed: bool,
    version: u64,
}

impl Row for Board {
    const TABLE: &'static str = "boards";
    const KEY: &'static str = "inspection_id";
    const CHANGING: &'static [&'static str] = &["defects", "closed", "version"];
}

/// The boards that a stretch of events is about.
pub(crate) struct Boards(HashMap<Uuid, Board>);

impl Boards {
    pub(crate) async fn load(
        tx: &mut PgConnection,
        facts: &[Fact<'_>],
    ) -> Result<Self, ApplyError> {
        let rows: Vec<Board> = rows::load(tx, Board::KEY, inspections(facts)).await?;
        Ok(Self(rows.into_iter().map(|board| (board.inspection_id, board)).collect()))
    }

    /// Counts the event as applied. The board, unless it was closed before or the event is applied
    /// already.
    pub(crate) fn advance(&mut self, fact: &Fact<'_>) -> Result<Option<&mut Board>, ApplyError> {
        use InspectionEvent as E;
        let known = self.0.get(&fact.inspection_id).map_or(0, |board| board.version);
        if !is_next(known, fact.recorded)? {
            return Ok(None);
        }
        if let E::InspectionCreated { lot, part, station, recipe, .. } = &fact.event {
            let board = Board {
                inspection_id: fact.inspection_id,
                lot: lot.clone(),
                part: part.clone(),
                station: station.clone(),
                recipe: recipe.clone(),
                defects: 0,
                closed: false,
                version: 0,
            };
            self.0.insert(fact.inspection_id, board);
        }
        Ok(self.0.get_mut(&fact.inspection_id).and_then(|board| {
            let was_open = !board.closed;
            board.version = fact.recorded.sequence;
            board.closed |=
                matches!(&fact.event, E::InspectionJudged { .. } | E::InspectionVoided { .. });
            was_open.then_some(board)
        }))
    }

    pub(crate) async fn store(self, tx: &mut PgConnection) -> Result<(), ApplyError> {
        let boards: Vec<Board> = self.0.into_values().collect();
        rows::store(tx, &boards).await
    }
}
