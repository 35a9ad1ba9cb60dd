-- A log outside this database (KurrentDB): its histories are recorded here, beside what followers, leases and answers
-- say of it. Another life of its leader (every start, every fail-over) begins one, as another start of this server
-- does where the log is in here.
ALTER TABLE event_log_incarnations
    -- Which log it is; none where it is the table events.
    ADD COLUMN external_log  uuid,
    -- Which life of its leader.
    ADD COLUMN external_life text;

-- Up to where a log was kept that went back under what this generation had read: its rows say more than the log does,
-- and nothing is written into it any more.
ALTER TABLE projection_checkpoints ADD COLUMN log_lost_after bigint;

-- As before where the log is in here. Where it is not, another start of this server, or a backup of it, changes nothing
-- in the log: every place stands (nothing is after the greatest number), and whoever holds a lease is fenced off.
CREATE OR REPLACE FUNCTION record_log_incarnation() RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    log_end bigint := coalesce((SELECT max(position) FROM events), 0);
    latest event_log_incarnations;
    begun uuid;
BEGIN
    SELECT * INTO latest FROM event_log_incarnations ORDER BY number DESC LIMIT 1;
    IF latest.external_log IS NOT NULL THEN
        log_end := 9223372036854775807;
        UPDATE follower_leases SET epoch = epoch + 1;
    ELSIF latest.id IS NOT NULL THEN
        UPDATE follower_leases SET epoch = epoch + 1,
            position = CASE WHEN position <= log_end THEN position
                            ELSE least(latest.begins_after, log_end) END;
    END IF;
    INSERT INTO event_log_incarnations
        (number, begins_after, system_identifier, timeline, database, server_started_at,
         external_log, external_life)
    SELECT coalesce(latest.number, 0) + 1, log_end, system_identifier, timeline, database, server_started_at,
           latest.external_log, latest.external_life
    FROM event_log_history
    RETURNING id INTO begun;
    RETURN begun;
END
$$;

-- The incarnation of the log `log` in this life of its leader, which begins here when nobody has been in it before:
-- whoever reads or appends calls it first, with the end that the log has then, so that nothing is appended before its
-- incarnation has begun. A session stays in its incarnation, so all others of this database end with the one before.
-- CQ002 where the database has a log of its own, CQ003 where it belongs to another log; none on a standby.
CREATE FUNCTION adopt_external_log(log uuid, life text, log_end bigint) RETURNS uuid LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    latest event_log_incarnations;
    begun uuid;
BEGIN
    IF pg_is_in_recovery() THEN
        RETURN NULL;
    END IF;
    -- Twice: of many sessions that find it missing, one begins it and the others find it then.
    FOR attempt IN 1..2 LOOP
        SELECT * INTO latest FROM event_log_incarnations ORDER BY number DESC LIMIT 1;
        IF latest.external_log <> log THEN
            RAISE EXCEPTION 'the database belongs to another log' USING ERRCODE = 'CQ003';
        ELSIF latest.external_log IS NULL AND EXISTS (SELECT FROM events) THEN
            RAISE EXCEPTION 'the database has a log of its own' USING ERRCODE = 'CQ002';
        ELSIF latest.external_life = life THEN
            RETURN log_incarnation();
        END IF;
        LOCK TABLE event_log_incarnations IN ACCESS EXCLUSIVE MODE;
    END LOOP;
    -- Nobody is in any where there is none yet. Sessions of other roles than one's own are not one's to end: those
    -- who own something look at the incarnation of each page.
    IF latest.id IS NOT NULL THEN
        PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend'
              AND pid <> pg_backend_pid() AND pg_has_role(usesysid, 'USAGE');
    END IF;
    -- Exactly what is after the end is lost: every life of the leader that appended has its row here.
    UPDATE follower_leases SET epoch = epoch + 1, position = least(position, log_end);
    UPDATE projection_checkpoints SET log_lost_after = log_end
        WHERE position > log_end AND log_lost_after IS NULL;
    INSERT INTO event_log_incarnations
        (number, begins_after, system_identifier, timeline, database, server_started_at,
         external_log, external_life)
    SELECT coalesce(latest.number, 0) + 1, log_end, system_identifier, timeline, database, server_started_at, log, life
    FROM event_log_history
    RETURNING id INTO begun;
    RETURN begun;
END
$$;
