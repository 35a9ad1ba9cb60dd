//! The limit that a rebuild is held against: the rows that it wrote, sent to the server by `COPY`.

use std::path::Path;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use projectors::RebuildReport;
use sqlx::{Connection as _, Executor as _, PgConnection};

use crate::bench::figures::Figure;
use crate::bench::private_server::services_url;

/// How much of `COPY`'s speed is asked of a rebuild.
const SHARE_GOAL: f64 = 0.5;

/// How long it takes to copy the rows of the generation that a rebuild made into tables with the same indexes, where a
/// rebuild has to read the log and to make them first.
pub(super) async fn time_copy(data: &Path, report: &RebuildReport) -> anyhow::Result<Duration> {
    let mut connection = PgConnection::connect(services_url(data)?.as_str()).await?;
    // As a rebuild does.
    connection.execute("SET synchronous_commit = off").await?;
    let generation = format!("{}_g{}", report.projection, report.new_generation);
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = $1 ORDER BY tablename",
    )
    .bind(&generation)
    .fetch_all(&mut connection)
    .await?;
    let mut took = Duration::ZERO;
    for table in tables {
        let from = format!("{generation}.{table}");
        let into = format!("pg_temp.{table}_copied");
        let make = format!("CREATE TEMPORARY TABLE {table}_copied (LIKE {from} INCLUDING ALL)");
        connection.execute(&*make).await?;
        let rows: Vec<_> = {
            let copy = format!("COPY {from} TO STDOUT (FORMAT binary)");
            connection.copy_out_raw(&copy).await?.try_collect().await?
        };
        let begun = Instant::now();
        let copy = format!("COPY {into} FROM STDIN (FORMAT binary)");
        let mut sink = connection.copy_in_raw(&copy).await?;
        for piece in &rows {
            sink.send(piece.as_ref()).await?;
        }
        sink.finish().await?;
        took += begun.elapsed();
        connection.execute(&*format!("DROP TABLE {into}")).await?;
    }
    connection.close().await?;
    Ok(took)
}

/// How fast the rebuild was against that.
pub(super) fn share_figure(report: &RebuildReport, copied: Duration) -> Figure {
    let (copied, filling) = (copied.as_secs_f64(), report.filling.as_secs_f64());
    let name = format!("rebuild of {}, speed against COPY", report.projection);
    Figure::at_least(&name, copied / filling, "times", SHARE_GOAL).measured_by(format!(
        "{filling:.2} s against {copied:.2} s for COPY of the same rows into temporary tables with the same indexes, \
         which need no WAL",
    ))
}
