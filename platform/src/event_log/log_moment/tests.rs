//! Moments as people write them, and the positions that they mean in logs with holes and disordered times.

use std::sync::Arc;

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sqlx::Executor as _;

use super::*;
use crate::event_log::Incarnation;
use crate::event_log::postgres::PostgresEventLog;
use crate::test_support::{CountedLog, TestDatabase, fresh_database};

fn parse(text: &str) -> Result<LogMoment, InvalidLogMoment> {
    text.parse()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn a_moment_is_a_position_a_place_or_a_time_with_its_offset_and_nothing_else() {
    assert_eq!(parse("4711"), Ok(LogMoment::Position(Position(4711))));
    let place = LogPlace { incarnation: Incarnation::default(), position: Position(7) };
    assert_eq!(parse(&place.to_string()), Ok(LogMoment::Place(place)));
    let noon = LogMoment::Time(time("2026-01-31T12:00:00Z"));
    for text in ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00.000Z"] {
        assert_eq!(parse(text), Ok(noon), "{text}");
    }
    assert_eq!(parse("2026-01-31"), Err(InvalidLogMoment::DateAlone));
    for text in
        ["2026-01-31T12:00:00", "2026-01-31 12:00:00", "2026-01-31T12:00", "2026-01-31T12:00:00.5"]
    {
        assert_eq!(parse(text), Err(InvalidLogMoment::NoOffset), "{text}");
    }
    for text in
        ["", "-1", "+1", "yesterday", "9223372036854775808", "2026-01-31T25:00:00Z", "4711."]
    {
        assert_eq!(parse(text), Err(InvalidLogMoment::Neither), "{text}");
    }
}

/// When each event was recorded, in milliseconds from a beginning, by position.
type Times = Vec<(i64, i64)>;

const BEGINNING: &str = "2026-03-01T08:00:00Z";

fn at(milliseconds: i64) -> DateTime<Utc> {
    time(BEGINNING) + TimeDelta::milliseconds(milliseconds)
}

async fn log_of(times: &Times) -> (TestDatabase, Arc<dyn EventLog>) {
    let database = fresh_database().await;
    let pool = database.pool();
    let positions: Vec<i64> = times.iter().map(|(position, _)| *position).collect();
    let recorded: Vec<DateTime<Utc>> = times.iter().map(|(_, ms)| at(*ms)).collect();
    sqlx::query(
        "INSERT INTO events (position, event_id, aggregate_type, aggregate_id, sequence, event_type,
                             event_version, payload, metadata, recorded_at)
         SELECT position, gen_random_uuid(), 'test', 'a', row_number() OVER (ORDER BY position),
                'Happened', '1', '{}', '{}', recorded_at
         FROM unnest($1::bigint[], $2::timestamptz[]) AS given (position, recorded_at)",
    )
    .bind(positions)
    .bind(recorded)
    .execute(&pool)
    .await
    .unwrap();
    pool.execute("ANALYZE events").await.unwrap();
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(pool));
    (database, log)
}

/// The definition, word by word: the greatest position such that every event up to it was recorded by then.
fn by_definition(times: &Times, time: i64) -> Option<i64> {
    let up_to_it = times.iter().take_while(|(_, recorded)| *recorded <= time);
    up_to_it.last().map(|(position, _)| *position)
}

/// Positions with holes, and times that contradict their order by up to what is allowed.
fn disordered(seed: u64, count: usize) -> Times {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut position, mut clock) = (0, 0);
    (0..count)
        .map(|_| {
            position += if random.random_ratio(1, 20) { random.random_range(2..400) } else { 1 };
            clock += random.random_range(0..40_i64);
            // An earlier event bears at most this much more than a later one.
            (position, clock + random.random_range(0..=CLOCK_DISORDER_MAX.num_milliseconds()))
        })
        .collect()
}

#[tokio::test]
async fn the_position_of_a_time_is_that_of_the_definition_also_with_holes_and_disordered_times() {
    let times = disordered(7, 12_000);
    let (_database, log) = log_of(&times).await;
    let (first, last) = (times[0].1, times.iter().map(|(_, time)| *time).max().unwrap());
    let mut random = StdRng::seed_from_u64(8);
    let mut asked: Vec<i64> = (0..60).map(|_| random.random_range(first..=last)).collect();
    asked.extend([first, first + 1, last, last + 1]);
    asked.extend(times.iter().step_by(700).map(|(_, time)| *time));
    for time in asked {
        let found = find_moment(&*log, LogMoment::Time(at(time)), u64::MAX).await;
        let expected = by_definition(&times, time).unwrap();
        assert_eq!(found.unwrap().position, Position(expected), "{time} ms");
    }
    let naive = times.partition_point(|(_, recorded)| *recorded <= last / 2);
    assert_ne!(
        times.get(naive.wrapping_sub(1)).map(|(position, _)| *position),
        by_definition(&times, last / 2),
        "the control: halving alone finds another place"
    );
}

#[tokio::test]
async fn few_events_of_a_long_log_are_looked_at() {
    let times: Times = (1..=20_000).map(|n| (3 * n, 1_000 * n)).collect();
    let (_database, log) = log_of(&times).await;
    let log = CountedLog::new(log);
    let moment = LogMoment::Time(at(7_654_321));
    let found = find_moment(&log, moment, 2_000).await.unwrap();
    assert_eq!(found.position, Position(3 * 7_654));
    assert!(log.pages_read() < 12, "{}", log.pages_read());
    let (_database, at_once) = log_of(&(1..=3_000).map(|n| (n, 0)).collect()).await;
    let error = find_moment(&*at_once, LogMoment::Time(at(0)), 2_000).await.unwrap_err();
    assert!(matches!(error, FindMomentError::TooManyEvents { .. }), "{error}");
}

#[tokio::test]
async fn where_the_log_has_nothing_a_sentence_says_what_there_is() {
    let (_database, log) = log_of(&vec![(5, 0), (9, 1_000)]).await;
    let find = async |text: &str| find_moment(&*log, parse(text).unwrap(), u64::MAX).await;
    for (text, position) in [("5", 5), ("7", 7), ("9", 9), ("2026-03-01T08:00:00.5Z", 5)] {
        assert_eq!(find(text).await.unwrap().position, Position(position), "{text}");
    }
    assert_eq!(find("2026-03-02T00:00:00Z").await.unwrap().position, Position(9));
    for (text, said) in [
        (
            "4",
            "position 4 is before the log's first event, which is at position 5 and was recorded at 2026-03-01T08:00:00Z",
        ),
        ("0", "position 0 is before the log's first event"),
        ("2026-03-01T07:59:59Z", "2026-03-01T07:59:59Z is before the log's first event"),
        ("10", "position 10 is beyond the log, which is complete up to position 9"),
        (
            "2999-01-01T00:00:00Z",
            "2999-01-01T00:00:00Z has not come yet; the log is complete up to position 9",
        ),
        ("7.00000000000000000000000000000001", "positions after"),
    ] {
        let error = find(text).await.unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    let (_database, empty) = log_of(&Vec::new()).await;
    let error = find_moment(&*empty, parse("1").unwrap(), 1).await.unwrap_err();
    assert_eq!(error.to_string(), "the log has no event yet");
}
