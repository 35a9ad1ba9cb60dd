//! `read.yield_hourly`: judgements per hour (UTC), lot, part and station. Yield = passed ÷ judged.
//! `read.station_yield_hourly` and `read.station_yield_daily` are its sums without lots, which the tables see to.
//!
//! Sums do not say what they are made of: what keeps an event from being counted twice is the
//! inspection's context, which remembers it.

use std::collections::BTreeMap;

use chrono::{DateTime, Timelike as _, Utc};
use domain::{Aggregate as _, Grade, Inspection, InspectionEvent, Judgement, ProjectionName};
use platform::postgres::{DatabaseConnection, DatabaseFlavour};

use super::inspection_context::{Advanced, FindingRows, InspectionContext};
use super::read_model::InspectionRecord;
use crate::projection::{ApplyError, ProjectionDefinition};

/// The read model `yield`.
#[derive(Default)]
pub(super) struct YieldHourly(BTreeMap<Bucket, Sums>);

impl FindingRows for YieldHourly {
    const DEFINITION: ProjectionDefinition = ProjectionDefinition {
        name: ProjectionName::Yield.as_str(),
        schema_version: 6,
        schema_sql: |flavour| match flavour {
            DatabaseFlavour::PostgreSql => concat!(
                include_str!("yield_hourly.sql"),
                include_str!("yield_hourly/summed.sql"),
                include_str!("inspection_context.sql")
            ),
            DatabaseFlavour::TimescaleDbApache => concat!(
                include_str!("yield_hourly.sql"),
                include_str!("yield_hourly/hypertable.sql"),
                include_str!("yield_hourly/summed.sql"),
                include_str!("inspection_context.sql")
            ),
            DatabaseFlavour::TimescaleDbCommunity => concat!(
                include_str!("yield_hourly.sql"),
                include_str!("yield_hourly/hypertable.sql"),
                include_str!("summary_progress.sql"),
                include_str!("yield_hourly/continuous.sql"),
                include_str!("inspection_context.sql")
            ),
        },
        views: &["yield_hourly", "station_yield_hourly", "station_yield_daily"],
        aggregate_types: &[Inspection::TYPE],
    };

    fn apply_record(
        &mut self,
        Advanced { context, takes_results }: Advanced<'_>,
        record: &InspectionRecord<'_>,
    ) -> Result<(), ApplyError> {
        use InspectionEvent as E;
        match &record.event {
            E::InferenceCompleted { defects, .. } if takes_results => {
                let certain =
                    defects.iter().filter(|d| context.recipe.grade(d.confidence) == Grade::Defect);
                context.defects += certain.count() as u64;
            }
            E::InspectionJudged { judgement, .. } if takes_results => {
                let bucket = Bucket::new(context, record.recorded.occurred_at())?;
                self.0.entry(bucket).or_default().count_board(*judgement, context.defects);
            }
            // Nothing that is counted, and what comes after the first judgement.
            E::InspectionCreated { .. }
            | E::ArtifactReserved { .. }
            | E::ArtifactReservationRenewed { .. }
            | E::ArtifactReservationCancelled { .. }
            | E::ArtifactUploaded { .. }
            | E::InferenceRequested { .. }
            | E::InferenceCompleted { .. }
            | E::InferenceFailed { .. }
            | E::InspectionJudged { .. }
            | E::InspectionVoided { .. }
            | E::PicturesRetired { .. } => {}
        }
        Ok(())
    }

    async fn store(self, tx: &mut DatabaseConnection) -> Result<(), ApplyError> {
        add_sums(tx, self.0).await
    }
}

/// Hour, lot, part and station.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Bucket(DateTime<Utc>, String, String, String);

impl Bucket {
    fn new(context: &InspectionContext, judged_at: DateTime<Utc>) -> Result<Self, ApplyError> {
        let hour = judged_at.with_minute(0).and_then(|at| at.with_second(0));
        let hour = hour.and_then(|at| at.with_nanosecond(0));
        let hour =
            hour.ok_or_else(|| ApplyError::permanent("the time of judgement has no hour"))?;
        let (lot, part) = (context.lot.to_string(), context.part.to_string());
        Ok(Self(hour, lot, part, context.station.to_string()))
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
    fn count_board(&mut self, judgement: Judgement, defects: u64) {
        match judgement {
            Judgement::Pass => self.passed += 1,
            Judgement::Review => self.review += 1,
            Judgement::Fail => self.failed += 1,
        }
        self.defects += i64::try_from(defects).unwrap_or(i64::MAX);
    }
}

async fn add_sums(
    tx: &mut DatabaseConnection,
    sums: BTreeMap<Bucket, Sums>,
) -> Result<(), ApplyError> {
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
