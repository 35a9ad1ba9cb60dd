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

#[tokio::test]
async fn nobody_gets_what_a_log_has_lost_that_ends_before_what_is_kept_of_it() {
    let log = FakeLog::new(1..=9);
    let tail = LogTail::new(log.clone());
    let mut past = tail.follow(Position(0));
    assert_eq!(positions_until(&mut past, 9, 20).await.len(), 9);
    let mut between = tail.follow(Position(7));
    between.incarnation().await.unwrap();
    log.cut(5);

    let mut begins_now = tail.follow(Position(3));
    assert_eq!(positions_until(&mut begins_now, 5, 20).await, [4, 5]);
    log.put([6, 8, 10, 11]);
    assert_eq!(positions_until(&mut begins_now, 11, 20).await, [6, 8, 10, 11]);
    for lost in [&mut past, &mut between] {
        let told = lost.next_page(20).await.unwrap_err();
        let EventLogError::EndsBefore { end, place } = told else { panic!("{told}") };
        assert_eq!((end, place), (Position(5), Position(9)), "though the log has come past it");
    }
}

#[tokio::test]
async fn who_waits_at_the_end_of_a_log_that_is_cut_is_told() {
    let log = FakeLog::new(1..=9);
    let tail = LogTail::new(log.clone());
    let mut past = tail.follow(Position(0));
    assert_eq!(positions_until(&mut past, 9, 20).await.len(), 9);
    log.cut(5);
    let told = tokio::time::timeout(PATIENCE, past.next_page(20)).await.expect("it is told");
    assert!(matches!(told, Err(EventLogError::EndsBefore { end: Position(5), .. })), "{told:?}");
    let told = tail.follow(Position(9)).next_page(20).await;
    assert!(matches!(told, Err(EventLogError::EndsBefore { .. })), "{told:?}");
}

#[test]
fn a_page_does_not_extend_a_stretch_that_was_begun_anew_while_it_was_read() {
    let log = FakeLog::new(1..=9);
    let (shared, before) = (Shared::default(), log.page(Position(0), 20));
    shared.take_in(Position(0), before, 1);
    log.restore(5);
    // The reader is at 9, and a follower finds out before its page comes.
    let of_the_reader = log.page(Position(9), 20);
    shared.enter(log.history(), Position(5));
    shared.take_in(Position(9), of_the_reader, 1);
    assert_eq!(shared.state().stretch.up_to(), Position(5), "6 to 9 would never be read");
}
