//! What a query costs, reckoned from its text and variables before any SQL runs: one for every value
//! that its answer may hold, and what its statements may read beyond that.
//!
//! Invariant: every field counts as often as it may be answered, aliases included. How many values
//! a list holds is a guess where nothing bounds it; the answer itself is counted
//! ([`limits`](super::limits)) while it is made. Counting a list's rows (`totalCount`) is paid for when it is done
//! ([`Session::count_total`](crate::session::Session::count_total)): as a field of a page it would cost as often as the
//! page has rows.

use std::num::NonZeroU32;

use chrono::{DateTime, Utc};

use super::metrics::resolve_stretch;
use crate::paging::{PAGE_DEFAULT, PAGE_MAX, TimeRange};
use crate::read_model::yields::YieldInterval;

/// The most that one query may cost.
pub(super) const COST_MAX: usize = 40_000;
/// What counts as one request of the caller.
pub(super) const REQUEST_COST: usize = 1_000;
/// A report's whole document: so many values that it is not counted as one.
pub(super) const DOCUMENT_COST: usize = 500;

/// A statement that finds its rows by an index.
const STATEMENT_COST: usize = 100;
/// A statement that adds up as many rows as one may
/// ([`SUMMED_ROWS_MAX`](crate::read_model::summed::SUMMED_ROWS_MAX)).
const SCAN_COST: usize = 12_000;
/// What an hour or day of yield costs before it is shown. It is the sum over lots, parts and stations, and how many
/// these are is known when it was read ([`requests_for_rows`]).
const HOUR_COST: usize = 1;
/// Rows that are added up for one request.
const REQUEST_ROWS: i64 = 20_000;
/// Classes of findings, and what stands around them.
const CLASSES: usize = 8;
/// Generations of read models, and what stands around them.
const GENERATIONS: usize = 10;
/// The longest yield series, in hours: what one counts as whose stretch is wrong.
const HOURS_MAX: usize = 92 * 24;

/// How many requests a query of this cost counts as, besides the one that it is.
pub(super) fn requests_beyond_one(cost: usize) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(cost / REQUEST_COST).unwrap_or(u32::MAX))
}

/// How many requests adding up so many rows counts as, besides the one that it is.
pub(super) fn requests_for_rows(rows: i64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(rows / REQUEST_ROWS).unwrap_or(u32::MAX))
}

/// What one thing that is found by its id costs.
pub(super) fn single_cost(child: usize) -> usize {
    STATEMENT_COST.saturating_add(child)
}

/// What so many things cost that are found by their ids: one statement says what they are, and one finds those
/// of each kind.
pub(super) fn nodes_cost(ids: usize, child: usize) -> usize {
    ids.saturating_mul(child).saturating_add(2 * STATEMENT_COST)
}

/// What a page of `child` costs; an absurd size is refused later.
pub(super) fn page_cost(first: Option<i32>, last: Option<i32>, child: usize) -> usize {
    let size = first.or(last).map_or(PAGE_DEFAULT, |size| usize::try_from(size).unwrap_or(1));
    size.clamp(1, PAGE_MAX).saturating_mul(child).saturating_add(STATEMENT_COST)
}

/// What a series of `child` by the hour or day costs; an absurd stretch is refused later.
pub(super) fn series_cost((from, to): TimeRange, interval: YieldInterval, child: usize) -> usize {
    let buckets = |from: DateTime<Utc>, to: DateTime<Utc>| match interval {
        YieldInterval::Hour => (to - from).num_hours(),
        YieldInterval::Day => (to - from).num_days(),
    };
    let stretch = resolve_stretch((from, to), interval, Utc::now());
    let buckets = stretch.map_or(HOURS_MAX, |(from, to)| {
        usize::try_from(buckets(from, to)).unwrap_or(HOURS_MAX).saturating_add(1)
    });
    buckets.saturating_mul(child.saturating_add(HOUR_COST)).saturating_add(STATEMENT_COST)
}

/// What counting findings by class costs: nothing bounds how many there are.
pub(super) fn pareto_cost(child: usize) -> usize {
    CLASSES.saturating_mul(child).saturating_add(SCAN_COST)
}

/// What telling how far read models are costs.
pub(super) fn projections_cost(child: usize) -> usize {
    GENERATIONS.saturating_mul(child).saturating_add(STATEMENT_COST)
}
