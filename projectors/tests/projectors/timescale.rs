//! Read models where TimescaleDB is in the database. Without `CHIPQ_TEST_TIMESCALE_URL` these tests do nothing, which
//! `make test` says at its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use platform::postgres::{DatabaseFlavour, grant_to_services};
use platform::test_support::{
    create_timescale, fresh_database, fresh_plain_database, timescale_server,
};
use projectors::{RebuildOptions, find, rebuild, refresh_summaries};
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::sums::{WRONG, assert_sums_are_right, count_wrong, inspect_for_days};
use crate::world::World;

/// A world in which sums are continuous aggregates, where the tests are given such a server.
async fn community() -> Option<World> {
    timescale_server()?;
    let world = World::new().await;
    let mut connection = world.pool.acquire().await.unwrap();
    let flavour = DatabaseFlavour::detect(&mut connection).await.unwrap();
    (flavour == DatabaseFlavour::TimescaleDbCommunity).then_some(world)
}

async fn refresh(world: &World) {
    for name in ["yield", "defects"] {
        refresh_summaries(&world.pool, find(name).unwrap()).await.unwrap();
    }
}

const MATERIALISED: &str =
    "SELECT coalesce(sum(judged), 0)::bigint FROM yield_g1.continuous_hourly";
const SHOWN: &str = "SELECT coalesce(sum(judged), 0)::bigint FROM read.station_yield_hourly";
const EXACT: &str =
    "SELECT CASE WHEN isfinite(exact_up_to) THEN extract(epoch FROM exact_up_to) ELSE 0 END::bigint
    FROM yield_g1.summary_progress";

#[tokio::test]
async fn growing_tables_are_hypertables_and_those_found_by_id_are_not() {
    if timescale_server().is_none() {
        return;
    }
    let world = World::new().await;
    let hypertables: Vec<String> = sqlx::query_scalar(
        "SELECT hypertable_schema || '.' || hypertable_name FROM timescaledb_information.hypertables
         WHERE hypertable_schema ~ '_g1$' ORDER BY 1",
    )
    .fetch_all(&world.pool)
    .await
    .unwrap();
    assert_eq!(hypertables, ["defects_g1.defects", "yield_g1.yield_hourly"]);
}

#[tokio::test]
async fn what_comes_late_for_a_materialised_hour_counts_at_once() {
    let Some(world) = community().await else { return };
    inspect_for_days(&world).await;
    world.project().await;
    refresh(&world).await;
    let exact = world.count(EXACT).await;
    assert_sums_are_right(&world).await;

    world.go_to(TimeDelta::hours(1));
    let golden = world.register_part("board-b").await;
    world.inspect(&golden, &[0.9]).await;
    world.project().await;
    // The control: the aggregate, which is a real-time one, does not know of it.
    assert_eq!((world.count(MATERIALISED).await, world.count(SHOWN).await), (18, 19));
    assert_sums_are_right(&world).await;
    assert!(world.count(EXACT).await < exact);

    refresh(&world).await;
    assert_eq!((world.count(MATERIALISED).await, world.count(SHOWN).await), (19, 19));
    assert_eq!(world.count(EXACT).await, exact);
    assert_sums_are_right(&world).await;
    world.assert_equals_a_rebuild().await;
}

#[tokio::test]
async fn a_rebuilt_generation_serves_sums_that_are_materialised() {
    let Some(world) = community().await else { return };
    inspect_for_days(&world).await;
    world.project().await;
    let (log, options) = (Arc::clone(&world.log), RebuildOptions { expect_identical: true });
    rebuild(&world.pool, log, find("yield").unwrap(), options, &mut |_| {}).await.unwrap();
    let exact = EXACT.replace("_g1", "_g2");
    let last = "SELECT extract(epoch FROM max(hour))::bigint - 3600 FROM read.yield_hourly";
    assert_eq!(world.count(&exact).await, world.count(last).await);
    assert_sums_are_right(&world).await;
}

/// Rows of random hours are written and added to, and refreshes run, without a pause: whoever looks meanwhile sees sums
/// that are those of the rows.
#[tokio::test]
async fn sums_are_exact_at_every_moment_beside_writers_and_refreshes() {
    let Some(world) = community().await else { return };
    let end = Instant::now() + Duration::from_secs(5);
    // Some of them come late, by up to sixty hours.
    let write = "INSERT INTO yield_g1.yield_hourly AS y
        SELECT date_trunc('hour', timestamptz '2026-03-01 00:00Z' + interval '1 hour'
                   * greatest(0, $1 - CASE WHEN random() < 0.02 THEN 60 * random() ELSE 0 END), 'UTC'),
               'L' || n, 'P' || n % 2, 'S', 1, 1, 0, 0, n
        FROM generate_series(1, 3) AS n
        ON CONFLICT (hour, lot, part, station) DO UPDATE SET
            judged = y.judged + 1, passed = y.passed + 1, defects = y.defects + excluded.defects";
    let writing = async {
        let mut written = 0;
        while Instant::now() < end {
            sqlx::query(write).bind(f64::from(written) / 5.0).execute(&world.pool).await.unwrap();
            written += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        written
    };
    let refreshing = async {
        let mut moved = 0;
        while Instant::now() < end {
            refresh(&world).await;
            moved += i64::from(world.count(EXACT).await > 0);
        }
        moved
    };
    let looking = async {
        let mut looked = 0;
        while Instant::now() < end {
            for of in &WRONG[..2] {
                assert_eq!(world.count(&count_wrong(*of)).await, 0, "{}, look {looked}", of.0);
            }
            looked += 1;
        }
        looked
    };
    let (written, moved, looked) = futures::join!(writing, refreshing, looking);
    assert!(written > 100 && moved > 1 && looked > 10, "{written} {moved} {looked}");
    let late = world.count("SELECT late_rows FROM yield_g1.summary_progress").await;
    assert!(late > 0, "nothing came late");
    refresh(&world).await;
    assert_sums_are_right(&world).await;
}

#[tokio::test]
async fn an_extension_that_comes_later_is_used_from_the_next_rebuild_on() {
    if timescale_server().is_none() {
        return;
    }
    let world = World::on(fresh_plain_database().await).await;
    inspect_for_days(&world).await;
    world.project().await;
    let mut owner = PgConnection::connect(world.database.url()).await.unwrap();
    owner.execute("CREATE SCHEMA extensions").await.unwrap();
    create_timescale(&mut owner, Some("extensions")).await.unwrap();
    owner.close().await.unwrap();

    // Its tables are plain ones, and are written as before.
    let golden = world.register_part("board-b").await;
    world.inspect(&golden, &[0.9]).await;
    world.project().await;
    assert_sums_are_right(&world).await;
    world.assert_equals_a_rebuild().await;

    for name in ["yield", "defects"] {
        let (log, options) = (Arc::clone(&world.log), RebuildOptions { expect_identical: true });
        rebuild(&world.pool, log, find(name).unwrap(), options, &mut |_| {}).await.unwrap();
    }
    let hypertables = "SELECT count(*) FROM timescaledb_information.hypertables
        WHERE hypertable_schema ~ '_g2$'";
    assert_eq!(world.count(hypertables).await, 2);
    refresh(&world).await;
    world.inspect(&golden, &[0.9]).await;
    world.project().await;
    assert_sums_are_right(&world).await;
    world.assert_equals_a_rebuild().await;
}

#[tokio::test]
async fn the_services_role_makes_swaps_and_refreshes_what_the_owner_made() {
    if timescale_server().is_none() {
        return;
    }
    // Made by the owner, before the services had a role of their own.
    let world = World::on(fresh_database().await).await;
    inspect_for_days(&world).await;
    world.project().await;
    let create = "DO $$ BEGIN CREATE ROLE chipq_service LOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";
    world.pool.execute(create).await.unwrap();
    grant_to_services(&world.pool).await.unwrap();
    world.pool.execute("ALTER ROLE chipq_service LOGIN PASSWORD 'of-a-test'").await.unwrap();
    let (scheme, rest) = world.database.url().split_once("://").unwrap();
    let address = rest.split_once('@').map_or(rest, |(_, address)| address);
    let url = format!("{scheme}://chipq_service:of-a-test@{address}");
    let config = platform::postgres::DatabaseConfig::from_url(url);
    let services = platform::postgres::connect(&config).await.unwrap();
    let who: String =
        sqlx::query_scalar("SELECT current_user::text").fetch_one(&services).await.unwrap();
    assert_eq!(who, "chipq_service");
    for name in ["yield", "defects"] {
        let projection = find(name).unwrap();
        refresh_summaries(&services, projection).await.unwrap();
        let (log, options) = (Arc::clone(&world.log), RebuildOptions { expect_identical: true });
        rebuild(&services, log, projection, options, &mut |_| {}).await.unwrap();
        refresh_summaries(&services, projection).await.unwrap();
    }
    assert_sums_are_right(&world).await;
    services.close().await;
}

#[tokio::test]
async fn findings_are_compressed_once_an_operator_says_so_and_then_written_once_all_the_same() {
    let Some(world) = community().await else { return };
    inspect_for_days(&world).await;
    world.project().await;
    let policies = "SELECT count(*) FROM timescaledb_information.jobs
        WHERE hypertable_schema LIKE 'defects_g%' AND proc_name = 'policy_compression'";
    assert_eq!(world.count(policies).await, 0, "nothing is compressed unasked");
    let name: String = sqlx::query_scalar("SELECT quote_ident(current_database())")
        .fetch_one(&world.pool)
        .await
        .unwrap();
    let set = format!("ALTER DATABASE {name} SET chipq.columnstore_after = '30 days'");
    world.pool.execute(set.as_str()).await.unwrap();
    let rebuild_defects = async || {
        let (log, options) = (Arc::clone(&world.log), RebuildOptions { expect_identical: true });
        rebuild(&world.pool, log, find("defects").unwrap(), options, &mut |_| {}).await.unwrap();
    };
    rebuild_defects().await;
    assert_eq!(world.count(policies).await, 1);
    let compress = "SELECT count(compress_chunk(c)) FROM show_chunks('defects_g2.defects') AS c";
    assert!(world.count(compress).await > 0);

    world.go_to(TimeDelta::hours(1));
    let golden = world.register_part("board-b").await;
    world.inspect(&golden, &[0.9]).await;
    world.project().await;
    let again = "INSERT INTO defects_g2.defects SELECT * FROM defects_g2.defects
        ON CONFLICT (artifact_id, number, found_at) DO NOTHING";
    let again = sqlx::query(again).execute(&world.pool).await.unwrap();
    assert_eq!(again.rows_affected(), 0);
    assert_sums_are_right(&world).await;
    world.assert_equals_a_rebuild().await;
    // The policy goes with its generation.
    rebuild_defects().await;
    assert_eq!(world.count(policies).await, 1);
}
