-- The event log: one table, totally ordered by position, complete.
--
-- The columns up to metadata are postgres-es's, so that the stock crate reads and appends the same table.

CREATE SEQUENCE event_position_seq AS bigint START 1 CACHE 1 NO CYCLE;

-- Draws a position. Before it draws, the transaction takes a shared advisory lock that encodes the
-- sequence's last value and keeps it until it ends: every position it draws is above that value, so a
-- reader that looks at the lowest lock held knows how far the log is complete. 771 carries the upper
-- bits, 772 the lower 31. See docs/adr/0001-event-log-on-postgresql.md.
CREATE FUNCTION next_event_position() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    floor bigint;
BEGIN
    SELECT last_value - (NOT is_called)::int INTO floor FROM event_position_seq;
    PERFORM pg_advisory_xact_lock_shared(771, (floor >> 31)::int),
            pg_advisory_xact_lock_shared(772, (floor & 2147483647)::int);
    RETURN nextval('event_position_seq');
END
$$;

CREATE TABLE events (
    aggregate_type text        NOT NULL,
    aggregate_id   text        NOT NULL,
    sequence       bigint      NOT NULL CHECK (sequence > 0),
    event_type     text        NOT NULL,
    event_version  text        NOT NULL,
    payload        jsonb       NOT NULL,
    metadata       jsonb       NOT NULL,
    position       bigint      NOT NULL DEFAULT next_event_position(),
    event_id       uuid        NOT NULL DEFAULT gen_random_uuid(),
    command_id     uuid,
    recorded_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);

CREATE UNIQUE INDEX events_position ON events (position);
CREATE UNIQUE INDEX events_event_id ON events (event_id);
CREATE INDEX events_command_id ON events (command_id) WHERE command_id IS NOT NULL;

-- The log only grows.
CREATE FUNCTION refuse_event_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are never changed or deleted' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_event_change();
