//! Sessions that fail, are fenced off, wait and follow, and what is said of them meanwhile.

use std::sync::{Arc, Mutex};

use super::*;
use crate::event_log::postgres::PostgresEventLog;
use crate::event_log::{Append, EventLog as _, EventMetadata, NewEvent, StreamId};
use crate::follower::status::{FollowerState, Followers};
use crate::test_support::fresh_database;

/// Fails three times, gets somewhere, is fenced off, then follows.
struct Unlucky(u32);

impl Follower for Unlucky {
    async fn follow(&mut self, status: &FollowerStatus) -> Result<Infallible, FollowError> {
        self.0 += 1;
        match self.0 {
            1..=3 => Err(FollowError::failed("the other end is away")),
            4 => {
                status.follow_from(Position(1));
                status.advance(Position(2), Position(9));
                Err(FollowError::Fenced)
            }
            _ => {
                status.follow_from(Position(7));
                std::future::pending().await
            }
        }
    }
}

#[tokio::test]
async fn a_follower_is_tried_again_until_it_follows_and_ends_with_the_shutdown() {
    let (followers, shutdown) = (Followers::new(), Shutdown::new());
    let status = followers.register("unlucky");
    let running = tokio::spawn(run_follower(Unlucky(0), status.clone(), shutdown.clone()));
    let following = async {
        while status.position() != Some(Position(7)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), following).await.expect("it follows");
    assert_eq!(status.state(), FollowerState::Following);
    shutdown.request();
    running.await.unwrap();
}

/// Becomes the owner and fails then, each time but for the last.
struct Helpless {
    failures: usize,
    seen: Arc<Mutex<Vec<FollowerState>>>,
}

impl Follower for Helpless {
    async fn follow(&mut self, status: &FollowerStatus) -> Result<Infallible, FollowError> {
        status.wait_for_ownership();
        self.seen.lock().unwrap().push(status.state());
        status.resume_from(Position(5));
        self.seen.lock().unwrap().push(status.state());
        if self.failures == 0 {
            std::future::pending::<()>().await;
        }
        self.failures -= 1;
        Err(FollowError::failed("it cannot be written"))
    }
}

#[tokio::test]
async fn a_follower_that_fails_after_each_take_over_is_shown_as_interrupted_all_the_time() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let status = Followers::new().register("helpless");
    let follower = Helpless { failures: 4, seen: Arc::clone(&seen) };
    let running = tokio::spawn(run_follower(follower, status.clone(), Shutdown::new()));
    let trying = async {
        while seen.lock().unwrap().len() < 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), trying).await.expect("it tries again");
    running.abort();
    let seen = seen.lock().unwrap();
    assert_eq!(seen[..2], [FollowerState::StandingBy, FollowerState::Following]);
    assert!(matches!(seen[2], FollowerState::Interrupted { .. }), "{seen:?}");
    assert!(seen[2..].iter().all(|state| *state == seen[2]), "{seen:?}");
}

#[tokio::test]
async fn who_has_nothing_to_do_is_well_and_who_has_is_so_once_it_is_done() {
    let database = fresh_database().await;
    let log = Arc::new(PostgresEventLog::new(database.pool()));
    let tail = LogTail::new(log.clone());
    let status = Followers::new().register("idle");
    status.interrupt(&sqlx::Error::PoolClosed);
    begin_following(&tail, Position(0), &status).await.unwrap();
    assert_eq!(status.state(), FollowerState::Following);

    status.interrupt(&sqlx::Error::PoolClosed);
    let event = NewEvent {
        event_type: "Happened".into(),
        event_version: "1".into(),
        payload: serde_json::json!({}),
        labels: domain::EventLabels::default(),
    };
    let stream = StreamId { aggregate_type: "test".into(), aggregate_id: "a".into() };
    let append = Append::new(stream, 0, vec![event], EventMetadata::by_service("test"));
    log.append(append).await.unwrap();
    let before = status.state();
    let mut follow = begin_following(&tail, Position(0), &status).await.unwrap();
    assert_eq!(status.state(), before);
    let page = follow.next_page(9).await.unwrap();
    status.advance(page.up_to, page.head);
    assert_eq!(status.state(), FollowerState::Following);
}
