//! The seam between what is kept and what is read, the bound, errors, late and slow followers,
//! cancellation, and how often the log is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::join_all;
use proptest::prelude::*;

use super::reader::KEPT_EVENTS_MAX;
use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{Append, EventMetadata, NewEvent, StreamId};
use crate::test_support::{CountedLog, fresh_database};

mod fake_log;
mod histories;

use fake_log::{FakeLog, Mishap, recorded};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = crate::event_log::POLL_INTERVAL;

/// The positions that a follower yields until it has come to `end`.
async fn positions_until(follow: &mut Follow, end: i64, limit: usize) -> Vec<i64> {
    let reading = async {
        let mut positions = Vec::new();
        while follow.position() < Position(end) {
            let page = follow.next_page(limit).await.unwrap();
            assert!(page.events.len() <= limit && page.up_to <= page.head, "{page:?}");
            positions.extend(page.events.iter().map(|event| event.position.0));
        }
        positions
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("the follower comes to the end")
}

proptest! {
    #[test]
    fn a_stretch_continues_completely_or_says_that_it_cannot(
        pages in prop::collection::vec(prop::collection::vec(1_i64..4, 0..900), 1..8),
        after_share in 0.0..=1.0,
        limit in 1_usize..1_000,
    ) {
        let (mut stretch, mut all) = (Stretch::default(), Vec::new());
        for steps in pages {
            let mut page = Vec::new();
            for step in steps {
                all.push(all.last().copied().unwrap_or_default() + step);
                page.push(Arc::new(recorded(all[all.len() - 1])));
            }
            let end = Position(all.last().copied().unwrap_or_default());
            let incarnation = Incarnation::default();
            stretch.extend(Page { events: page, up_to: end, head: end, incarnation });
        }
        let end = all.last().copied().unwrap_or_default();
        let after = (end as f64 * after_share) as i64;
        let rest: Vec<_> = all.iter().copied().filter(|position| *position > after).collect();
        match stretch.continue_after((Incarnation::default(), Position(after)), limit) {
            Continuation::Behind => prop_assert!(rest.len() > KEPT_EVENTS_MAX),
            Continuation::AtEnd => prop_assert!(rest.is_empty()),
            Continuation::Page(page) => {
                prop_assert!(rest.len() <= KEPT_EVENTS_MAX);
                let given: Vec<_> = page.events.iter().map(|event| event.position.0).collect();
                prop_assert_eq!(&given[..], &rest[..rest.len().min(limit)]);
                let is_whole = rest.len() <= limit;
                prop_assert_eq!(page.up_to.0, if is_whole { end } else { given[given.len() - 1] });
            }
        }
    }
}

#[tokio::test]
async fn followers_from_everywhere_see_everything_once_while_the_log_grows() {
    // Every seventh position is a hole.
    let exists = |position: &i64| position % 7 != 0;
    let log = FakeLog::new((1..6_000).filter(exists));
    let tail = LogTail::new(log.clone());
    let end = 20_001;
    let starts = [0, 1, 5_000, 5_990, 5_999, 0, 3_000];
    let followers = starts.into_iter().enumerate().map(|(n, start)| {
        let mut follow = tail.follow(Position(start));
        tokio::spawn(async move { positions_until(&mut follow, end, [1_000, 3, 64][n % 3]).await })
    });
    let followers: Vec<_> = followers.collect();
    for begin in (6_000..=end).step_by(101) {
        log.put((begin..(begin + 101).min(end + 1)).filter(exists));
        tokio::task::yield_now().await;
    }
    for (start, follower) in starts.into_iter().zip(followers) {
        let expected: Vec<_> = (start + 1..=end).filter(exists).collect();
        assert_eq!(follower.await.unwrap(), expected, "from {start}");
    }
}

#[tokio::test]
async fn followers_at_the_end_share_one_read_and_nothing_is_read_when_nobody_waits() {
    let log = FakeLog::new(1..=3);
    let tail = LogTail::new(log.clone());
    let mut followers: Vec<_> = (0..20).map(|_| tail.follow(Position(0))).collect();
    join_all(followers.iter_mut().map(|follow| positions_until(follow, 3, 10))).await;
    assert_eq!(log.reads(), 1, "one read serves all");
    tokio::time::sleep(POLL * 2).await;
    log.put(4..=4);
    assert_eq!(log.reads(), 1, "nobody waits");
    join_all(followers.iter_mut().map(|follow| positions_until(follow, 4, 10))).await;
    assert_eq!(log.reads(), 2);
}

#[tokio::test]
async fn what_no_hint_tells_of_is_found_by_looking() {
    let log = FakeLog::new(1..=1);
    let tail = LogTail::new(log.clone());
    let mut follow = tail.follow(Position(0));
    positions_until(&mut follow, 1, 10).await;
    log.positions.lock().unwrap().push(2);
    assert_eq!(positions_until(&mut follow, 2, 10).await, [2]);
}

#[tokio::test]
async fn everybody_who_waits_is_told_of_an_error_and_goes_on_behind_it() {
    let log = FakeLog::new(1..=1);
    let tail = LogTail::new(log.clone());
    let mut followers = [tail.follow(Position(0)), tail.follow(Position(0))];
    log.is_away.store(true, Ordering::SeqCst);
    for outcome in join_all(followers.iter_mut().map(|follow| follow.next_page(10))).await {
        let error = outcome.unwrap_err();
        assert!(matches!(error, EventLogError::Unavailable(_)));
        assert_eq!(error.to_string(), "the event log is unavailable: the cable is out");
    }
    log.is_away.store(false, Ordering::SeqCst);
    // The error of before is not told again to whoever comes later.
    for follow in &mut followers {
        assert_eq!(positions_until(follow, 1, 10).await, [1]);
    }
}

#[tokio::test]
async fn a_read_that_hangs_or_panics_is_told_to_who_waits_and_the_reader_goes_on() {
    for (mishap, said) in
        [(Mishap::Hangs, "nothing was read for"), (Mishap::Panics, "reading it panicked")]
    {
        let log = FakeLog::new(1..=1);
        let tail = LogTail::with_read_timeout(log.clone(), Duration::from_millis(50));
        let mut follow = tail.follow(Position(0));
        *log.mishap.lock().unwrap() = Some(mishap);
        let told = tokio::time::timeout(PATIENCE, follow.next_page(10)).await;
        let error = told.expect("nobody is told").unwrap_err();
        assert!(matches!(error, EventLogError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(positions_until(&mut follow, 1, 10).await, [1]);
    }
}

#[tokio::test]
async fn who_is_behind_and_finds_nothing_looks_again_although_nothing_changes() {
    let log = FakeLog::new(1..=5_000);
    let tail = LogTail::new(log.clone());
    positions_until(&mut tail.follow(Position(4_990)), 5_000, 10).await;
    // The reader is at the end, so the next read is the follower's own.
    *log.mishap.lock().unwrap() = Some(Mishap::FindsNothing);
    let seen = positions_until(&mut tail.follow(Position(0)), 5_000, 1_000).await;
    assert_eq!(seen, (1..=5_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_cancelled_is_neither_lost_nor_doubled() {
    let log = FakeLog::new([]);
    let tail = LogTail::new(log.clone());
    let mut follow = tail.follow(Position(0));
    let mut seen = Vec::new();
    for position in 1..=300 {
        log.put([position]);
        // Given up after another number of steps every time, in the middle of whatever it is at.
        for _ in 0..position % 5 {
            if let Some(page) = follow.next_page(2).now_or_never() {
                seen.extend(page.unwrap().events.iter().map(|event| event.position.0));
            }
            tokio::task::yield_now().await;
        }
    }
    seen.extend(positions_until(&mut follow, 300, 7).await);
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
    assert_eq!(tail.shared.state().waiting, 0);
}

#[tokio::test]
async fn who_comes_late_to_a_long_log_does_not_hold_up_who_is_at_its_end() {
    let log = FakeLog::new(1..=100_000);
    let tail = LogTail::new(log.clone());
    let (mut late, mut at_end) = (tail.follow(Position(0)), tail.follow(Position(100_000)));
    let reading = tokio::spawn(async move { positions_until(&mut late, 100_001, 500).await.len() });
    let waiting = tokio::spawn(async move { positions_until(&mut at_end, 100_001, 500).await });
    while tail.shared.state().stretch.up_to() < Position(100_000) {
        tokio::task::yield_now().await;
    }
    let reads = log.reads();
    log.put([100_001]);
    assert_eq!(waiting.await.unwrap(), [100_001]);
    assert!(log.reads() < reads + 50, "it waited for who was late");
    assert_eq!(reading.await.unwrap(), 100_001);
}

/// Appends 50 events one by one with so many followers, and says how often the log was read.
async fn reads_with(followers: usize) -> usize {
    let database = fresh_database().await;
    let log = Arc::new(CountedLog::new(Arc::new(PostgresEventLog::new(database.pool()))));
    let tail = LogTail::new(log.clone());
    let mut followers: Vec<_> = (0..followers).map(|_| tail.follow(Position(0))).collect();
    for n in 0..50 {
        let event = NewEvent {
            event_type: "Happened".into(),
            event_version: "1".into(),
            payload: serde_json::json!({}),
            labels: domain::EventLabels::default(),
        };
        let stream = StreamId { aggregate_type: "test".into(), aggregate_id: "a".into() };
        let append = Append::new(stream, n, vec![event], EventMetadata::by_service("test"));
        let end = log.append(append).await.unwrap().position.unwrap();
        join_all(followers.iter_mut().map(|follow| positions_until(follow, end.0, 10))).await;
    }
    log.pages_read()
}

#[tokio::test]
async fn twenty_followers_of_postgresql_cost_the_reads_of_one() {
    let (one, twenty) = (reads_with(1).await, reads_with(20).await);
    // An append is heard of twice, here and from the database; chance decides which comes in time.
    assert!(one >= 50 && twenty <= 3 * 50, "{one} reads for one, {twenty} for twenty");
}
