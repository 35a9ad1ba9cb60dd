//! Several workers share the boards; what one leaves, the others take over; each board is judged once.

use std::sync::Arc;
use std::time::Duration;

use domain::{InspectionEvent, InspectionId, Judgement};
use inference_worker::worker::PARTITIONS;

use crate::engines::Place;
use crate::line::{Line, Running, board, png, results, until};

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

async fn inspect(line: &Line, boards: usize) -> Vec<InspectionId> {
    let picture = png(&board(false).test);
    let mut inspections = Vec::new();
    for _ in 0..boards {
        inspections.push(line.inspect(picture.clone()).await);
    }
    inspections
}

async fn each_is_judged_once(line: &Line, inspections: &[InspectionId]) {
    for inspection in inspections {
        assert_eq!(line.judged(*inspection).await.0, Judgement::Fail);
        let events = line.events(*inspection).await;
        let judgements =
            events.iter().filter(|e| matches!(e, InspectionEvent::InspectionJudged { .. })).count();
        assert_eq!((results(&events), judgements), (1, 1));
    }
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
    let line = Line::set_up().await;
    line.register_golden(&board(false).golden).await;
    let mut workers = vec![line.start_worker(), line.start_worker()];
    until_shares(&line, &[8, 8]).await;
    let inspections = inspect(&line, 10).await;
    each_is_judged_once(&line, &inspections).await;
    workers.extend([line.start_worker(), line.start_worker()]);
    let inspections = inspect(&line, 10).await;
    until_shares(&line, &[4, 4, 4, 4]).await;
    each_is_judged_once(&line, &inspections).await;
    stop(workers).await;
    assert_eq!(shares(&line).await, [0; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_share_of_a_worker_that_is_killed_moves_and_nothing_of_it_is_lost_or_judged_twice() {
    let line = Line::set_up().await;
    line.register_golden(&board(false).golden).await;
    let (killed, other) = (line.start_worker(), line.start_worker());
    until_shares(&line, &[8, 8]).await;
    let inspections = inspect(&line, 16).await;
    killed.kill().await;
    let more = inspect(&line, 4).await;
    until_shares(&line, &[i64::from(PARTITIONS)]).await;
    each_is_judged_once(&line, &inspections).await;
    each_is_judged_once(&line, &more).await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_ends_in_good_order_leaves_its_share_at_once() {
    let mut line = Line::set_up().await;
    line.lease = Duration::from_secs(600);
    line.register_golden(&board(false).golden).await;
    let first = line.start_worker();
    let inspections = inspect(&line, 3).await;
    each_is_judged_once(&line, &inspections).await;
    first.stop().await;
    let inspections = inspect(&line, 3).await;
    let next = line.start_worker();
    each_is_judged_once(&line, &inspections).await;
    next.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_delivered_again_from_the_beginning_changes_nothing() {
    let line = Line::set_up().await;
    line.register_golden(&board(false).golden).await;
    let inspections = inspect(&line, 3).await;
    let worker = line.start_worker();
    each_is_judged_once(&line, &inspections).await;
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
    each_is_judged_once(&line, &inspections).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_engine_is_away_leaves_its_share_to_one_whose_engine_is_not_and_comes_back()
{
    let line = Line::set_up().await;
    line.register_golden(&board(false).golden).await;
    let place = Place::new();
    let (lame, well) = (line.start_worker_by(Arc::clone(&place) as _), line.start_worker());
    until_shares(&line, &[8, 8]).await;
    place.goes_away();
    let inspections = inspect(&line, 16).await;
    each_is_judged_once(&line, &inspections).await;
    until_shares(&line, &[i64::from(PARTITIONS)]).await;

    let refused = place.refused();
    until("its engine is asked all the same", async || (place.refused() > refused).then_some(()))
        .await;
    place.comes_back();
    until_shares(&line, &[8, 8]).await;
    let asked = place.asked();
    let inspections = inspect(&line, 16).await;
    each_is_judged_once(&line, &inspections).await;
    assert!(place.asked() > asked, "it does its share again");
    stop([lame, well]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_whose_engines_are_all_away_keep_their_shares_and_wait() {
    let place = Place::new();
    let line = Line::comparing_by(Arc::clone(&place) as _).await;
    line.register_golden(&board(false).golden).await;
    let workers = [line.start_worker(), line.start_worker()];
    until_shares(&line, &[8, 8]).await;
    place.goes_away();
    let inspections = inspect(&line, 16).await;
    until("both say that they are not able", async || {
        let unable = "SELECT count(*) FROM follower_members WHERE NOT is_able";
        let unable: i64 =
            sqlx::query_scalar(unable).fetch_one(&line.database.pool()).await.unwrap();
        (unable == 2).then_some(())
    })
    .await;
    until_shares(&line, &[8, 8]).await;
    place.comes_back();
    each_is_judged_once(&line, &inspections).await;
    until_shares(&line, &[8, 8]).await;
    stop(workers).await;
}
