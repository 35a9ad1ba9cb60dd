//! Several workers share the boards; what one leaves, the others take over; each board is judged once.

use std::sync::Arc;
use std::time::Duration;

use boards::GeneratedBoard;
use domain::{InspectionEvent, InspectionId, Judgement, PixelBox};
use inference_worker::worker::PARTITIONS;

use crate::engines::Place;
use crate::line::{CONCURRENCY, Line, Running, boards_of_one_part, crops_of, png, results, until};

/// How many partitions each owner holds, the fewest first.
async fn shares(line: &Line) -> Vec<i64> {
    sqlx::query_scalar(
        "SELECT count(*) FROM follower_leases WHERE owner IS NOT NULL AND expires_at >= now()
         GROUP BY owner ORDER BY 1",
    )
    .fetch_all(&line.database.pool())
    .await
    .unwrap()
}

async fn until_shares(line: &Line, expected: &[i64]) {
    until("a fair share each", async || (shares(line).await == expected).then_some(())).await;
}

/// The boards that are inspected, all of one part and each with flaws of its own, and a place of networks
/// that says how much it was asked.
struct Boards {
    kinds: Vec<GeneratedBoard>,
    place: Arc<Place>,
}

/// An inspection, and which of the boards is inspected.
type Inspected = (InspectionId, usize);

impl Boards {
    async fn set_up() -> (Self, Line) {
        let kinds = boards_of_one_part(5);
        let place = Place::new();
        let line = Line::comparing_by(Arc::clone(&place) as _).await;
        line.register_golden(&kinds[0].golden).await;
        (Self { kinds, place }, line)
    }

    /// Begins inspections of so many boards.
    async fn inspect(&self, line: &Line, count: usize) -> Vec<Inspected> {
        let mut inspections = Vec::new();
        for kind in (0..self.kinds.len()).cycle().take(count) {
            inspections.push((line.inspect(png(&self.kinds[kind].test)).await, kind));
        }
        inspections
    }

    /// Waits for the judgements: one of each board, by the findings on its own picture.
    async fn each_is_judged_once(&self, line: &Line, inspections: &[Inspected]) {
        for (inspection, kind) in inspections {
            assert_eq!(line.judged(*inspection).await.0, Judgement::Fail);
            let events = line.events(*inspection).await;
            let is_judgement =
                |e: &&InspectionEvent| matches!(e, InspectionEvent::InspectionJudged { .. });
            assert_eq!((results(&events), events.iter().filter(is_judgement).count()), (1, 1));
            let found = findings(&events);
            for (other, board) in self.kinds.iter().enumerate() {
                let is_own = hits(&found, board) * 2 > board.defects.len().max(found.len());
                assert_eq!(is_own, other == *kind, "board {kind} as {other}: {found:?}");
            }
        }
    }

    /// How many crops these boards have: so many are answered when none is compared twice.
    fn count_crops<'a>(&self, inspections: impl IntoIterator<Item = &'a Inspected>) -> usize {
        let of_kind: Vec<_> = self.kinds.iter().map(|board| crops_of(board).len()).collect();
        inspections.into_iter().map(|(_, kind)| of_kind[*kind]).sum()
    }
}

/// What was found on the only picture.
fn findings(events: &[InspectionEvent]) -> Vec<PixelBox> {
    let found = events.iter().find_map(|event| match event {
        InspectionEvent::InferenceCompleted { defects, .. } => Some(defects),
        _ => None,
    });
    found.expect("a comparison").iter().map(|defect| defect.bounds).collect()
}

/// How many flaws of the board were found.
fn hits(found: &[PixelBox], board: &GeneratedBoard) -> usize {
    let is_found = |flaw: &PixelBox| found.iter().any(|place| place.iou(flaw) > 0.0);
    board.defects.iter().filter(|(_, flaw)| is_found(flaw)).count()
}

async fn stop(workers: impl IntoIterator<Item = Running>) {
    for worker in workers {
        worker.stop().await;
    }
}

/// Waits until every partition is done up to here.
async fn until_done(line: &Line, position: i64) {
    until("the checkpoints move", async || {
        let lowest: i64 = sqlx::query_scalar("SELECT min(position) FROM follower_leases")
            .fetch_one(&line.database.pool())
            .await
            .unwrap();
        (lowest >= position).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_and_four_workers_share_the_boards_and_each_board_is_judged_once() {
    let (boards, mut line) = Boards::set_up().await;
    // So long that a busy machine takes no share from a worker that is alive, which would be double work.
    line.lease = Duration::from_secs(5);
    let mut workers = vec![line.start_worker(), line.start_worker()];
    until_shares(&line, &[8, 8]).await;
    let first = boards.inspect(&line, 10).await;
    boards.each_is_judged_once(&line, &first).await;
    workers.extend([line.start_worker(), line.start_worker()]);
    let more = boards.inspect(&line, 10).await;
    until_shares(&line, &[4, 4, 4, 4]).await;
    boards.each_is_judged_once(&line, &more).await;
    stop(workers).await;
    assert_eq!(shares(&line).await, [0; 0]);
    let crops = boards.count_crops(first.iter().chain(&more));
    assert_eq!(boards.place.crops(), crops, "what one worker compares, no other does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_a_worker_that_is_killed_moves_and_nothing_of_it_is_lost_or_judged_twice() {
    let (boards, mut line) = Boards::set_up().await;
    line.lease = Duration::from_secs(2);
    let (killed, other) = (line.start_worker(), line.start_worker());
    until_shares(&line, &[8, 8]).await;
    let inspections = boards.inspect(&line, 16).await;
    killed.kill().await;
    let more = boards.inspect(&line, 4).await;
    until_shares(&line, &[i64::from(PARTITIONS)]).await;
    boards.each_is_judged_once(&line, &inspections).await;
    boards.each_is_judged_once(&line, &more).await;
    other.stop().await;
    let crops = boards.count_crops(inspections.iter().chain(&more));
    let largest =
        (0..boards.kinds.len()).map(|kind| boards.count_crops([&(inspections[0].0, kind)]));
    let under_way = CONCURRENCY * largest.max().unwrap();
    let answered = boards.place.crops();
    assert!((crops..=crops + under_way).contains(&answered), "{answered} instead of {crops}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_ends_in_good_order_leaves_its_share_at_once() {
    let (boards, mut line) = Boards::set_up().await;
    line.lease = Duration::from_secs(600);
    let first = line.start_worker();
    let inspections = boards.inspect(&line, 3).await;
    boards.each_is_judged_once(&line, &inspections).await;
    first.stop().await;
    let inspections = boards.inspect(&line, 3).await;
    let next = line.start_worker();
    boards.each_is_judged_once(&line, &inspections).await;
    next.stop().await;
    assert_eq!(boards.place.crops(), 2 * boards.count_crops(&inspections));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delivered_again_from_the_beginning_changes_nothing() {
    let (boards, line) = Boards::set_up().await;
    let inspections = boards.inspect(&line, 3).await;
    let worker = line.start_worker();
    boards.each_is_judged_once(&line, &inspections).await;
    let head = line.log.head().await.unwrap();
    until_done(&line, head.0).await;
    worker.stop().await;
    sqlx::query("UPDATE follower_leases SET position = 0")
        .execute(&line.database.pool())
        .await
        .unwrap();
    let worker = line.start_worker();
    until_done(&line, head.0).await;
    worker.stop().await;
    assert_eq!(line.log.head().await.unwrap(), head);
    boards.each_is_judged_once(&line, &inspections).await;
    assert_eq!(boards.place.crops(), boards.count_crops(&inspections), "nothing is compared again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_engine_is_away_leaves_its_share_to_one_whose_engine_is_not_and_comes_back()
{
    let (boards, line) = Boards::set_up().await;
    let place = Place::new();
    let (lame, well) = (line.start_worker_by(Arc::clone(&place) as _), line.start_worker());
    until_shares(&line, &[8, 8]).await;
    place.goes_away();
    let inspections = boards.inspect(&line, 16).await;
    boards.each_is_judged_once(&line, &inspections).await;
    until_shares(&line, &[i64::from(PARTITIONS)]).await;

    let refused = place.refused();
    until("its engine is asked all the same", async || (place.refused() > refused).then_some(()))
        .await;
    place.comes_back();
    until_shares(&line, &[8, 8]).await;
    let asked = place.asked();
    let inspections = boards.inspect(&line, 16).await;
    boards.each_is_judged_once(&line, &inspections).await;
    assert!(place.asked() > asked, "it does its share again");
    stop([lame, well]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_whose_engines_are_all_away_keep_their_shares_and_wait() {
    let (boards, line) = Boards::set_up().await;
    let place = &boards.place;
    let workers = [line.start_worker(), line.start_worker()];
    until_shares(&line, &[8, 8]).await;
    place.goes_away();
    let inspections = boards.inspect(&line, 16).await;
    until("both say that they are not able", async || {
        let unable = "SELECT count(*) FROM follower_members WHERE NOT is_able";
        let unable: i64 =
            sqlx::query_scalar(unable).fetch_one(&line.database.pool()).await.unwrap();
        (unable == 2).then_some(())
    })
    .await;
    until_shares(&line, &[8, 8]).await;
    place.comes_back();
    boards.each_is_judged_once(&line, &inspections).await;
    until_shares(&line, &[8, 8]).await;
    stop(workers).await;
}
