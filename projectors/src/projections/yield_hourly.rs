//! `read.yield_hourly`: judgements per hour (UTC), lot, part and station. Yield = passed ÷ judged.
//!
//! Sums do not say what they are made of: what keeps an event from being counted twice is the board
//! that remembers it.

use std::collections::BTreeMap;

use chrono::{DateTime, Timelike as _, Utc};
use domain::{Aggregate as _, Grade, Inspection, InspectionEvent, Judgement};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use platform::event_log::Recorded;
use sqlx::PgConnection;

use super::boards::{Board, Boards};
use super::inspection_stream::facts;
use crate::projection::{ApplyError, Projection};

/// The projection `yield`.
pub(super) struct YieldHourly;

impl Projection for YieldHourly {
    fn name(&self) -> &'static str {
        "yield"
    }

    fn schema_sql(&self) -> &'static str {
        include_str!("yield_hourly.sql")
    }

    fn views(&self) -> &'static [&'static str] {
        &["yield_hourly"]
    }

    fn aggregate_types(&self) -> &'static [&'static str] {
        &[Inspection::TYPE]
    }

    fn apply<'a>(
        &'a self,
        tx: &'a mut PgConnection,
        events: &'a [&'a Recorded],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        apply(tx, events).boxed()
    }
}

async fn apply(tx: &mut PgConnection, events: &[&Recorded]) -> Result<(), ApplyError> {
    let facts = facts(events)?;
    let mut boards = Boards::load(tx, &facts).await?;
    let mut sums = BTreeMap::<Bucket, Sums>::new();
    for fact in &facts {
        let Some(board) = boards.advance(fact)? else { continue };
        if let InspectionEvent::InferenceCompleted { defects, .. } = &fact.event {
            let certain =
                defects.iter().filter(|d| board.recipe.grade(d.confidence) == Grade::Defect);
            board.defects += certain.count() as u64;
        } else if let InspectionEvent::InspectionJudged { judgement, .. } = &fact.event {
            let bucket = Bucket::of(board, fact.recorded.occurred_at())?;
            sums.entry(bucket).or_default().add(*judgement, board.defects);
        }
    }
    store(tx, sums).await?;
    boards.store(tx).await
}

/// Hour, lot, part and station.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Bucket(DateTime<Utc>, String, String, String);

impl Bucket {
    fn of(board: &Board, judged_at: DateTime<Utc>) -> Result<Self, ApplyError> {
        let hour = judged_at.with_minute(0).and_then(|at| at.with_second(0));
        let hour = hour.and_then(|at| at.with_nanosecond(0));
        let hour =
            hour.ok_or_else(|| ApplyError::permanent("the time of judgement has no hour"))?;
        Ok(Self(hour, board.lot.to_string(), board.part.to_string(), board.station.to_string()))
    }
}

#[derive(Default)]
struct Sums {
    passed: i64,
    review: i64,
    failed: i64,
    defects: i64,
}

impl Sums {
    fn add(&mut self, judgement: Judgement, defects: u64) {
        match judgement {
            Judgement::Pass => self.passed += 1,
            Judgement::Review => self.review += 1,
            Judgement::Fail => self.failed += 1,
        }
        self.defects += i64::try_from(defects).unwrap_or(i64::MAX);
    }
}

async fn store(tx: &mut PgConnection, sums: BTreeMap<Bucket, Sums>) -> Result<(), ApplyError> {
    if sums.is_empty() {
        return Ok(());
    }
    let (buckets, sums): (Vec<Bucket>, Vec<Sums>) = sums.into_iter().unzip();
    let names = |name: fn(&Bucket) -> &str| buckets.iter().map(name).collect::<Vec<_>>();
    let numbers = |number: fn(&Sums) -> i64| sums.iter().map(number).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO yield_hourly AS y
             (hour, lot, part, station, judged, passed, review, failed, defects)
         SELECT hour, lot, part, station, passed + review + failed, passed, review, failed, defects
         FROM unnest($1::timestamptz[], $2::text[], $3::text[], $4::text[],
                     $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
              AS s (hour, lot, part, station, passed, review, failed, defects)
         ON CONFLICT (hour, lot, part, station) DO UPDATE SET
             judged = y.judged + excluded.judged, passed = y.passed + excluded.passed,
             review = y.review + excluded.review, failed = y.failed + excluded.failed,
             defects = y.defects + excluded.defects",
    )
    .bind(buckets.iter().map(|bucket| bucket.0).collect::<Vec<_>>())
    .bind(names(|bucket| &bucket.1))
    .bind(names(|bucket| &bucket.2))
    .bind(names(|bucket| &bucket.3))
    .bind(numbers(|sums| sums.passed))
    .bind(numbers(|sums| sums.review))
    .bind(numbers(|sums| sums.failed))
    .bind(numbers(|sums| sums.defects))
    .execute(tx)
    .await?;
    Ok(())
}
