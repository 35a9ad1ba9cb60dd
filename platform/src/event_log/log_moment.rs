//! A moment of the log as people name it, a position or a time, and the position that it means.
//!
//! The log *as of* a time T is everything up to the greatest position P such that every event up to P was recorded
//! at or before T: what is before the first event that was recorded later. `recorded_at` is the clock of the log's
//! own server, drawn beside the position and not with it, so of two neighbours the later one may bear the earlier
//! time. Taking the first that is later cuts the log in one place, whatever the times behind it say: no event is in
//! it without those before it.
//!
//! That place is found without reading the log: halving finds where everything before is early enough to be sure,
//! and from there the events are looked at in turn. It is right as long as no event bears a time more than
//! [`CLOCK_DISORDER_MAX`] before that of one that stands before it. Absent: `occurred_at`, which is the clock of
//! whoever had the command.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;

use super::{EventLog, EventLogError, LogPlace, Position};

/// By how much times may contradict the order of positions: by what two appenders take between drawing a position and
/// looking at the clock, and by what the clocks of two servers of a fail-over may differ.
pub const CLOCK_DISORDER_MAX: TimeDelta = TimeDelta::seconds(60);
/// Events that are looked at in turn, one page.
const PAGE_EVENTS: usize = 1_000;
/// Positions that are not worth halving.
const FEW_POSITIONS: i64 = PAGE_EVENTS as i64;

/// A moment of the log, as somebody names it: `4711`, an `X-Log-Position`, or a time with its offset from UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogMoment {
    /// This position, in the log's present history.
    Position(Position),
    /// This position in this history of the log.
    Place(LogPlace),
    /// Everything that was recorded by then.
    Time(DateTime<Utc>),
}

/// The text is no [`LogMoment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLogMoment {
    /// A date.
    #[error(
        "is a date alone, which is another moment in every time zone: write the time and its offset from UTC, too, such \
         as 2026-01-31T23:59:59Z"
    )]
    DateAlone,
    /// A time on nobody's clock.
    #[error(
        "lacks its offset from UTC: write Z, or +01:00 (in a URL %2B01:00), behind it, such as 2026-01-31T12:00:00Z"
    )]
    NoOffset,
    /// Neither.
    #[error(
        "must be a position of the log, such as 4711, an X-Log-Position as it was answered, or a time with its offset \
         from UTC, such as 2026-01-31T12:00:00Z"
    )]
    Neither,
}

impl FromStr for LogMoment {
    type Err = InvalidLogMoment;

    fn from_str(text: &str) -> Result<Self, InvalidLogMoment> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let position = text.parse().map_err(|_| InvalidLogMoment::Neither)?;
            return Ok(Self::Position(Position(position)));
        }
        if let Ok(place) = text.parse() {
            return Ok(Self::Place(place));
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        if text.parse::<NaiveDate>().is_ok() {
            return Err(InvalidLogMoment::DateAlone);
        }
        let is_local =
            ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S%.f"]
                .iter()
                .any(|format| NaiveDateTime::parse_from_str(text, format).is_ok());
        Err(if is_local { InvalidLogMoment::NoOffset } else { InvalidLogMoment::Neither })
    }
}

impl TryFrom<String> for LogMoment {
    type Error = InvalidLogMoment;

    fn try_from(text: String) -> Result<Self, InvalidLogMoment> {
        text.parse()
    }
}

impl fmt::Display for LogMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Position(position) => write!(f, "position {position}"),
            Self::Place(place) => write!(f, "position {}", place.position),
            Self::Time(time) => f.write_str(&write_time(*time)),
        }
    }
}

/// Why a moment means no position.
#[derive(Debug, thiserror::Error)]
pub enum FindMomentError {
    /// There is nothing yet.
    #[error("the log has no event yet")]
    EmptyLog,
    /// Nothing had happened.
    #[error(
        "{moment} is before the log's first event, which is at position {first} and was recorded at {}",
        write_time(*.recorded_at)
    )]
    BeforeFirst {
        /// What was asked for.
        moment: LogMoment,
        /// The position of the first event.
        first: Position,
        /// When that was recorded.
        recorded_at: DateTime<Utc>,
    },
    /// Nobody knows yet.
    #[error("{moment} is beyond the log, which is complete up to position {head}")]
    BeyondEnd {
        /// What was asked for.
        moment: LogMoment,
        /// Up to where the log is complete.
        head: Position,
    },
    /// Nobody knows yet.
    #[error("{} has not come yet; the log is complete up to position {head}", write_time(*.time))]
    NotYet {
        /// What was asked for.
        time: DateTime<Utc>,
        /// Up to where the log is complete.
        head: Position,
    },
    /// It would take too long.
    #[error(
        "more than {events_max} events would have to be looked at to find the position that {} means: name the \
         position, which chipq audit replay --at TIME prints",
        write_time(*.time)
    )]
    TooManyEvents {
        /// What was asked for.
        time: DateTime<Utc>,
        /// How many events may be looked at.
        events_max: u64,
    },
    /// The log cannot be read, or no longer has the place.
    #[error(transparent)]
    Log(#[from] EventLogError),
}

/// The place in the log that a moment means, where the log has something: at or after its first event, and no
/// farther than it is complete. Of a time at most `events_max` events are looked at in turn.
///
/// A time of the last moments may mean a greater position when it is asked for again: what was recorded by then is
/// in the log when its transaction has ended.
///
/// # Errors
/// When it means none, in a sentence that says what there is.
pub async fn find_moment(
    log: &dyn EventLog,
    moment: LogMoment,
    events_max: u64,
) -> Result<LogPlace, FindMomentError> {
    let first = log.read_all(Position(0), 1).await?;
    let Some(event) = first.events.first() else { return Err(FindMomentError::EmptyLog) };
    let (incarnation, head) = (first.incarnation, first.head);
    let before_first = FindMomentError::BeforeFirst {
        moment,
        first: event.position,
        recorded_at: event.recorded_at,
    };
    let position = match moment {
        LogMoment::Position(position) => position,
        LogMoment::Place(place) => {
            log.check_place(place).await?;
            place.position
        }
        LogMoment::Time(time) if time < event.recorded_at => return Err(before_first),
        LogMoment::Time(time) => find_last_recorded_by(log, time, (head, events_max)).await?,
    };
    if position < event.position {
        return Err(before_first);
    }
    if position > head && position > log.head().await? {
        return Err(FindMomentError::BeyondEnd { moment, head });
    }
    Ok(LogPlace { incarnation, position })
}

/// The position of the last event before the first that was recorded after `time`. The log's first event was not.
async fn find_last_recorded_by(
    log: &dyn EventLog,
    time: DateTime<Utc>,
    (head, events_max): (Position, u64),
) -> Result<Position, FindMomentError> {
    let mut last = skip_surely_recorded_by(log, time, head).await?;
    let mut looked_at = 0;
    loop {
        let page = log.read_all(last, PAGE_EVENTS).await?;
        for event in &page.events {
            if event.recorded_at > time {
                return Ok(last);
            }
            last = event.position;
        }
        if page.events.is_empty() || page.up_to >= page.head {
            return if time > Utc::now() {
                Err(FindMomentError::NotYet { time, head: page.head })
            } else {
                Ok(last)
            };
        }
        looked_at += page.events.len() as u64;
        if looked_at >= events_max {
            return Err(FindMomentError::TooManyEvents { time, events_max });
        }
    }
}

/// A position up to which every event was surely recorded by `time`: an event's, or 0. An event that was recorded
/// earlier than that by more than times contradict the order has none before it that was recorded later.
async fn skip_surely_recorded_by(
    log: &dyn EventLog,
    time: DateTime<Utc>,
    head: Position,
) -> Result<Position, EventLogError> {
    let (mut sure, mut high) = (Position(0), head);
    let Some(surely_by) = time.checked_sub_signed(CLOCK_DISORDER_MAX) else { return Ok(sure) };
    if !log.reads_on_from_any_position() {
        return Ok(sure);
    }
    while high.0 - sure.0 > FEW_POSITIONS {
        let middle = Position(sure.0 + (high.0 - sure.0) / 2);
        // Where there is a hole, the next event stands for it.
        let page = log.read_all(middle, 1).await?;
        match page.events.first() {
            Some(event) if event.position <= high && event.recorded_at <= surely_by => {
                sure = event.position;
            }
            _ => high = middle,
        }
    }
    Ok(sure)
}

fn write_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
