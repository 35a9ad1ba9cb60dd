//! What the platform has accepted, and whether it kept its word.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

use crate::station::{JUDGED_WITHIN, Station};
use crate::verdict::Verdict;

/// What one accepted answer promises.
pub(crate) struct Accepted {
    /// Where in the log the change is.
    pub(crate) position: Option<i64>,
}

/// A board that was pushed to the end.
pub(crate) struct Board {
    pub(crate) lot: String,
    pub(crate) inspection_id: String,
    /// Which of the pairs its picture is of.
    pub(crate) pair: usize,
    pub(crate) answers: Vec<Accepted>,
}

/// Boards and answers of all lines.
#[derive(Default)]
pub(crate) struct Ledger {
    accepted: AtomicUsize,
    finished: AtomicBool,
    boards: Mutex<Vec<Board>>,
}

impl Ledger {
    pub(crate) fn accept(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, board: Board) {
        self.boards.lock().unwrap().push(board);
    }

    pub(crate) fn boards(&self) -> std::sync::MutexGuard<'_, Vec<Board>> {
        self.boards.lock().unwrap()
    }

    /// Every board gets the verdict that its picture gets without a platform, and no other's.
    pub(crate) async fn check_verdicts(&self, url: &str, of_pairs: &[Verdict]) {
        let station = Station::sign_in(url).await;
        let boards: Vec<(String, usize)> =
            self.boards().iter().map(|b| (b.inspection_id.clone(), b.pair)).collect();
        let deadline = Instant::now() + JUDGED_WITHIN + Duration::from_secs(60);
        for (id, pair) in boards {
            let judged = loop {
                if let Some(judged) = Verdict::read(&station, &id).await {
                    break judged;
                }
                assert!(Instant::now() < deadline, "{id} is not judged");
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            let expected = &of_pairs[pair];
            assert!(judged.agrees_with(expected), "{id}: {judged:#?} instead of {expected:#?}");
        }
    }

    /// Every stream has exactly the events of one board, and every answer's position is in the log.
    pub(crate) async fn check_log(&self, data: &Path) {
        let url = std::fs::read_to_string(data.join("private-postgres-url")).unwrap();
        let mut database = PgConnection::connect(&url).await.unwrap();
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT aggregate_id, event_type, position FROM events
             WHERE aggregate_type = 'inspection' ORDER BY position",
        )
        .fetch_all(&mut database)
        .await
        .unwrap();
        let mut streams: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        for (stream, event, position) in rows {
            streams.entry(stream).or_default().push((event, position));
        }
        let created: Vec<(String, i64)> = sqlx::query_as(
            "SELECT payload->>'lot', count(*) FROM events
             WHERE event_type = 'InspectionCreated' GROUP BY 1",
        )
        .fetch_all(&mut database)
        .await
        .unwrap();
        let reports = self.count_reports(&mut database).await;
        let boards = self.boards();
        assert_eq!(created.len(), boards.len(), "every board was begun and finished");
        for (lot, times) in created {
            assert_eq!(times, 1, "{lot} was created {times} times");
        }
        for board in boards.iter() {
            board.check_stream(streams.get(&board.inspection_id));
        }
        assert_eq!(reports, boards.len() as i64, "one report per board");
    }

    /// Their read model is one of its own, which may be behind the one that says what was judged.
    async fn count_reports(&self, database: &mut PgConnection) -> i64 {
        let (boards, deadline) = (self.boards().len() as i64, Instant::now() + JUDGED_WITHIN);
        loop {
            let reports: i64 = sqlx::query_scalar("SELECT count(*) FROM read.reports")
                .fetch_one(&mut *database)
                .await
                .unwrap();
            if reports >= boards || Instant::now() > deadline {
                return reports;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Board {
    fn check_stream(&self, stream: Option<&Vec<(String, i64)>>) {
        let stream = stream.unwrap_or_else(|| panic!("{} is not in the log", self.lot));
        let mut events: Vec<&str> = stream.iter().map(|(event, _)| event.as_str()).collect();
        events.sort_unstable();
        let expected = [
            "ArtifactReserved",
            "ArtifactUploaded",
            "InferenceCompleted",
            "InferenceRequested",
            "InspectionCreated",
            "InspectionJudged",
        ];
        assert_eq!(events, expected, "the events of {}", self.lot);
        for promised in self.answers.iter().filter_map(|answer| answer.position) {
            let kept = stream.iter().any(|(_, position)| *position == promised);
            assert!(kept, "{}: position {promised} was answered and is not in the log", self.lot);
        }
        let named = self.answers.iter().filter(|answer| answer.position.is_some()).count();
        assert!(named >= 3, "answers name their position in the log");
    }
}
