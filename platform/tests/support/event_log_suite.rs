//! What every adapter of the event log must do: one test each, run by [`event_log_tests`] on whatever a
//! factory opens.
//!
//! Positions grow and pages are complete; nothing here asks for positions without a gap, which a
//! rollback leaves in one log and another counts by bytes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use platform::event_log::{
    Answer, AnswerNotKept, Append, AppendError, EventLog, EventLogError, EventMetadata,
    KeyedAnswer, LogPlace, NewEvent, Page, Position, Recorded, RequestKey, StreamId, StreamVersion,
};
use platform::follower::LogTail;
use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

/// An empty log of a test's own, gone when this is dropped.
pub(crate) trait EmptyLog: Send + Sync {
    /// A handle on it, as each process has one.
    fn open(&self) -> Arc<dyn EventLog>;

    /// Makes the server unreachable for handles that are open.
    fn cut_off(&self) -> BoxFuture<'_, ()>;
}

/// The whole suite as tests of the module that calls it. `$open` is an `async fn() -> impl EmptyLog`.
macro_rules! event_log_tests {
    ($open:path) => {
        $crate::event_log_suite::event_log_tests! { $open:
            a_stream_gives_back_what_was_appended_in_order
            the_end_of_a_stream_is_given_the_latest_first_and_no_more_than_asked_for
            an_append_on_another_version_is_a_conflict_whether_behind_or_ahead
            of_many_appenders_on_one_version_exactly_one_wins
            a_command_is_appended_once_even_to_another_stream
            pages_of_the_log_join_without_gap_or_overlap
            a_reader_misses_nothing_of_many_appenders
            a_follower_is_woken_by_an_append_here_or_in_another_process
            an_answer_is_kept_once_it_is_known_what_was_appended
            an_answer_whose_key_is_taken_is_refused_with_what_is_in_the_log
            of_many_that_append_at_once_each_is_told_what_became_of_its_own
            a_server_that_is_away_makes_the_log_unavailable_and_appends_nothing
        }
    };
    ($open:path: $($name:ident)*) => { $(
        #[tokio::test]
        async fn $name() {
            $crate::event_log_suite::$name(&$open().await).await;
        }
    )* };
}
pub(crate) use event_log_tests;

fn stream(id: &str) -> StreamId {
    StreamId { aggregate_type: "test".into(), aggregate_id: id.into() }
}

fn append(id: &str, expected_version: u64, events: usize) -> Append {
    append_by(id, expected_version, events, EventMetadata::by_service("test"))
}

fn append_by(id: &str, expected_version: u64, events: usize, metadata: EventMetadata) -> Append {
    let event = |n| NewEvent {
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: json!({ "n": n }),
        labels: domain::EventLabels::default(),
    };
    Append::new(stream(id), expected_version, (0..events).map(event).collect(), metadata)
}

fn positions(events: &[Recorded]) -> Vec<Position> {
    events.iter().map(|event| event.position).collect()
}

/// Everything after `after`, in pages of `limit`.
async fn read_to_head(log: &dyn EventLog, after: Position, limit: usize) -> Vec<Page> {
    let (mut after, mut pages) = (after, Vec::new());
    loop {
        let page = log.read_all(after, limit).await.unwrap();
        if page.events.is_empty() {
            return pages;
        }
        after = page.up_to;
        pages.push(page);
    }
}

pub(crate) async fn a_stream_gives_back_what_was_appended_in_order(empty: &impl EmptyLog) {
    let log = empty.open();
    let command_id = Uuid::from_u128(1);
    let metadata = EventMetadata::by_service("test").with_command_id(command_id);
    let appended = log.append(append_by("a", 0, 3, metadata.clone())).await.unwrap();
    assert_eq!(appended.version, 3);

    let events = log.read_stream(&stream("a"), 0).await.unwrap().events;
    let numbers: Vec<_> = events.iter().map(|e| (e.sequence, e.payload["n"].as_u64())).collect();
    assert_eq!(numbers, [(1, Some(0)), (2, Some(1)), (3, Some(2))]);
    assert_eq!(appended.position, events.last().map(|event| event.position));
    assert!(positions(&events).is_sorted_by(|one, next| one < next));
    for event in &events {
        assert_eq!(event.command_id, Some(command_id));
        assert_eq!(event.metadata.actor, metadata.actor);
        assert_eq!(event.metadata.correlation_id.as_deref(), Some("a"));
    }
    assert_eq!(log.read_stream(&stream("a"), 2).await.unwrap().events.len(), 1);
    assert_eq!(log.read_stream(&stream("b"), 0).await.unwrap().events, []);
}

pub(crate) async fn the_end_of_a_stream_is_given_the_latest_first_and_no_more_than_asked_for(
    empty: &impl EmptyLog,
) {
    let log = empty.open();
    log.append(append("a", 0, 4)).await.unwrap();
    log.append(append("b", 0, 1)).await.unwrap();
    let end = async |id, limit| {
        let found = log.read_stream_end(&stream(id), limit).await.unwrap();
        assert_eq!(found.incarnation, log.end().await.unwrap().incarnation);
        found.events.iter().map(|event| event.sequence).collect::<Vec<_>>()
    };
    assert_eq!(end("a", 2).await, [4, 3]);
    assert_eq!(end("a", 9).await, [4, 3, 2, 1]);
    assert!(end("c", 9).await.is_empty());
}

pub(crate) async fn an_append_on_another_version_is_a_conflict_whether_behind_or_ahead(
    empty: &impl EmptyLog,
) {
    let log = empty.open();
    log.append(append("a", 0, 2)).await.unwrap();
    for expected in [0, 1, 3] {
        let error = log.append(append("a", expected, 1)).await.unwrap_err();
        assert!(matches!(error, AppendError::Conflict { .. }), "{expected}: {error}");
    }
    assert_eq!(log.read_stream(&stream("a"), 0).await.unwrap().events.len(), 2);
}

pub(crate) async fn of_many_appenders_on_one_version_exactly_one_wins(empty: &impl EmptyLog) {
    let log = empty.open();
    let attempts = (0..8).map(|_| {
        let log = Arc::clone(&log);
        tokio::spawn(async move { log.append(append("a", 0, 2)).await })
    });
    let outcomes = futures::future::join_all(attempts).await;
    let won = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    assert_eq!(won, 1);
    assert_eq!(log.read_stream(&stream("a"), 0).await.unwrap().events.len(), 2);
}

pub(crate) async fn a_command_is_appended_once_even_to_another_stream(empty: &impl EmptyLog) {
    let log = empty.open();
    let metadata = EventMetadata::by_service("test").with_command_id(Uuid::from_u128(9));
    log.append(append_by("a", 0, 2, metadata.clone())).await.unwrap();
    for again in [append_by("b", 0, 2, metadata.clone()), append_by("a", 2, 2, metadata)] {
        let error = log.append(again).await.unwrap_err();
        assert!(matches!(error, AppendError::DuplicateCommand { .. }), "{error}");
    }
    assert_eq!(log.read_stream(&stream("b"), 0).await.unwrap().events, []);
    assert_eq!(log.read_command(Uuid::from_u128(9)).await.unwrap().len(), 2);
    assert_eq!(log.read_command(Uuid::from_u128(8)).await.unwrap(), []);
}

pub(crate) async fn pages_of_the_log_join_without_gap_or_overlap(empty: &impl EmptyLog) {
    let log = empty.open();
    let mut appended = Vec::new();
    for n in 0..7 {
        log.append(append(&n.to_string(), 0, 3)).await.unwrap();
        appended.extend(log.read_stream(&stream(&n.to_string()), 0).await.unwrap().events);
    }
    let pages = read_to_head(&*log, Position(0), 4).await;
    let head = log.head().await.unwrap();
    for page in &pages {
        assert!(page.events.len() <= 4);
        assert!(page.events.iter().all(|event| event.position <= page.up_to));
        assert_eq!(page.head, head, "nothing was appended meanwhile");
    }
    let read = pages.into_iter().flat_map(|page| page.events);
    let read: Vec<Recorded> = read.map(Arc::unwrap_or_clone).collect();
    assert_eq!(read, appended);
    let middle = read[10].position;
    let rest = read_to_head(&*log, middle, 100).await.remove(0);
    assert!(rest.events.iter().map(|event| &**event).eq(&read[11..]));
}

/// The log's promise while it is written to: what was answered up to a position stays complete.
pub(crate) async fn a_reader_misses_nothing_of_many_appenders(empty: &impl EmptyLog) {
    const APPENDERS: usize = 8;
    const APPENDS: u64 = 20;
    let (log, elsewhere) = (empty.open(), empty.open());
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::spawn(read_until(Arc::clone(&log), Arc::clone(&done)));
    let appenders = (0..APPENDERS).map(|n| {
        let log = Arc::clone(&elsewhere);
        tokio::spawn(async move {
            for turn in 0..APPENDS {
                log.append(append(&n.to_string(), turn * 2, 2)).await.unwrap();
            }
        })
    });
    for appender in futures::future::join_all(appenders).await {
        appender.unwrap();
    }
    done.store(true, Ordering::Release);
    let seen = reader.await.unwrap();
    assert!(positions(&seen).is_sorted_by(|one, next| one < next), "doubled or out of order");
    let mut streams = BTreeMap::<_, Vec<Recorded>>::new();
    for event in seen {
        streams.entry(event.stream.clone()).or_default().push(event);
    }
    assert_eq!(streams.len(), APPENDERS);
    for (stream, events) in streams {
        assert_eq!(events, log.read_stream(&stream, 0).await.unwrap().events, "{stream}: missed");
        assert_eq!(events.len() as u64, APPENDS * 2);
    }
}

async fn read_until(log: Arc<dyn EventLog>, done: Arc<AtomicBool>) -> Vec<Recorded> {
    let (mut seen, mut after) = (Vec::new(), Position::default());
    loop {
        let last_round = done.load(Ordering::Acquire);
        let page = log.read_all(after, 10).await.unwrap();
        assert!(page.up_to >= after && page.up_to <= page.head.max(after));
        after = page.up_to;
        let empty = page.events.is_empty();
        seen.extend(page.events.into_iter().map(Arc::unwrap_or_clone));
        if last_round && empty {
            return seen;
        }
    }
}

pub(crate) async fn a_follower_is_woken_by_an_append_here_or_in_another_process(
    empty: &impl EmptyLog,
) {
    let (log, elsewhere) = (empty.open(), empty.open());
    let mut follow = LogTail::new(Arc::clone(&log)).follow(Position(0));
    for (id, appender) in [("1", &log), ("2", &elsewhere)] {
        let waiting = tokio::spawn(async move {
            let page = follow.next_page(10).await.unwrap();
            (follow, page)
        });
        tokio::task::yield_now().await;
        let appended = appender.append(append(id, 0, 1)).await.unwrap();
        let (back, page) =
            tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
        follow = back;
        assert_eq!(page.events.last().map(|event| event.position), appended.position);
        assert!(Some(page.up_to) >= appended.position);
        assert_eq!(follow.position(), page.up_to);
    }
}

/// A key, as a request of its own holds it.
fn request_key(key: &str) -> RequestKey {
    let (principal, key) = ("demo".to_owned(), key.to_owned());
    RequestKey { principal, key, fingerprint: [7; 32], claim_id: Uuid::new_v4() }
}

/// An answer under a key, and the version that it was made for.
fn witness(key: &str) -> (KeyedAnswer, mpsc::UnboundedReceiver<StreamVersion>) {
    let (seen, witnessed) = mpsc::unbounded_channel();
    let answer = KeyedAnswer::new(request_key(key), move |version| {
        // Not every test looks.
        let _ = seen.send(version);
        Answer {
            status: 201,
            headers: vec![],
            body: serde_json::json!({}),
            place: LogPlace::default(),
        }
    });
    (answer, witnessed)
}

pub(crate) async fn an_answer_is_kept_once_it_is_known_what_was_appended(empty: &impl EmptyLog) {
    let log = empty.open();
    for (version, events) in [(0, 2), (2, 0)] {
        let (answer, mut witnessed) = witness(&format!("{events} events"));
        let appended = log.append(append("a", version, events).keeping(answer)).await.unwrap();
        assert_eq!(witnessed.recv().await.unwrap(), appended.stream_version());
        assert_eq!(appended.version, 2, "{events} events");
        assert_eq!(appended.position.is_some(), events > 0);
    }
}

pub(crate) async fn an_answer_whose_key_is_taken_is_refused_with_what_is_in_the_log(
    empty: &impl EmptyLog,
) {
    let log = empty.open();
    log.append(append("a", 0, 0).keeping(witness("k").0)).await.unwrap();
    let error = log.append(append("b", 0, 2).keeping(witness("k").0)).await.unwrap_err();
    let AppendError::NotKept { appended, source: AnswerNotKept::KeyTaken } = error else {
        panic!("{error}");
    };
    let events = log.read_stream(&stream("b"), 0).await.unwrap().events;
    assert_eq!(events.len() as u64, appended.map_or(0, |appended| appended.version));
    assert_eq!(appended.is_none(), log.keeps_answers_with_events());
}

pub(crate) async fn of_many_that_append_at_once_each_is_told_what_became_of_its_own(
    empty: &impl EmptyLog,
) {
    let (log, elsewhere) = (empty.open(), empty.open());
    log.append(append("taken", 0, 1)).await.unwrap();
    log.append(append("keyed", 0, 0).keeping(witness("k").0)).await.unwrap();
    let command_id = Uuid::new_v4();
    let by_command = |id: &str| {
        let metadata = EventMetadata::by_service("test").with_command_id(command_id);
        let events = append(id, 0, 1).events;
        Append::new(stream(id), 0, events, metadata)
    };
    log.append(by_command("first")).await.unwrap();
    let mut appends = vec![
        append("taken", 0, 1),
        by_command("second"),
        append("other", 0, 1).keeping(witness("k").0),
        append("elsewhere", 0, 1),
        append("elsewhere", 0, 1),
    ];
    appends.extend((0..40).map(|n| append(&format!("good-{n}"), 0, 2)));
    let told = join_all(appends.into_iter().enumerate().map(|(n, append)| {
        let log = if n == 4 { &elsewhere } else { &log };
        log.append(append)
    }))
    .await;
    assert!(matches!(told[0], Err(AppendError::Conflict { .. })), "{:?}", told[0]);
    assert!(matches!(told[1], Err(AppendError::DuplicateCommand { .. })), "{:?}", told[1]);
    assert!(matches!(told[2], Err(AppendError::NotKept { .. })), "{:?}", told[2]);
    assert_eq!(told[3..5].iter().filter(|told| told.is_ok()).count(), 1, "{:?}", &told[3..5]);
    for (n, told) in told[5..].iter().enumerate() {
        let appended = told.as_ref().unwrap();
        let stream = log.read_stream(&stream(&format!("good-{n}")), 0).await.unwrap();
        assert_eq!(stream.events.len(), 2);
        assert_eq!(appended.position, stream.events.last().map(|event| event.position));
    }
}

pub(crate) async fn a_server_that_is_away_makes_the_log_unavailable_and_appends_nothing(
    empty: &impl EmptyLog,
) {
    let log = empty.open();
    empty.cut_off().await;
    let unavailable = |error: &EventLogError| matches!(error, EventLogError::Unavailable(_));
    let error = log.append(append("a", 0, 1)).await.unwrap_err();
    assert!(matches!(&error, AppendError::Log(e) if unavailable(e)), "{error}");
    assert!(unavailable(&log.read_all(Position(0), 1).await.unwrap_err()));
}
