//! Measures yield and findings over 90 days on plain PostgreSQL and on TimescaleDB: two databases of one server, filled
//! alike and asked in turns.
//!
//! `cargo run -p projectors --example measure_sums -- [BOARDS] [BOARDS_OF_A_LOT]`, 1,000,000 and 25 by default. Runs on
//! the server of CHIPQ_TEST_TIMESCALE_URL. Rows are made by the server as the projectors would have left them; the
//! statements are those of the query API.

use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use platform::postgres::Pool;
use platform::test_support::{fresh_database, fresh_plain_database, timescale_server};
use projectors::{find, refresh_summaries};
use sqlx::Executor as _;

/// How often each is asked, after once that does not count.
const ASKED: usize = 21;
/// Findings that one statement writes: a few pages of a projector.
const FINDINGS_AT_ONCE: i64 = 1_000;

/// Boards over 90 days at ten stations; a lot is of one station, and a station changes its part every twenty lots.
const BOARDS: &str = "CREATE UNLOGGED TABLE boards AS
    SELECT n, timestamptz '2026-09-01 00:00Z' + n * (interval '90 days' / $BOARDS) AS at,
           'L' || n / 10 / $LOT || '-' || n % 10 AS lot,
           'P' || (n / 10 / $LOT / 20 + n % 10) % 12 AS part, 'S' || n % 10 AS station
    FROM generate_series(0, $BOARDS - 1) AS n";

const YIELD: &str = "INSERT INTO yield_g1.yield_hourly
    SELECT date_trunc('hour', at, 'UTC'), lot, part, station, count(*), count(*) FILTER (WHERE n % 20 > 1),
           count(*) FILTER (WHERE n % 20 = 1), count(*) FILTER (WHERE n % 20 = 0), 10 * count(*) FILTER (WHERE n % 20 = 0)
    FROM boards GROUP BY 1, 2, 3, 4 ORDER BY 1";

/// Ten findings on every twentieth board.
const FINDINGS: &str = "CREATE UNLOGGED TABLE findings AS
    SELECT gen_random_uuid() AS inspection_id, gen_random_uuid() AS artifact_id, k AS number,
           (ARRAY['open', 'short', 'mousebite', 'spur', 'copper', 'pin-hole', 'missing-hole'])[1 + (n / 20 + k) % 7] AS class,
           0.9::real AS confidence, CASE WHEN k = 1 THEN 'doubtful' ELSE 'defect' END AS grade,
           n % 600 AS x, k * 40 AS y, 12 AS width, 9 AS height, 48.5::real AS pixels_per_millimetre,
           lot, part, station, 2::bigint AS announced_sequence, at AS found_at, n * 8::bigint AS position
    FROM boards, generate_series(1, 10) AS k WHERE n % 20 = 0 ORDER BY n, k;
    CREATE INDEX ON findings (position)";

const STRETCH: &str = "BETWEEN timestamptz '2026-09-01 00:00Z' AND timestamptz '2026-11-29 23:59Z'";

/// What is asked; `$T` is the stretch.
const QUESTIONS: [(&str, &str); 7] = [
    ("yield by the hour, of lots, as it was read", "SELECT hour, sum(judged), count(*) FROM (
        SELECT * FROM read.yield_hourly WHERE hour $T LIMIT 250001) AS s GROUP BY 1 ORDER BY 1"),
    ("yield by the hour", "SELECT hour, sum(judged), count(*) FROM (
        SELECT * FROM read.station_yield_hourly WHERE hour $T LIMIT 250001) AS s GROUP BY 1 ORDER BY 1"),
    ("yield by the hour, of a station", "SELECT hour, sum(judged), count(*) FROM (
        SELECT * FROM read.station_yield_hourly WHERE hour $T AND station = 'S3' LIMIT 250001) AS s
        GROUP BY 1 ORDER BY 1"),
    ("yield by the day", "SELECT day, sum(judged), count(*) FROM (
        SELECT * FROM read.station_yield_daily WHERE day $T LIMIT 250001) AS s GROUP BY 1 ORDER BY 1"),
    ("Pareto, findings counted, as it was read", "SELECT class, count(*), count(*) FROM (
        SELECT class FROM read.defects WHERE grade = 'defect' AND found_at $T LIMIT 250001) AS s GROUP BY 1 ORDER BY 1"),
    ("Pareto, by the day", "SELECT class, sum(findings), count(*) FROM (
        SELECT * FROM read.station_defects_daily WHERE grade = 'defect' AND day $T LIMIT 250001) AS s
        GROUP BY 1 ORDER BY 1"),
    ("findings of a board", "SELECT class, confidence, 1 FROM read.defects WHERE inspection_id = (
        SELECT inspection_id FROM findings WHERE position = 4000000 LIMIT 1)"),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    ensure!(
        timescale_server().is_some(),
        "set CHIPQ_TEST_TIMESCALE_URL to a server with TimescaleDB"
    );
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u32| arguments.next().map_or(Ok(default), |n| n.parse());
    let (boards, of_a_lot) = (number(1_000_000)?, number(25)?);
    let (plain, timescale) = (fresh_plain_database().await, fresh_database().await);
    let databases = [("plain", plain.pool()), ("TimescaleDB", timescale.pool())];
    for (name, pool) in &databases {
        let took = fill(pool, boards, of_a_lot).await.with_context(|| (*name).to_owned())?;
        say(&format!(
            "{name}: yield {:.2} s, findings {:.2} s, {:.0} a second",
            took.of_yield.as_secs_f64(),
            took.of_findings.as_secs_f64(),
            took.findings as f64 / took.of_findings.as_secs_f64()
        ))?;
    }
    let begun = Instant::now();
    for name in ["yield", "defects"] {
        let projection = find(name).context("there is such a read model")?;
        refresh_summaries(&timescale.pool(), projection).await?;
    }
    say(&format!("TimescaleDB: materialised in {:.2} s", begun.elapsed().as_secs_f64()))?;
    for (_, pool) in &databases {
        pool.execute("ANALYZE").await?;
    }
    for (question, sql) in QUESTIONS {
        let answers = ask_in_turns(&databases, &sql.replace("$T", STRETCH)).await?;
        let told = answers.iter().map(|(name, answer)| format!("{name} {answer}"));
        say(&format!("{question}: {}", told.collect::<Vec<_>>().join(", ")))?;
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    say(&format!("{boards} boards, lots of {of_a_lot}; load average at the end {}", load.trim()))
}

fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{line}")?)
}

struct Filled {
    of_yield: Duration,
    of_findings: Duration,
    findings: i64,
}

async fn fill(pool: &Pool, boards: u32, of_a_lot: u32) -> anyhow::Result<Filled> {
    projectors::ensure(pool).await?;
    let mut connection = pool.open_connection().await?;
    connection.execute("SET statement_timeout = 0; SET synchronous_commit = off").await?;
    let boards =
        BOARDS.replace("$BOARDS", &boards.to_string()).replace("$LOT", &of_a_lot.to_string());
    connection.execute(boards.as_str()).await?;
    connection.execute(FINDINGS).await?;
    let begun = Instant::now();
    connection.execute(YIELD).await?;
    let of_yield = begun.elapsed();
    let (last, findings): (i64, i64) =
        sqlx::query_as("SELECT max(position), count(*) FROM findings")
            .fetch_one(&mut connection)
            .await?;
    // Of a board there are ten, and of twenty boards one has them: eight positions a board.
    let step = usize::try_from(FINDINGS_AT_ONCE / 10 * 20 * 8)?;
    let begun = Instant::now();
    for first in (0..=last).step_by(step) {
        sqlx::query(
            "INSERT INTO defects_g1.defects SELECT * FROM findings WHERE position >= $1 AND position < $2
             ON CONFLICT (artifact_id, number, found_at) DO NOTHING",
        )
        .bind(first)
        .bind(first + i64::try_from(step)?)
        .execute(&mut connection)
        .await?;
    }
    Ok(Filled { of_yield, of_findings: begun.elapsed(), findings })
}

/// Asks each database as often, in turns: the median and the slowest but one.
async fn ask_in_turns<'d>(
    databases: &'d [(&'d str, Pool); 2],
    sql: &str,
) -> anyhow::Result<Vec<(&'d str, String)>> {
    let mut took = [Vec::new(), Vec::new()];
    let mut rows = [0, 0];
    for n in 0..=ASKED {
        for (of, (_, pool)) in databases.iter().enumerate() {
            let begun = Instant::now();
            let answer = sqlx::query(sql).fetch_all(pool).await?;
            if n > 0 {
                took[of].push(begun.elapsed());
            }
            rows[of] = answer.len();
        }
    }
    ensure!(
        rows[0] == rows[1] && rows[0] > 0,
        "{} and {} rows come out of: {sql}",
        rows[0],
        rows[1]
    );
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    Ok(databases
        .iter()
        .zip(&mut took)
        .map(|((name, _), took)| {
            took.sort_unstable();
            let (median, slow) = (ms(took[ASKED / 2]), ms(took[ASKED - 2]));
            (*name, format!("{median:.1} ms (up to {slow:.1})"))
        })
        .collect())
}
