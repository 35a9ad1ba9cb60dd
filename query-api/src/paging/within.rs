//! A list's filter within the reach of who asks: what both say about one column is one condition.

use domain::Reach;
use serde::{Serialize, Serializer};
use sqlx::{Postgres, QueryBuilder};

use super::{Filter, Listed, TimeRange};
use crate::visibility::{Placed, WantedColumn, limits_of};

/// The column of lots, which are small.
const LOT: &str = "lot";

/// `filter`, and nothing outside a reach. Its JSON is part of every cursor, so that one of another reach is no
/// cursor of this list.
pub(crate) struct Within<'a, F> {
    filter: &'a F,
    reach: &'a Reach,
    /// What columns must be; `None` when nothing within the reach can be what the filter asks for.
    wanted: Option<Vec<WantedColumn>>,
}

impl<'a, F: Filter> Within<'a, F> {
    /// The rows of the list of `R` that pass `filter`, within `reach`.
    pub(crate) fn list<R: Listed>(filter: &'a F, reach: &'a Reach) -> Self {
        Self::rows(R::PLACED, filter, reach)
    }

    /// The rows of `placed` that pass `filter`, within `reach`.
    pub(crate) fn rows(placed: Placed, filter: &'a F, reach: &'a Reach) -> Self {
        let mut wanted = narrow(filter.wanted(), limits_of(placed, reach));
        if let (Some(wanted), Some((column, text))) = (&mut wanted, filter.or_else())
            && let Some(wanted) = wanted.iter_mut().find(|wanted| wanted.column == column)
        {
            wanted.texts.push(text.to_owned());
        }
        Self { filter, reach, wanted }
    }

    /// Appends ` AND …` for everything that is restricted, but for [`Self::stretch`].
    pub(crate) fn push_conditions(&self, sql: &mut QueryBuilder<'_, Postgres>) {
        match &self.wanted {
            Some(wanted) => wanted.iter().for_each(|column| column.push_condition(sql)),
            None => {
                sql.push(" AND false");
            }
        }
        self.filter.push_others(sql);
    }

    /// The column by whose index the list is read, and what else columns must be: the lot, or the only one, where
    /// nothing but these and the stretch restricts.
    pub(super) fn leading(&self) -> Option<(&WantedColumn, Vec<&WantedColumn>)> {
        let wanted = self.wanted.as_ref().filter(|_| !self.filter.has_others())?;
        let leading = match wanted.as_slice() {
            [only] => only,
            several => several.iter().find(|wanted| wanted.column == LOT)?,
        };
        let others = wanted.iter().filter(|other| other.column != leading.column).collect();
        Some((leading, others))
    }

    /// Whether a lot is asked for, or more than one.
    pub(crate) fn names_lot(&self) -> bool {
        self.wanted.iter().flatten().any(|wanted| wanted.column == LOT)
    }

    /// Whether something is asked for that is no column's equality.
    pub(crate) fn has_others(&self) -> bool {
        self.filter.has_others()
    }

    /// From when on, and before when, the first column of the key must be.
    pub(crate) fn stretch(&self) -> TimeRange {
        self.filter.stretch()
    }

    /// Whether two conditions must hold of which each may hold for most rows: an index finds the rows of
    /// one, and how many of these are passed over for the other nobody knows.
    pub(crate) fn is_combined(&self) -> bool {
        let conditions = self.wanted.as_ref().map_or(0, Vec::len);
        !self.filter.is_small() && conditions > 1
    }
}

/// What both say; `None` when a column is wanted to be what the limits do not allow.
fn narrow(
    wanted: Vec<(&'static str, String)>,
    limits: Vec<WantedColumn>,
) -> Option<Vec<WantedColumn>> {
    let one = |(column, text)| WantedColumn { column, texts: vec![text] };
    let mut all: Vec<WantedColumn> = wanted.into_iter().map(one).collect();
    for limit in limits {
        match all.iter().find(|wanted| wanted.column == limit.column) {
            Some(wanted) if wanted.texts.iter().all(|text| limit.texts.contains(text)) => {}
            Some(_) => return None,
            None => all.push(limit),
        }
    }
    Some(all)
}

impl<F: Serialize> Serialize for Within<'_, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.filter, self.reach).serialize(serializer)
    }
}
