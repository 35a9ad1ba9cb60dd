//! The read model as this service sees it: rows of the views in schema `read`, and the statements
//! that read them. The contract is `docs/read-models.md`.
//!
//! Invariant: nothing else in this crate holds SQL. Absent: writing; projectors do that.

pub(crate) mod artifacts;
pub(crate) mod audit_trail;
pub(crate) mod boxes;
pub(crate) mod conditions;
pub(crate) mod defect_sums;
pub(crate) mod defects;
pub(crate) mod detection_limits;
pub(crate) mod identities;
pub(crate) mod inspections;
pub(crate) mod parts;
pub(crate) mod past_inspections;
pub(crate) mod projections;
pub(crate) mod reports;
pub(crate) mod summed;
pub(crate) mod words;
pub(crate) mod yields;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};
use platform::event_log::{InvalidLogPlace, LogPlace, Position};
use serde::{Deserialize, Serialize};

/// A place in the event log, as the views and the APIs give it.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    sqlx::Type,
    Serialize,
    Deserialize,
)]
#[sqlx(transparent)]
#[serde(transparent)]
pub(crate) struct LogPosition(pub(crate) i64);

impl From<LogPosition> for Position {
    fn from(position: LogPosition) -> Self {
        Self(position.0)
    }
}

/// A place in the event log: a whole number from 0. It is answered as a string, because it may
/// exceed what JavaScript's numbers hold; a number is accepted as well.
#[Scalar(name = "Position")]
impl ScalarType for LogPosition {
    fn parse(value: Value) -> InputValueResult<Self> {
        let number = match &value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number
            .filter(|position| *position >= 0)
            .map(Self)
            .ok_or_else(|| InputValueError::custom("must be a whole number from 0"))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A place in one history of the event log, as clients keep it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptPlace(pub(crate) LogPlace);

/// A place in the event log for clients to keep, as `X-Log-Position` gives it: a position, and the history of the
/// log that it is of. When the database was restored without what came before a place, whoever gives it is
/// told so with POSITIONS_REISSUED. `0` is the beginning.
#[Scalar(name = "LogPlace")]
impl ScalarType for KeptPlace {
    fn parse(value: Value) -> InputValueResult<Self> {
        let place = match &value {
            Value::Number(number) => number.to_string().parse(),
            Value::String(text) => text.parse(),
            _ => Err(InvalidLogPlace),
        };
        place.map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}

/// A single precision number without the digits that double precision would make up: the shortest that
/// reads back as the same.
pub(crate) fn round_to_single(value: f32) -> f64 {
    value.to_string().parse().unwrap_or_else(|_| f64::from(value))
}

/// `select`, of rows that follow as JSON instead of those of `table`.
fn from_rows(select: &str, table: &str) -> String {
    let select = select.trim_end_matches(&format!("read.{table}"));
    format!("{select}json_populate_recordset(NULL::read.{table}, ")
}
