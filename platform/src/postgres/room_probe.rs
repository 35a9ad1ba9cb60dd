//! Whether the disk of the database has room, for readiness.
//!
//! Invariant: nothing is asked of a database that has not just refused something because its disk was full. From
//! then on it counts as full until it has taken something, so that a process that gets no more work because it
//! is not ready notices all the same when there is room again.

use std::time::Instant;

use super::pool::Pool;
use super::room::is_disk_full;
use super::transient::may_pass;

/// What is written to see whether there is room: 1 MiB in the files of a table that nobody else sees, and of
/// which nothing is kept.
const WRITE_PROBE: &str = "CREATE TEMPORARY TABLE room_probe ON COMMIT DROP AS
    SELECT string_agg(md5(n::text), '') AS filler FROM generate_series(1, 32768) AS n";

impl Pool {
    /// Whether the database takes what is written, as far as its disk goes; for readiness.
    ///
    /// # Errors
    /// In words, when it has said that its disk is full, and has taken nothing since.
    pub async fn check_room(&self) -> Result<(), String> {
        self.check_room_at(Instant::now()).await
    }

    async fn check_room_at(&self, now: Instant) -> Result<(), String> {
        let full = Err("the disk of the database is full; free some of it".to_owned());
        match self.disk_room().take_look(now) {
            None => return Ok(()),
            Some(false) => return full,
            Some(true) => {}
        }
        match self.write_probe().await {
            Err(error) if is_disk_full(&error) => full,
            Err(error) if may_pass(&error) => Err(error.to_string()),
            // Where the probe is forbidden, the next refusal says it again.
            Ok(()) | Err(_) => {
                self.disk_room().note_enough();
                Ok(())
            }
        }
    }

    async fn write_probe(&self) -> Result<(), sqlx::Error> {
        let mut transaction = self.begin().await?;
        let written = sqlx::query(WRITE_PROBE).execute(&mut *transaction).await;
        transaction.rollback().await?;
        written.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::postgres::room::LOOK_EVERY;
    use crate::test_support::fresh_database;

    /// As a server does whose disk is full: whatever needs room is refused.
    const FILL_DISK: &str = "
        CREATE FUNCTION refuse_room() RETURNS event_trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
        CREATE EVENT TRIGGER disk_is_full ON ddl_command_start WHEN TAG IN ('CREATE TABLE AS')
            EXECUTE FUNCTION refuse_room()";

    #[tokio::test]
    async fn a_disk_that_is_full_is_noticed_when_it_refuses_and_until_it_takes_something() {
        let database = fresh_database().await;
        let pool = database.pool();
        assert_eq!(pool.check_room().await, Ok(()));
        sqlx::raw_sql(FILL_DISK).execute(&pool).await.unwrap();
        assert_eq!(pool.check_room().await, Ok(()), "nobody has noticed, and nobody looks");
        let refused = sqlx::query("CREATE TABLE more AS SELECT 1").execute(&pool).await;
        assert!(is_disk_full(&refused.unwrap_err()));
        let now = Instant::now();
        for later in [Duration::ZERO, LOOK_EVERY] {
            let full = pool.check_room_at(now + later).await.unwrap_err();
            assert!(full.contains("is full"), "{full}");
        }
        sqlx::query("DROP EVENT TRIGGER disk_is_full").execute(&pool).await.unwrap();
        assert!(pool.check_room_at(now + LOOK_EVERY).await.is_err(), "it was just looked at");
        assert_eq!(pool.check_room_at(now + 2 * LOOK_EVERY).await, Ok(()));
        let looked = "SELECT count(*) FROM pg_class WHERE relname = 'room_probe'";
        let left: i64 = sqlx::query_scalar(looked).fetch_one(&pool).await.unwrap();
        assert_eq!(left, 0);
    }
}
