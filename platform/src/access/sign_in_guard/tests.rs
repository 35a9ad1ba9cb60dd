//! Who waits how long, and who never does.

use super::*;

const HERE: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.1";

fn account(name: &str) -> (&str, PrincipalKind) {
    (name, PrincipalKind::Account)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn fail(guard: &SignInGuard, name: &str, network: &str, now: Instant) -> Result<(), LockedOut> {
    guard.begin_try_at(account(name), network, now).map(|attempt| attempt.fail_at(now))
}

fn succeed(guard: &SignInGuard, name: &str, network: &str, now: Instant) -> Result<(), LockedOut> {
    guard.begin_try_at(account(name), network, now).map(|attempt| attempt.succeed_at(now))
}

#[test]
fn after_five_wrong_ones_each_waits_twice_as_long_as_the_one_before_and_a_quarter_of_an_hour_at_most()
 {
    let (guard, mut now) = (SignInGuard::default(), Instant::now());
    for _ in 0..5 {
        assert_eq!(fail(&guard, "ada", HERE, now), Ok(()));
    }
    for wait in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
        let refused = fail(&guard, "ada", HERE, now).unwrap_err();
        assert_eq!(refused, LockedOut { retry_after: seconds(wait) });
        let almost = now + seconds(wait) - Duration::from_millis(1);
        assert_eq!(fail(&guard, "ada", HERE, almost).unwrap_err().retry_after_s(), 1);
        now += seconds(wait);
        assert_eq!(fail(&guard, "ada", HERE, now), Ok(()));
    }
    let later = now + FORGOTTEN_AFTER + seconds(1);
    for _ in 0..5 {
        assert_eq!(fail(&guard, "ada", HERE, later), Ok(()), "all is forgotten");
    }
}

#[test]
fn whoever_guesses_elsewhere_locks_nobody_out() {
    let (guard, now) = (SignInGuard::default(), Instant::now());
    assert_eq!(succeed(&guard, "ada", HERE, now), Ok(()));
    for n in 0..10_000 {
        let network = format!("10.0.{}.{}", n / 256, n % 256);
        // Most of them are refused.
        let _ = fail(&guard, "ada", &network, now);
    }
    assert_eq!(succeed(&guard, "ada", HERE, now), Ok(()), "where she is known");
    assert_eq!(succeed(&guard, "bob", HERE, now), Ok(()), "and others anywhere");
}

#[test]
fn many_networks_together_guess_little_more_than_one() {
    let (guard, begun) = (SignInGuard::default(), Instant::now());
    let mut guessed = 0;
    for second in 0..600 {
        for n in 0..100 {
            let network = format!("10.{}.{}.{n}", second / 256, second % 256);
            guessed += u32::from(fail(&guard, "ada", &network, begun + seconds(second)).is_ok());
        }
    }
    // 50 at once, and then one a minute at last.
    assert!((50..75).contains(&guessed), "{guessed} of 60,000");
    let somewhere_new = guard.begin_try_at(account("ada"), ELSEWHERE, begun + seconds(600 + 60));
    assert!(somewhere_new.is_ok(), "whoever is somewhere new comes through");
}

#[test]
fn a_client_waits_for_nobody_who_guesses_its_secret_elsewhere() {
    let (guard, now) = (SignInGuard::default(), Instant::now());
    let client = ("aoi-1", PrincipalKind::Client);
    for n in 0..10_000 {
        let network = format!("10.0.{}.{}", n / 256, n % 256);
        guard.begin_try_at(client, &network, now).unwrap().fail_at(now);
    }
    assert!(guard.begin_try_at(client, ELSEWHERE, now).is_ok(), "where it has never signed in");
    for _ in 0..4 {
        guard.begin_try_at(client, "10.0.0.0", now).unwrap().fail_at(now);
    }
    assert!(guard.begin_try_at(client, "10.0.0.0", now).is_err(), "where five were wrong");
}

#[test]
fn one_network_does_not_try_all_names_and_those_who_are_known_there_go_on() {
    let (guard, now) = (SignInGuard::default(), Instant::now());
    assert_eq!(succeed(&guard, "ada", HERE, now), Ok(()));
    let guessed = (0..1_000).filter(|n| fail(&guard, &format!("name-{n}"), HERE, now).is_ok());
    assert_eq!(guessed.count(), 50);
    assert!(succeed(&guard, "bob", HERE, now).is_err());
    assert_eq!(succeed(&guard, "ada", HERE, now), Ok(()));
    assert_eq!(succeed(&guard, "bob", ELSEWHERE, now), Ok(()));
}

#[test]
fn guesses_at_the_same_time_count_before_they_are_known_to_be_wrong() {
    let (guard, now) = (SignInGuard::default(), Instant::now());
    let pending: Vec<_> =
        (0..100).filter_map(|_| guard.begin_try_at(account("ada"), HERE, now).ok()).collect();
    assert_eq!(pending.len(), 5);
    pending.into_iter().for_each(|attempt| attempt.fail_at(now));
    let opened = now + seconds(1);
    let first = guard.begin_try_at(account("ada"), HERE, opened).unwrap();
    assert!(guard.begin_try_at(account("ada"), HERE, opened).is_err(), "one by one");
    drop(first);
    assert!(
        guard.begin_try_at(account("ada"), HERE, opened).is_ok(),
        "that was neither right nor wrong"
    );

    assert_eq!(succeed(&guard, "aoi-1", HERE, now), Ok(()));
    let many: Vec<_> = (0..100).map(|_| guard.begin_try_at(account("aoi-1"), HERE, now)).collect();
    assert!(many.iter().all(Result::is_ok), "a station that is known there may ask in parallel");
}

#[test]
fn a_success_ends_the_pauses_of_its_own_pair() {
    let (guard, now) = (SignInGuard::default(), Instant::now());
    for _ in 0..4 {
        assert_eq!(fail(&guard, "ada", HERE, now), Ok(()));
    }
    assert_eq!(succeed(&guard, " ADA ", HERE, now), Ok(()), "as names are compared");
    for _ in 0..5 {
        assert_eq!(fail(&guard, "ada", HERE, now), Ok(()));
    }
    assert!(fail(&guard, "ada", HERE, now).is_err(), "and no more than that");
}

#[test]
fn what_is_remembered_is_bounded() {
    let (guard, now) = (SignInGuard::default(), Instant::now());
    for n in 0..3 * REMEMBERED_MAX {
        let at = now + Duration::from_micros(n as u64);
        let _ = fail(&guard, &format!("name-{n}"), &format!("network-{n}"), at);
    }
    let counts = guard.counts();
    assert!(counts.pairs.0.len() <= REMEMBERED_MAX && counts.accounts.0.len() <= REMEMBERED_MAX);
    assert!(counts.networks.0.len() <= REMEMBERED_MAX);
}

#[test]
fn nothing_is_kept_of_who_signs_in_at_once_but_that_it_is_known() {
    let (guard, now) = (SignInGuard::default(), Instant::now());
    assert_eq!(succeed(&guard, "ada", HERE, now), Ok(()));
    let counts = guard.counts();
    assert!(counts.pairs.0.is_empty() && counts.accounts.0.is_empty());
    assert!(counts.networks.0.is_empty() && counts.known.len() == 1);
}
