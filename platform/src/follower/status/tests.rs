//! What readiness and the gauges say of followers that come, fail, wait and go on.

use super::*;

#[tokio::test]
async fn readiness_says_which_follower_is_interrupted_and_why_until_it_follows_again() {
    let followers = Followers::new();
    let (one, two) = (followers.register("one"), followers.register("two"));
    one.follow_from(Position(3));
    two.interrupt(&sqlx::Error::PoolClosed);
    let FollowerState::Interrupted { since, .. } = two.state() else { panic!() };
    two.interrupt(&sqlx::Error::WorkerCrashed);
    let error = sqlx::Error::WorkerCrashed.to_string();
    assert_eq!(two.state(), FollowerState::Interrupted { since, error: error.clone() });
    let checks = followers.checks().await;
    assert_eq!(checks[0], Check::new("follower:one", Ok(())));
    assert!(!checks[1].ready && checks[1].detail.as_ref().unwrap().ends_with(&error));
    two.follow_from(Position(0));
    assert!(followers.checks().await.iter().all(|check| check.ready));
}

#[test]
fn position_and_lag_are_measured_by_the_farthest_end_that_anybody_saw() {
    crate::metrics::install().unwrap();
    let followers = Followers::new();
    let (slow, fast) = (followers.register("slow"), followers.register("fast"));
    let _idle = followers.register("idle");
    slow.advance(Position(5), Position(6));
    fast.advance(Position(9), Position(9));
    slow.interrupt(&sqlx::Error::PoolClosed);
    let text = crate::metrics::gather_text().unwrap();
    let value = |metric: &str, follower: &str| {
        let is_it = |line: &&str| {
            line.starts_with(metric) && line.contains(&format!("follower=\"{follower}\""))
        };
        text.lines().find(is_it).map(|line| line.rsplit(' ').next().unwrap().to_owned())
    };
    assert_eq!(value("chipq_follower_lag", "slow").as_deref(), Some("4"), "{text}");
    assert_eq!(value("chipq_follower_lag", "fast").as_deref(), Some("0"));
    assert_eq!(value("chipq_follower_position", "slow").as_deref(), Some("5"));
    assert_eq!(value("chipq_follower_interruptions", "slow").as_deref(), Some("1"));
    assert_eq!(value("chipq_follower_position", "idle"), None);
}

/// A follower that was interrupted, and since when.
fn interrupted() -> (FollowerStatus, FollowerState) {
    let status = Followers::new().register("unlucky");
    status.resume_from(Position(3));
    assert_eq!(status.state(), FollowerState::Following, "nothing was in its way before");
    status.interrupt(&sqlx::Error::PoolClosed);
    let state = status.state();
    (status, state)
}

#[test]
fn an_interruption_is_shown_until_the_follower_gets_anywhere() {
    let (status, before) = interrupted();
    status.wait_for_ownership();
    assert_eq!((status.state(), status.position()), (before.clone(), None));
    status.resume_from(Position(3));
    assert_eq!((status.state(), status.position()), (before.clone(), Some(Position(3))));
    assert!(!status.take_advance());
    status.interrupt(&sqlx::Error::PoolClosed);
    assert_eq!(status.state(), before, "since the first time");
    status.advance(Position(4), Position(9));
    assert_eq!(status.state(), FollowerState::Following);
    assert!(status.take_advance() && !status.take_advance());
}

#[test]
fn who_stands_by_for_long_is_well_although_it_was_interrupted_before() {
    let (status, before) = interrupted();
    status.wait_for_ownership();
    let waits_since = Instant::now().checked_sub(STANDBY_TRUSTED_AFTER).unwrap();
    status.progress().waits_since = Some(waits_since);
    assert_eq!(status.state(), before);
    status.wait_for_ownership();
    assert_eq!(status.state(), FollowerState::StandingBy);
}

#[test]
fn who_only_stood_by_when_it_was_interrupted_is_well_as_soon_as_it_stands_by_again() {
    let status = Followers::new().register("spare");
    status.wait_for_ownership();
    for _ in 0..2 {
        status.interrupt(&sqlx::Error::PoolClosed);
        assert!(status.is_interrupted());
    }
    status.wait_for_ownership();
    assert_eq!(status.state(), FollowerState::StandingBy);
}

#[test]
fn who_fails_as_the_owner_right_after_it_stood_by_is_not_well_when_it_stands_by_again() {
    let status = Followers::new().register("turns");
    status.wait_for_ownership();
    status.become_owner();
    status.interrupt(&sqlx::Error::PoolClosed);
    status.wait_for_ownership();
    assert!(status.is_interrupted(), "it failed before it knew from where on");

    let status = Followers::new().register("promoted");
    status.wait_for_ownership();
    status.interrupt(&sqlx::Error::PoolClosed);
    status.become_owner();
    status.interrupt(&sqlx::Error::PoolClosed);
    status.wait_for_ownership();
    assert!(status.is_interrupted(), "it only stood by the first time");
}
