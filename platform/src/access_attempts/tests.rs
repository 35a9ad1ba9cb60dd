//! What is written of attempts, however many there are, and that nobody waits for it.

use std::net::Ipv4Addr;
use std::time::Duration;

use domain::{AccessAttemptEvent as E, AccessAttempts, Aggregate as _};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::recorder::AttemptWriter;
use super::tally::{AttemptTally, GRANTS_MAX, KINDS_MAX};
use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{
    Append, AppendError, Appended, EventLog, EventLogError, Position, Recorded,
};
use crate::shutdown::Shutdown;
use crate::test_support::{InterceptedLog, Interception, TestDatabase, fresh_database};

/// Longer than any test.
const NEVER: Duration = Duration::from_secs(3_600);

fn refused(n: u32, reason: &str) -> AccessAttempt {
    AccessAttempt::Refused(RefusedAccess {
        subject: Some("ada".to_owned()),
        address: Some(Ipv4Addr::from(n).into()),
        asked: "POST /v1/token".to_owned(),
        reason: reason.to_owned(),
    })
}

fn granted(n: u32) -> AccessAttempt {
    AccessAttempt::Granted(GrantedToken {
        subject: "aoi-1".to_owned(),
        grant_type: "client_credentials".to_owned(),
        token_id: n.to_string(),
        address: Some(Ipv4Addr::LOCALHOST.into()),
        scopes: vec!["parts:read".to_owned()],
    })
}

fn rejected(n: u32, reason: &str) -> AccessAttempt {
    AccessAttempt::Rejected(RejectedCommand {
        subject: Some("aoi-1".to_owned()),
        token_id: Some("a-token".to_owned()),
        address: Some(Ipv4Addr::LOCALHOST.into()),
        asked: "POST /v1/inspections/{id}/infer".to_owned(),
        resource: format!("/v1/inspections/{n}/infer"),
        reason: reason.to_owned(),
    })
}

/// Granted, refused and rejected, as these events say.
fn counted(events: &[E]) -> (u64, u64, u64) {
    events.iter().fold((0, 0, 0), |(granted, refused, rejected), event| match event {
        E::TokenGranted { .. } => (granted + 1, refused, rejected),
        E::AccessRefused { count, .. } => (granted, refused + count, rejected),
        E::CommandRejected { count, .. } => (granted, refused, rejected + count),
        E::AttemptsSummed { granted: more, refused: others, rejected: rest, .. } => {
            (granted + more, refused + others, rejected + rest)
        }
    })
}

#[test]
fn the_first_of_a_kind_is_written_at_once_and_its_repeats_as_one_at_the_end_of_the_minute() {
    let (mut tally, begun) = (AttemptTally::default(), Utc::now());
    let at = |second| begun + Duration::from_secs(second);
    let first = tally.take_in(refused(1, "wrong-secret"), at(0)).unwrap();
    assert!(
        matches!(&first, E::AccessRefused { count: 1, address: Some(from), .. } if from == "0.0.0.1")
    );
    for second in 1..=40 {
        assert_eq!(tally.take_in(refused(1, "wrong-secret"), at(second)), None);
    }
    assert!(tally.take_in(refused(2, "wrong-secret"), at(41)).is_some(), "from elsewhere");
    assert!(tally.take_in(refused(1, "locked-out"), at(42)).is_some(), "for another reason");
    let left = tally.end_minute();
    let [E::AccessRefused { count: 40, first_at, last_at, .. }] = &left[..] else {
        panic!("{left:?}");
    };
    assert_eq!((*first_at, *last_at), (at(1), at(40)));
    assert!(tally.take_in(refused(1, "wrong-secret"), at(60)).is_some(), "another minute");
}

#[test]
fn whatever_is_tried_a_minute_has_no_more_events_than_a_named_number_and_all_is_counted() {
    let (mut tally, now) = (AttemptTally::default(), Utc::now());
    let mut events = Vec::new();
    for n in 0..100_000 {
        events.extend(tally.take_in(refused(n % 5_000, "wrong-secret"), now));
        events.extend(tally.take_in(rejected(n % 5_000, "already-judged"), now));
        if n % 100 == 0 {
            events.extend(tally.take_in(granted(n), now));
        }
    }
    events.extend(tally.end_minute());
    assert!(events.len() <= 4 * KINDS_MAX + GRANTS_MAX as usize + 1, "{}", events.len());
    assert_eq!(counted(&events), (1_000, 100_000, 100_000));
}

#[test]
fn a_rejection_that_comes_again_is_one_event_more_and_keeps_no_refusal_out() {
    let (mut tally, begun) = (AttemptTally::default(), Utc::now());
    let at = |second| begun + Duration::from_secs(second);
    let first = tally.take_in(rejected(1, "already-judged"), at(0));
    assert!(matches!(first, Some(E::CommandRejected { count: 1, .. })), "{first:?}");
    for second in 1..=40 {
        assert_eq!(tally.take_in(rejected(1, "already-judged"), at(second)), None);
    }
    assert!(tally.take_in(rejected(1, "voided"), at(41)).is_some(), "for another reason");
    for n in 2..=2 * KINDS_MAX as u32 {
        tally.take_in(rejected(n, "already-judged"), at(42));
    }
    assert!(tally.take_in(refused(1, "wrong-secret"), at(43)).is_some(), "beside all of them");
    let left = tally.end_minute();
    let [
        E::CommandRejected { count: 40, first_at, last_at, .. },
        E::AttemptsSummed { granted: 0, refused: 0, rejected, .. },
    ] = &left[..]
    else {
        panic!("{left:?}");
    };
    assert_eq!((*first_at, *last_at), (at(1), at(40)));
    assert_eq!(*rejected, KINDS_MAX as u64 + 1);
}

struct World {
    log: Arc<dyn EventLog>,
    recorder: AttemptRecorder,
    noted: NotedAttempts,
    _database: TestDatabase,
}

async fn world() -> World {
    let database = fresh_database().await;
    let log: Arc<dyn EventLog> = Arc::new(PostgresEventLog::new(database.pool()));
    let (recorder, noted) = AttemptRecorder::new();
    World { log, recorder, noted, _database: database }
}

async fn recorded(log: &dyn EventLog) -> Vec<Arc<Recorded>> {
    log.read_all(Position(0), 10_000).await.unwrap().events
}

#[tokio::test]
async fn what_was_noted_is_in_the_log_when_it_is_stopped_in_order() {
    let World { log, recorder, noted, _database } = world().await;
    for _ in 0..7 {
        recorder.note(refused(1, "wrong-secret"));
    }
    recorder.note(granted(1));
    let stop = Shutdown::new();
    stop.request();
    record_attempts(noted, Arc::clone(&log), "command-api", stop).await;
    let events = recorded(&*log).await;
    assert!(events.iter().all(|event| event.stream.aggregate_type == AccessAttempts::TYPE));
    let actor = events[0].metadata.actor.as_ref().unwrap();
    assert_eq!((actor.subject.as_str(), actor.roles.join(" ")), ("command-api", "service".into()));
    let events: Vec<_> =
        events.iter().map(|event| event.decode::<AccessAttempts>().unwrap()).collect();
    assert_eq!((events.len(), counted(&events)), (3, (1, 7, 0)));
}

#[tokio::test]
async fn the_first_of_a_kind_is_in_the_log_before_the_minute_ends() {
    let World { log, recorder, noted, _database } = world().await;
    let (stop, mut writer) =
        (Shutdown::new(), AttemptWriter::new(noted, Arc::clone(&log), "query-api"));
    let writing = writer.run_until(&stop, NEVER);
    let looking = async {
        recorder.note(refused(1, "revoked-token"));
        while recorded(&*log).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.request();
    };
    tokio::time::timeout(NEVER, async { tokio::join!(writing, looking) }).await.unwrap();
    assert_eq!(recorded(&*log).await.len(), 1);
}

#[tokio::test]
async fn whoever_notes_waits_for_nobody_and_what_finds_no_place_is_counted() {
    let World { log, recorder, noted, _database } = world().await;
    let flood = 3 * WAITING_MAX as u32;
    // Nobody takes them meanwhile.
    for n in 0..flood {
        recorder.note(refused(n, "missing-token"));
        recorder.note(rejected(n, "already-judged"));
        recorder.note(granted(n));
    }
    let mut writer = AttemptWriter::new(noted, Arc::clone(&log), "command-api");
    writer.flush().await;
    let events: Vec<_> = recorded(&*log)
        .await
        .iter()
        .map(|event| event.decode::<AccessAttempts>().unwrap())
        .collect();
    assert_eq!(counted(&events), (flood.into(), flood.into(), flood.into()));
    assert!(events.len() <= 4 * KINDS_MAX + GRANTS_MAX as usize + 1, "{}", events.len());
}

/// Fails twice: once instead of an append, and once after it.
#[derive(Default)]
struct AwayTwice(AtomicU64);

impl Interception for AwayTwice {
    fn append<'a>(
        &'a self,
        log: &'a dyn EventLog,
        append: Append,
    ) -> BoxFuture<'a, Result<Appended, AppendError>> {
        async move {
            let away = || AppendError::Log(EventLogError::Unavailable("away".into()));
            match self.0.fetch_add(1, Ordering::SeqCst) {
                0 => Err(away()),
                1 => {
                    log.append(append).await?;
                    Err(away())
                }
                _ => log.append(append).await,
            }
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_log_that_was_away_has_everything_once_in_the_end() {
    let World { log, recorder, noted, _database } = world().await;
    let away: Arc<dyn EventLog> =
        Arc::new(InterceptedLog::over(Arc::clone(&log), AwayTwice::default()));
    let mut writer = AttemptWriter::new(noted, away, "command-api");
    for n in 0..3 {
        recorder.note(refused(n, "locked-out"));
    }
    writer.flush().await;
    assert_eq!(recorded(&*log).await.len(), 3);
}
