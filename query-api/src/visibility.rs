//! Which rows a caller may see: the one place that keeps those of other stations and parts out of every answer.
//!
//! Invariant: what is outside a caller's reach reads as what does not exist. Every statement that reads rows of
//! boards or parts takes a reach, and says by [`Placed`] where they say whose they are. What is read by the
//! inspection that it belongs to, once that was found, needs no reach of its own.

use domain::{PartNumber, Reach, Station};
use sqlx::{Postgres, QueryBuilder};

/// Where a row says of which part it is, and from which station.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Placed {
    /// In its columns `part` and `station`.
    AtStation,
    /// In its column `part`; it is of no station.
    OfPart,
    /// In its inspection, whose id is in this column.
    OfInspection(&'static str),
}

/// A column, and the texts of which it must be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedColumn {
    pub(crate) column: &'static str,
    pub(crate) texts: Vec<String>,
}

/// What columns of rows at a station must be for `reach` to take them in.
fn columns_within(reach: &Reach) -> [WantedColumn; 2] {
    let parts = reach.parts().iter().map(PartNumber::to_string).collect();
    let stations = reach.stations().iter().map(Station::to_string).collect();
    [
        WantedColumn { column: "part", texts: parts },
        WantedColumn { column: "station", texts: stations },
    ]
}

/// What keeps rows of `placed` to `reach` by their own columns.
pub(crate) fn limits_of(placed: Placed, reach: &Reach) -> Vec<WantedColumn> {
    let columns = columns_within(reach).into_iter().filter(|limit| match placed {
        Placed::AtStation => true,
        Placed::OfPart => limit.column == "part",
        Placed::OfInspection(_) => false,
    });
    columns.filter(|limit| !limit.texts.is_empty()).collect()
}

/// Appends ` AND …` that keeps rows of `placed` to `reach`.
pub(crate) fn restrict_to_reach(
    sql: &mut QueryBuilder<'_, Postgres>,
    placed: Placed,
    reach: &Reach,
) {
    if let Placed::OfInspection(column) = placed {
        if !reach.is_everywhere() {
            sql.push(format!(
                " AND EXISTS (SELECT FROM read.inspections AS inspected WHERE inspected.inspection_id = {column}"
            ));
            restrict_to_reach(sql, Placed::AtStation, reach);
            sql.push(")");
        }
        return;
    }
    for limit in limits_of(placed, reach) {
        limit.push_condition(sql);
    }
}

impl WantedColumn {
    /// Appends ` AND column = text`, or that it is one of them.
    pub(crate) fn push_condition(&self, sql: &mut QueryBuilder<'_, Postgres>) {
        match self.texts.as_slice() {
            [text] => sql.push(format!(" AND {} = ", self.column)).push_bind(text.clone()),
            texts => {
                sql.push(format!(" AND {} = ANY(", self.column)).push_bind(texts.to_vec());
                sql.push(")")
            }
        };
    }
}
