use platform::embedded_postgres::*;
#[tokio::main]
async fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let mode = std::env::args().nth(2).unwrap_or_default();
    let t = std::time::Instant::now();
    let pg = match EmbeddedPostgres::start(EmbeddedPostgresConfig::new(&dir)).await {
        Ok(pg) => pg, Err(e) => { eprintln!("ERROR: {e}"); std::process::exit(1) }
    };
    eprintln!("ready in {:?} port {}", t.elapsed(), pg.port());
    if mode == "insert" {
        use sqlx::{Connection, Executor};
        let mut c = sqlx::PgConnection::connect(&pg.url("chipq")).await.unwrap();
        c.execute("CREATE TABLE IF NOT EXISTS k (n int)").await.unwrap();
        c.execute("INSERT INTO k VALUES (1)").await.unwrap();
        let n: i64 = sqlx::query_scalar("SELECT count(*) FROM k").fetch_one(&mut c).await.unwrap();
        eprintln!("rows {n}");
        std::process::exit(0)
    }
    if mode == "stop" { pg.stop().await.unwrap(); eprintln!("stopped {:?}", t.elapsed()); return }
    std::future::pending::<()>().await
}
