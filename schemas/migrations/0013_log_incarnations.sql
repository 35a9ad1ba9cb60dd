-- Every history that this log has had. A database that is restored, or another server that takes over without
-- all that the one before had acknowledged, gives positions out again: a place that was noted before then may
-- mean another event now.
CREATE TABLE event_log_incarnations (
    id                uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    -- In order, from 1.
    number            integer     NOT NULL UNIQUE,
    -- Up to here the log is that of the incarnation before.
    begins_after      bigint      NOT NULL,
    system_identifier bigint      NOT NULL,
    timeline          bigint      NOT NULL,
    database          oid         NOT NULL,
    begun_at          timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What tells histories apart: the cluster, its timeline, which every promotion and every recovery to a point in
-- time begins anew, and the database.
CREATE VIEW event_log_history AS
    SELECT s.system_identifier, d.oid AS database,
           ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint AS timeline
    FROM pg_control_system() AS s, pg_database AS d WHERE d.datname = current_database();

-- Begins another incarnation. By hand only where PostgreSQL does not see that anything happened, because a copy
-- of its files was put back, and before anything is appended.
CREATE FUNCTION begin_log_incarnation() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    INSERT INTO event_log_incarnations (number, begins_after, system_identifier, timeline, database)
    SELECT coalesce((SELECT max(number) FROM event_log_incarnations), 0) + 1,
           coalesce((SELECT max(position) FROM events), 0), system_identifier, timeline, database
    FROM event_log_history
    RETURNING id
$$;

-- The incarnation of the log in this session; none on a standby, and where nothing can be written. Whoever
-- appends calls it first, so that nothing is appended before its incarnation has begun.
CREATE FUNCTION log_incarnation() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    current uuid;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN NULL;
    END IF;
    -- Twice: of many sessions that find it missing, one begins it and the others find it then.
    FOR attempt IN 1..2 LOOP
        SELECT id INTO current FROM event_log_incarnations
        JOIN event_log_history USING (system_identifier, timeline, database)
        WHERE number = (SELECT max(number) FROM event_log_incarnations);
        IF FOUND OR current_setting('transaction_read_only')::boolean THEN
            RETURN current;
        END IF;
        LOCK TABLE event_log_incarnations IN EXCLUSIVE MODE;
    END LOOP;
    RETURN begin_log_incarnation();
END
$$;
