//! What came of it all: in the log, in the read models, and to the subscriber.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use crate::feed::Change;
use crate::line::Board;
use crate::station::Station;
use crate::verdict::Verdict;

/// How long boards may take to be judged at the end, on hardware that may be busy.
const JUDGED_WITHIN: Duration = Duration::from_secs(120);

/// Every board gets the verdict that its picture gets without a platform, and no other's.
pub(crate) async fn check_verdicts(url: &str, boards: &[Board], of_pairs: &[Verdict]) {
    let station = Station::sign_in(url).await;
    let deadline = Instant::now() + JUDGED_WITHIN;
    for board in boards {
        let judged = loop {
            if let Some(judged) = Verdict::read(&station, &board.inspection_id).await {
                break judged;
            }
            assert!(Instant::now() < deadline, "{} is not judged", board.lot);
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let expected = &of_pairs[board.pair];
        assert!(judged.agrees_with(expected), "{}: {judged:#?}, not {expected:#?}", board.lot);
    }
}

/// Every inspection in the log is one that was pushed, once, with the events of one board and no others; what the
/// subscriber saw is that, in order. Returns the position of the last one.
pub(crate) async fn check_log(database: &str, boards: &[Board]) -> Vec<Change> {
    let mut database = PgConnection::connect(database).await.unwrap();
    let events: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT position, event_type, aggregate_id FROM events
         WHERE aggregate_type = 'inspection' ORDER BY position",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let created: Vec<(String, i64)> = sqlx::query_as(
        "SELECT payload->>'lot', count(*) FROM events
         WHERE event_type = 'InspectionCreated' GROUP BY 1",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    assert_eq!(created.len(), boards.len(), "every board that was begun was finished");
    assert!(created.iter().all(|(_, times)| *times == 1), "{created:?}");
    let reports: i64 = sqlx::query_scalar("SELECT count(*) FROM read.reports")
        .fetch_one(&mut database)
        .await
        .unwrap();
    assert_eq!(reports, boards.len() as i64, "one report per board");
    let mut streams: BTreeMap<&str, Vec<(&str, i64)>> = BTreeMap::new();
    for (position, event, stream) in &events {
        streams.entry(stream).or_default().push((event, *position));
    }
    for board in boards {
        check_stream(board, &streams[board.inspection_id.as_str()]);
    }
    events
}

fn check_stream(board: &Board, stream: &[(&str, i64)]) {
    let mut events: Vec<_> = stream.iter().map(|(event, _)| *event).collect();
    events.sort_unstable();
    let expected = [
        "ArtifactReserved",
        "ArtifactUploaded",
        "InferenceCompleted",
        "InferenceRequested",
        "InspectionCreated",
        "InspectionJudged",
    ];
    assert_eq!(events, expected, "the events of {}", board.lot);
    assert!(board.positions.len() >= 3, "answers name their position in the log");
    for promised in &board.positions {
        let kept = stream.iter().any(|(_, position)| position == promised);
        assert!(kept, "{}: position {promised} was answered and is not in the log", board.lot);
    }
}
