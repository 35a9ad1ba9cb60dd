//! What somebody with superuser rights does to the log, and the sentence that names it.

use super::World;

#[tokio::test]
async fn an_altered_event_is_named_whatever_was_altered_in_it() {
    let world = World::with_events(300).await;
    let id = world.id_at(277).await;
    for change in [
        "payload = jsonb_set(payload, '{share}', '0.1250000000000000000001')",
        "payload = payload || '{\"more\": null}'",
        "metadata = metadata || '{\"actor_subject\": \"eve\"}'",
        "metadata = metadata || '{\"nobody_reads_this\": \"1\"}'",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "event_version = '2'",
        "command_id = NULL",
    ] {
        world
            .tamper(&format!(
                "CREATE TABLE kept AS SELECT * FROM events WHERE position = 277;
            UPDATE events SET {change} WHERE position = 277"
            ))
            .await;
        let found = world.difference().await;
        let expected = format!("the event {id} at position 277 was altered: ");
        assert!(found.starts_with(&expected), "{change}: {found}");
        world.tamper("DELETE FROM events WHERE position = 277; INSERT INTO events SELECT * FROM kept; DROP TABLE kept")
            .await;
        world.verify().await.unwrap();
    }
}

#[tokio::test]
async fn missing_added_reordered_and_truncated_events_are_named() {
    let world = World::new().await;
    world.append_events(100).await;
    // A position at which nothing stands, as a rollback leaves one.
    sqlx::raw_sql("SELECT nextval('event_position_seq')")
        .execute(&world.database.pool())
        .await
        .unwrap();
    world.append_events(200).await;
    world.build_tree().await;
    world.signer().sign_growth().await.unwrap().unwrap();
    world.tamper("CREATE TABLE kept AS SELECT * FROM events").await;
    let (third, last) = (world.id_at(3).await, world.id_at(301).await);
    let one = "UPDATE events SET position = 0 WHERE position = 3;
        UPDATE events SET position = 3 WHERE position = 200; UPDATE events SET position = 200 WHERE position = 0";
    let added =
        "INSERT INTO events (aggregate_type, aggregate_id, sequence, event_type, event_version,
        payload, metadata, position) VALUES ('test', 'x', 1, 'Tested', '1', '{}', '{}', 101)";
    for (change, expected) in [
        (
            "DELETE FROM events WHERE position = 3",
            format!("the event {third} at position 3 is missing"),
        ),
        (
            "DELETE FROM events WHERE position IN (3, 4, 5)",
            format!("the event {third} at position 3 is missing"),
        ),
        ("DELETE FROM events WHERE position = 256", "is missing".to_owned()),
        (
            "DELETE FROM events WHERE position = 301",
            format!("the event {last} at position 301 is missing"),
        ),
        ("DELETE FROM events WHERE position > 257", "the log is truncated: the event".to_owned()),
        ("DELETE FROM events WHERE position > 40", "the log is truncated: the event".to_owned()),
        ("DELETE FROM events", "the log is truncated: the event".to_owned()),
        (one, "events were reordered: at position 3 is the event".to_owned()),
        (added, "at position 101 was added".to_owned()),
        (&added.replace("101)", "0)"), "at position 0 was added".to_owned()),
        (&added.replace("101)", "-5)"), "at position -5 was added".to_owned()),
    ] {
        world.tamper(change).await;
        let found = world.difference().await;
        assert!(found.contains(&expected), "{change}: {found}");
        world.tamper("DELETE FROM events; INSERT INTO events SELECT * FROM kept").await;
        world.verify().await.unwrap();
    }
}

#[tokio::test]
async fn whoever_rewrites_the_tree_as_well_is_found_by_the_heads_that_were_kept_outside() {
    let world = World::with_events(20).await;
    world.append_events(20).await;
    world.build_tree().await;
    world.signer().sign_growth().await.unwrap().unwrap();
    world.tamper("UPDATE events SET payload = payload || '{\"judgement\": \"pass\"}' WHERE position = 33").await;
    let rebuild = "DELETE FROM proof_tiles; UPDATE follower_leases SET position = 0;
        UPDATE proof_tree SET size = 0, position = 0, chain = decode(repeat('00', 32), 'hex');
        UPDATE proof_origins SET signed_head = NULL";
    sqlx::raw_sql(rebuild).execute(&world.database.pool()).await.unwrap();
    world.build_tree().await;
    let found = world.difference().await;
    assert!(
        found.contains("the tree head of 40 events")
            && found.contains("between position 20 (event 20"),
        "{found}"
    );
    world.append_events(1).await;
    world.build_tree().await;
    let refused = world.signer().sign_growth().await.unwrap_err();
    assert!(refused.contains("its first 40 events are not those"), "{refused}");
}

#[tokio::test]
async fn a_tree_that_was_changed_in_the_database_is_named() {
    let world = World::with_events(600).await;
    for (change, restore, expected) in [
        (
            "UPDATE proof_tiles SET hashes = set_byte(hashes, 9, get_byte(hashes, 9) # 1) WHERE level = 1",
            "",
            "tile 0 of level 1",
        ),
        (
            "UPDATE proof_tree SET chain = set_byte(chain, 9, get_byte(chain, 9) # 1)",
            "",
            "does not follow from its own leaves",
        ),
        (
            "UPDATE proof_tiles SET hashes = set_byte(hashes, 64, get_byte(hashes, 64) # 1) WHERE level = 0 AND number = 1",
            "",
            "at position 259 was altered",
        ),
    ] {
        sqlx::raw_sql(change).execute(&world.database.pool()).await.unwrap();
        let found = world.verify().await;
        let found = found.expect_err(change);
        assert!(found.contains(expected), "{change}: {found}");
        let restore = if restore.is_empty() { change } else { restore };
        sqlx::raw_sql(restore).execute(&world.database.pool()).await.unwrap();
        world.verify().await.unwrap();
    }
}
