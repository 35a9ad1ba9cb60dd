//! A log that goes back to an earlier state and gives positions out again.

use super::*;

#[tokio::test]
async fn who_is_past_what_was_restored_is_told_and_nobody_gets_what_was_forgotten() {
    let log = FakeLog::new(1..=9);
    let tail = LogTail::new(log.clone());
    let (mut past, mut before) = (tail.follow(Position(0)), tail.follow(Position(0)));
    assert_eq!(positions_until(&mut past, 9, 20).await, (1..=9).collect::<Vec<_>>());
    assert_eq!(positions_until(&mut before, 4, 4).await, [1, 2, 3, 4]);

    log.restore(5);
    log.put([7, 8, 9, 10, 11]);
    let mut begins_now = tail.follow(Position(5));
    assert_eq!(positions_until(&mut begins_now, 11, 20).await, [7, 8, 9, 10, 11]);
    assert_eq!(positions_until(&mut before, 11, 20).await, [5, 7, 8, 9, 10, 11], "5 was kept");
    let told = past.next_page(20).await.unwrap_err();
    assert!(matches!(told, EventLogError::Reissued { after: Position(5) }), "{told}");
}

#[tokio::test]
async fn who_waits_is_told_also_when_somebody_else_finds_out_first() {
    let log = FakeLog::new(1..=9);
    let tail = LogTail::new(log.clone());
    let mut past = tail.follow(Position(0));
    assert_eq!(positions_until(&mut past, 9, 20).await.len(), 9);
    let waiting = tokio::spawn(async move { past.next_page(20).await });
    while tail.shared.state().waiting == 0 {
        tokio::task::yield_now().await;
    }
    log.restore(5);
    let mut begins_now = tail.follow(Position(3));
    assert_eq!(positions_until(&mut begins_now, 5, 20).await, [4, 5]);
    let told = tokio::time::timeout(PATIENCE, waiting).await.expect("it is told").unwrap();
    assert!(matches!(told, Err(EventLogError::Reissued { after: Position(5) })));
}

#[tokio::test]
async fn who_waits_at_the_end_of_what_was_forgotten_is_told_before_the_log_comes_there_again() {
    let log = FakeLog::new(1..=9);
    let tail = LogTail::new(log.clone());
    let mut past = tail.follow(Position(0));
    assert_eq!(positions_until(&mut past, 9, 20).await.len(), 9);
    let waiting = tokio::spawn(async move { past.next_page(20).await });
    while tail.shared.state().waiting == 0 {
        tokio::task::yield_now().await;
    }
    log.restore(5);
    let told = tokio::time::timeout(PATIENCE, waiting).await.expect("it is told").unwrap();
    assert!(matches!(told, Err(EventLogError::Reissued { after: Position(5) })));
}
