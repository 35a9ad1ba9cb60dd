//! Processes that share a database, each with its keys.

use chrono::TimeDelta;
use sqlx::Executor as _;

use super::*;
use crate::test_support::fresh_database;

fn key(id: &str, purpose: KeyPurpose) -> NamedKey {
    NamedKey { id: id.to_owned(), purpose, made_at: Utc::now() - TimeDelta::days(1) }
}

/// A set with these keys of tokens, and the secret `s`.
fn keys(tokens: &[&str]) -> Vec<NamedKey> {
    let tokens = tokens.iter().map(|id| key(id, KeyPurpose::Tokens));
    tokens.chain([key("s", KeyPurpose::Urls)]).collect()
}

/// The keys of tokens that may sign, oldest first.
fn may_sign(agreement: &KeyAgreement) -> Vec<&str> {
    let tokens = agreement.iter().filter(|key| key.purpose == KeyPurpose::Tokens);
    tokens.filter(|key| key.may_sign()).map(|key| key.id.as_str()).collect()
}

/// As if a key had been seen for half a minute.
async fn publish(pool: &Pool) {
    let seen = "UPDATE installation_keys SET first_seen_at = first_seen_at - interval '31 seconds'";
    pool.execute(seen).await.unwrap();
}

/// As if nobody had said anything for so long.
async fn fall_silent(pool: &Pool, time: &str) {
    let said = format!("UPDATE key_holders SET seen_at = seen_at - interval '{time}'");
    pool.execute(said.as_str()).await.unwrap();
}

#[tokio::test]
async fn the_others_hear_which_keys_a_process_signs_with() {
    let database = fresh_database().await;
    let one = KeyHolders::for_server(database.pool());
    one.begin(&keys(&["a"]), "one").await.unwrap();
    let signing = ["a".to_owned(), "s".to_owned()];
    one.renew(&keys(&["a", "b"]), &signing).await.unwrap();
    let operator = KeyHolders::for_command(database.pool());
    let seen = operator.begin(&keys(&["a", "b"]), "one").await.unwrap();
    let signed = seen.iter().map(|key| (key.id.as_str(), key.signed_by, key.holders));
    let mut signed: Vec<_> = signed.collect();
    signed.sort_unstable();
    assert_eq!(signed, [("a", 1, 1), ("b", 0, 1), ("s", 1, 1)]);
}

/// As if so much time had gone by since everything that was written.
async fn pass(pool: &Pool, time: &str) {
    let passed = format!(
        "UPDATE installation_keys SET first_seen_at = first_seen_at - interval '{time}', \
                                      last_seen_at = last_seen_at - interval '{time}'; \
         UPDATE key_holders SET seen_at = seen_at - interval '{time}'"
    );
    pool.execute(passed.as_str()).await.unwrap();
}

#[tokio::test]
async fn a_key_signs_when_it_was_published_and_everybody_has_it() {
    let database = fresh_database().await;
    let (one, other) =
        (KeyHolders::for_server(database.pool()), KeyHolders::for_server(database.pool()));
    let begun = one.begin(&keys(&["a"]), "one").await.unwrap();
    assert_eq!(may_sign(&begun), ["a"], "the first key is as old as it says");
    other.begin(&keys(&["a"]), "other").await.unwrap();

    let seen = one.renew(&keys(&["a", "b"]), &[]).await.unwrap();
    assert_eq!(may_sign(&seen), ["a"], "old by its name, and new here");
    publish(&database.pool()).await;
    assert_eq!(
        may_sign(&one.renew(&keys(&["a", "b"]), &[]).await.unwrap()),
        ["a"],
        "the other lacks it"
    );
    let known = other.renew(&keys(&["a", "b"]), &[]).await.unwrap();
    assert_eq!(may_sign(&known), ["a", "b"]);

    one.renew(&keys(&["a", "b", "c"]), &[]).await.unwrap();
    publish(&database.pool()).await;
    fall_silent(&database.pool(), "20 seconds").await;
    let alive = one.renew(&keys(&["a", "b", "c"]), &[]).await.unwrap();
    assert_eq!(may_sign(&alive), ["a", "b"], "the other is waited for");
    fall_silent(&database.pool(), "15 seconds").await;
    let alone = one.renew(&keys(&["a", "b", "c"]), &[]).await.unwrap();
    assert_eq!(may_sign(&alone), ["a", "b", "c"], "for half a minute");

    // One that began without it takes it back from those that sign.
    other.begin(&keys(&["a"]), "other").await.unwrap();
    assert_eq!(may_sign(&one.renew(&keys(&["a", "b", "c"]), &[]).await.unwrap()), ["a"]);
    other.end().await.unwrap();
    assert_eq!(may_sign(&one.renew(&keys(&["a", "b", "c"]), &[]).await.unwrap()), ["a", "b", "c"]);
}

#[tokio::test]
async fn who_begins_with_other_keys_is_told_and_a_rotation_is_no_other_set() {
    let database = fresh_database().await;
    let one = KeyHolders::for_server(database.pool());
    let other = KeyHolders::for_server(database.pool());
    assert!(!one.are_known().await.unwrap());
    one.begin(&keys(&["a"]), "one").await.unwrap();
    assert!(one.are_known().await.unwrap());
    let refused = other.begin(&keys(&["x"]), "/mnt/keys").await.unwrap_err().to_string();
    assert!(refused.contains("none of the keys of tokens in /mnt/keys"), "{refused}");
    let mut own_secret = keys(&["a"]);
    own_secret[1].id = "t".to_owned();
    let refused = other.begin(&own_secret, "/mnt/keys").await.unwrap_err().to_string();
    assert!(refused.contains("none of the keys of urls"), "{refused}");
    other.begin(&keys(&["b", "a"]), "other").await.unwrap();
    one.renew(&keys(&["b"]), &[]).await.unwrap();
    other.renew(&keys(&["b"]), &[]).await.unwrap();
    pass(&database.pool(), "1 day").await;
    one.renew(&keys(&["b"]), &[]).await.unwrap();
    let restored = other.begin(&keys(&["a"]), "a backup").await;
    assert!(restored.is_err(), "what was retired for long is no key of the installation's");
    pass(&database.pool(), "30 days").await;
    other.begin(&keys(&["b", "c"]), "after a standstill").await.unwrap();
}

#[tokio::test]
async fn of_many_that_begin_at_once_with_keys_of_their_own_one_does() {
    let database = fresh_database().await;
    let begin = |n: usize| {
        let holders = KeyHolders::for_server(database.pool());
        async move { holders.begin(&keys(&[&n.to_string()]), n).await }
    };
    let begun = futures::future::join_all((0..8).map(begin)).await;
    let refused = |outcome: &Result<_, _>| matches!(outcome, Err(KeyHolderError::Foreign { .. }));
    assert_eq!(begun.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{begun:?}");
    assert_eq!(begun.iter().filter(|outcome| refused(outcome)).count(), 7, "{begun:?}");
}

#[tokio::test]
async fn lost_keys_are_replaced_when_nobody_serves_with_them() {
    let database = fresh_database().await;
    let one = KeyHolders::for_server(database.pool());
    one.begin(&keys(&["a"]), "one").await.unwrap();
    let operator = KeyHolders::for_command(database.pool());
    let refused = operator.adopt(&keys(&["x"])).await.unwrap_err();
    assert!(matches!(refused, KeyHolderError::InUse(1)), "{refused}");
    one.end().await.unwrap();
    let adopted = operator.adopt(&keys(&["x"])).await.unwrap();
    assert_eq!(may_sign(&adopted), ["x"]);
    assert!(one.begin(&keys(&["a"]), "one").await.is_err());
    one.begin(&keys(&["x"]), "one").await.unwrap();
}
