//! Figures, each with its formula, numerator and denominator.

use async_graphql::SimpleObject;
use chrono::{DateTime, Duration, Utc};

use crate::error::QueryError;
use crate::paging::TimeRange;
use crate::read_model::conditions::check_times;
use crate::read_model::defect_sums::ClassCount;
use crate::read_model::words::DefectClassWord;
use crate::read_model::yields::{YieldInterval, YieldSum};

/// The longest stretch of a yield series by the hour, and by the day.
const SERIES_MAX: [Duration; 2] = [Duration::days(92), Duration::days(1_098)];
/// The stretch of a yield series when nothing is said.
const SERIES_DEFAULT: [Duration; 2] = [Duration::hours(24), Duration::days(30)];

const YIELD_FORMULA: &str = "passed ÷ judged";
const SHARE_FORMULA: &str = "findings of the class ÷ all findings";

/// Yield over a stretch of time: boards that the machine passed, of those it judged.
#[derive(Debug, Clone, SimpleObject)]
pub(super) struct YieldSeries {
    /// How the figures come about.
    formula: &'static str,
    /// Boards passed in all buckets.
    numerator: i64,
    /// Boards judged in all buckets.
    denominator: i64,
    /// numerator ÷ denominator; null when nothing was judged.
    value: Option<f64>,
    /// First hour or day asked for.
    from: DateTime<Utc>,
    /// End of the last hour or day asked for.
    to: DateTime<Utc>,
    /// The hours or days in which boards were judged, in order.
    buckets: Vec<YieldBucket>,
}

/// The boards judged in one hour or day.
#[derive(Debug, Clone, SimpleObject)]
pub(super) struct YieldBucket {
    /// Start of the hour or day, UTC.
    hour: DateTime<Utc>,
    /// How the figure comes about.
    formula: &'static str,
    /// Boards passed.
    numerator: i64,
    /// Boards judged.
    denominator: i64,
    /// numerator ÷ denominator.
    value: Option<f64>,
    /// Boards judged.
    judged: i64,
    /// Boards passed.
    passed: i64,
    /// Boards a person has to look at.
    review: i64,
    /// Boards failed.
    failed: i64,
    /// Findings graded as defects.
    defects: i64,
}

impl YieldSeries {
    pub(super) fn from_sums(
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        sums: Vec<YieldSum>,
    ) -> Self {
        let numerator = sums.iter().map(|sum| sum.passed).sum();
        let denominator = sums.iter().map(|sum| sum.judged).sum();
        Self {
            formula: YIELD_FORMULA,
            numerator,
            denominator,
            value: divide_counts(numerator, denominator),
            from,
            to,
            buckets: sums.into_iter().map(YieldBucket::from_sum).collect(),
        }
    }
}

impl YieldBucket {
    fn from_sum(sum: YieldSum) -> Self {
        Self {
            hour: sum.begins_at,
            formula: YIELD_FORMULA,
            numerator: sum.passed,
            denominator: sum.judged,
            value: divide_counts(sum.passed, sum.judged),
            judged: sum.judged,
            passed: sum.passed,
            review: sum.review,
            failed: sum.failed,
            defects: sum.defects,
        }
    }
}

/// The stretch that is meant: the last day up to `now` when nothing is said, or the last 30 days of a series by the day.
///
/// # Errors
/// When it is empty or longer than [`SERIES_MAX`].
pub(super) fn resolve_stretch(
    (from, to): TimeRange,
    interval: YieldInterval,
    now: DateTime<Utc>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), QueryError> {
    let of_interval = |[by_hour, by_day]: [Duration; 2]| match interval {
        YieldInterval::Hour => by_hour,
        YieldInterval::Day => by_day,
    };
    let (longest, default) = (of_interval(SERIES_MAX), of_interval(SERIES_DEFAULT));
    check_times((from, to))?;
    let to = to.unwrap_or_else(|| from.map_or(now, |from| now.max(from + default)));
    let from = from.unwrap_or(to - default);
    if to - from > longest {
        let must = format!("must be at most {} days before to", longest.num_days());
        return Err(QueryError::invalid("from", must));
    }
    Ok((from, to))
}

/// Findings by class, the most frequent first, with their shares added up.
#[derive(Debug, Clone, SimpleObject)]
pub(super) struct DefectPareto {
    /// How a share comes about.
    formula: &'static str,
    /// All findings: the denominator of every share.
    total: i64,
    /// The classes that were found.
    classes: Vec<ParetoClass>,
}

/// The findings of one class.
#[derive(Debug, Clone, SimpleObject)]
pub(super) struct ParetoClass {
    /// The class.
    class: DefectClassWord,
    /// How many: the numerator of the share.
    count: i64,
    /// count ÷ total.
    share: f64,
    /// The share of this class and all more frequent ones.
    cumulative_share: f64,
}

impl DefectPareto {
    pub(super) fn from_counts(counts: Vec<ClassCount>) -> Self {
        let total: i64 = counts.iter().map(|class| class.count).sum();
        let mut so_far = 0;
        let mut classes = Vec::with_capacity(counts.len());
        for ClassCount { class, count, .. } in counts {
            so_far += count;
            classes.push(ParetoClass {
                class,
                count,
                share: divide_counts(count, total).unwrap_or_default(),
                cumulative_share: divide_counts(so_far, total).unwrap_or_default(),
            });
        }
        Self { formula: SHARE_FORMULA, total, classes }
    }
}

/// Boards and findings are far below 2⁵³, where doubles stop being exact.
fn divide_counts(numerator: i64, denominator: i64) -> Option<f64> {
    (denominator != 0).then(|| numerator as f64 / denominator as f64)
}
