-- A copy of the files that is put back is the same cluster, timeline and database, and yet another history. Nobody
-- can put it back under a server that runs, so every start of the server begins an incarnation. Where nothing was
-- lost, that one begins at the log's end, and every place before it stands.
ALTER TABLE event_log_incarnations ADD COLUMN server_started_at timestamptz;

-- Whether the server was started since the last one was recorded nobody can tell any more: it is taken to go on.
UPDATE event_log_incarnations SET server_started_at = pg_postmaster_start_time()
    WHERE number = (SELECT max(number) FROM event_log_incarnations);

CREATE OR REPLACE VIEW event_log_history AS
    SELECT s.system_identifier, d.oid AS database,
           ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::bigint AS timeline,
           pg_postmaster_start_time() AS server_started_at
    FROM pg_control_system() AS s, pg_database AS d WHERE d.datname = current_database();

-- Records another incarnation, before anything is appended in it. Whoever holds a lease from before is fenced off:
-- what it did may be lost. A lease that says more than the log holds goes back to where nothing was lost yet
-- when the incarnation before began: doing again what is done changes nothing.
CREATE FUNCTION record_log_incarnation() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    log_end bigint := coalesce((SELECT max(position) FROM events), 0);
    latest event_log_incarnations;
    begun uuid;
BEGIN
    SELECT * INTO latest FROM event_log_incarnations ORDER BY number DESC LIMIT 1;
    IF FOUND THEN
        UPDATE follower_leases SET epoch = epoch + 1,
            position = CASE WHEN position <= log_end THEN position
                            ELSE least(latest.begins_after, log_end) END;
    END IF;
    INSERT INTO event_log_incarnations
        (number, begins_after, system_identifier, timeline, database, server_started_at)
    SELECT coalesce(latest.number, 0) + 1, log_end, system_identifier, timeline, database, server_started_at
    FROM event_log_history
    RETURNING id INTO begun;
    RETURN begun;
END
$$;

-- The same by hand, at any time: where the log went back under a server that ran on. A session stays in the incarnation
-- that it began in, so all others are ended; those that come instead wait for this one's end.
CREATE OR REPLACE FUNCTION begin_log_incarnation() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    LOCK TABLE event_log_incarnations IN ACCESS EXCLUSIVE MODE;
    PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid();
    RETURN record_log_incarnation();
END
$$;

CREATE OR REPLACE FUNCTION log_incarnation() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    current uuid;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN NULL;
    END IF;
    -- Twice: of many sessions that find it missing, one begins it and the others find it then.
    FOR attempt IN 1..2 LOOP
        SELECT id INTO current FROM event_log_incarnations
        JOIN event_log_history USING (system_identifier, timeline, database, server_started_at)
        WHERE number = (SELECT max(number) FROM event_log_incarnations);
        IF FOUND OR current_setting('transaction_read_only')::boolean THEN
            RETURN current;
        END IF;
        LOCK TABLE event_log_incarnations IN EXCLUSIVE MODE;
    END LOOP;
    RETURN record_log_incarnation();
END
$$;
