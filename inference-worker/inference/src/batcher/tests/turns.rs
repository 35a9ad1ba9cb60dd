//! Pictures take turns, and so many of them at a time.

use super::*;

#[tokio::test]
async fn a_panel_keeps_other_boards_waiting_for_a_batch_and_not_for_all_of_its_own() {
    let echo = Echo::any();
    echo.hold();
    let batcher = start(&echo, closing_soon(4));
    let ask_for = |numbers: Vec<i8>| {
        let batcher = batcher.clone();
        let answers = async move { batcher.infer(&crops(&numbers)).await.unwrap().outputs.len() };
        tokio::spawn(answers)
    };
    let panel = ask_for((1..=40).collect());
    echo.has(1).await;
    let boards = [ask_for(vec![51, 52]), ask_for((53..=58).collect())];
    settle().await;
    echo.permits.add_permits(100);
    let mut answered = Vec::new();
    for asked in boards.into_iter().chain([panel]) {
        answered.push(asked.await.unwrap());
    }
    assert_eq!(answered, [2, 6, 40]);
    let batches = echo.batches();
    let batch_of = |number: i8| batches.iter().position(|batch| batch.contains(&number)).unwrap();
    assert!(batch_of(52) <= 2 && batch_of(58) <= 5, "{batches:?}");
    assert_eq!(batches.len(), 12, "and no batch is sent emptier for that");
    let of_panel: Vec<_> = batches.concat().into_iter().filter(|n| *n <= 40).collect();
    assert!(of_panel.is_sorted(), "{of_panel:?}");
}

#[tokio::test]
async fn no_more_requests_take_turns_than_may_wait() {
    let echo = Echo::any();
    echo.hold();
    let config = BatchingConfig { delay: Duration::ZERO, queue: 2, ..closing_at(1) };
    let batcher = start(&echo, config);
    let ask_one = |number: i8| {
        let batcher = batcher.clone();
        tokio::spawn(async move { batcher.infer(&crops(&[number])).await })
    };
    let mut asked = vec![ask_one(1)];
    echo.has(1).await;
    asked.extend((2..=9).map(ask_one));
    settle().await;
    // Room for one batch: two requests take turns, one of them is sent, two more wait.
    echo.permits.add_permits(1);
    echo.has(2).await;
    settle().await;
    assert_eq!(batcher.queue.capacity(), 0, "the others wait to get in");
    echo.permits.add_permits(16);
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(echo.batches().len(), 9);
}
