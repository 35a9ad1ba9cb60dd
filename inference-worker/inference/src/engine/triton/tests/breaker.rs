//! When Triton is left alone, and when it is asked again.

use super::super::resilience::{Attempts, Breaker};
use super::*;

/// The first pause is a sixteenth of it, half a second.
const LONGEST: Duration = Duration::from_secs(8);

/// A breaker, and a clock that stands still until it is moved.
struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn new(failures: u32) -> Self {
        Self { breaker: Breaker::new(failures, LONGEST), now: Instant::now() }
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    fn is_open(&self) -> bool {
        self.breaker.admit(self.now).is_err()
    }

    fn fail(&self) {
        self.breaker.admit(self.now).expect("let through").failed("away", self.now);
    }

    fn succeed(&self) {
        self.breaker.admit(self.now).expect("let through").succeeded();
    }
}

#[test]
fn only_failures_in_a_row_open_the_breaker() {
    let bench = Bench::new(3);
    for _ in 0..5 {
        bench.fail();
        bench.fail();
        bench.succeed();
    }
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
    (0..3).for_each(|_| bench.fail());
    assert_eq!(bench.breaker.state(), BreakerState::Open);
    let open = bench.breaker.admit(bench.now).expect_err("not let through").to_string();
    assert!(open.contains("away"), "{open}");
}

#[test]
fn after_the_pause_one_request_shows_whether_the_others_may_follow() {
    let mut bench = Bench::new(1);
    bench.fail();
    bench.pass(249);
    assert!(bench.is_open(), "the pause is at least 250 ms");
    bench.pass(252);
    let probe = bench.breaker.admit(bench.now).expect("the pause is at most 500 ms");
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    assert!(bench.is_open(), "to a second one");
    probe.succeeded();
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
    bench.succeed();
}

#[test]
fn pauses_grow_up_to_the_longest() {
    let mut bench = Bench::new(1);
    bench.fail();
    for pause in [500, 1_000, 2_000, 4_000, 8_000, 8_000] {
        bench.pass(pause / 2 - 1);
        assert!(bench.is_open(), "before half of {pause}");
        bench.pass(pause / 2 + 2);
        bench.fail();
    }
}

#[test]
fn an_abandoned_probe_makes_room_for_the_next() {
    let mut bench = Bench::new(1);
    bench.fail();
    bench.pass(501);
    drop(bench.breaker.admit(bench.now).expect("the probe"));
    assert_eq!(bench.breaker.state(), BreakerState::Open);
    bench.succeed();
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
}

#[test]
fn late_failures_of_requests_from_before_do_not_prolong_the_pause() {
    let bench = Bench::new(1);
    let early = bench.breaker.admit(bench.now).expect("let through");
    bench.fail();
    let later = bench.now + Duration::from_millis(501);
    let probe = bench.breaker.admit(later).expect("the probe");
    early.failed("away", later);
    assert_eq!(bench.breaker.state(), BreakerState::HalfOpen);
    probe.succeeded();
    assert_eq!(bench.breaker.state(), BreakerState::Closed);
}

#[test]
fn attempts_are_counted_and_their_pauses_doubled_with_jitter() {
    let mut attempts = Attempts::new(8, Duration::from_millis(50));
    for longest in [50, 100, 200, 400, 800, 1_000, 1_000] {
        let pause = attempts.next().expect("an attempt").as_micros();
        assert!((longest * 500..=longest * 1_000).contains(&pause), "{pause} µs of {longest} ms");
    }
    assert_eq!(attempts.next(), None);
    assert_eq!(Attempts::new(1, Duration::from_millis(50)).next(), None);
}

#[tokio::test]
async fn while_the_breaker_is_open_nothing_is_sent_and_readiness_says_so() {
    let rig = rig().await;
    rig.fake.then(vec![Turn::Fail(Code::Unavailable, "shutting down"); 5]);
    assert!(unavailable(&rig.infer().await, "shutting down"));
    assert_eq!(rig.asked(), 5);
    assert_eq!(rig.models.breakers(), [(shipped(), BreakerState::Open)]);
    assert!(unavailable(&rig.infer().await, "left alone"));
    assert_eq!(rig.asked(), 5);
    assert!(matches!(rig.models.ready().await, Err(EngineError::Unavailable { .. })));
}

#[tokio::test]
async fn when_the_server_is_back_the_work_resumes_by_itself() {
    let rig = rig_with(TritonConfig { triton_breaker_pause_ms: 16, ..quick() }).await;
    rig.fake.then(vec![Turn::Fail(Code::Unavailable, "shutting down"); 7]);
    let mut answer = rig.infer().await;
    assert!(answer.is_err());
    while answer.is_err() {
        assert!(matches!(answer, Err(EngineError::Unavailable { .. })), "{answer:?}");
        tokio::task::yield_now().await;
        answer = rig.infer().await;
    }
    assert_eq!(rig.asked(), 8);
    assert_eq!(rig.models.breakers(), [(shipped(), BreakerState::Closed)]);
    assert_eq!(rig.models.ready().await, Ok(()));
}
