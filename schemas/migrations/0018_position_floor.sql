-- Holds the floor below every position that this transaction draws from now on. Whoever calls it first, in a statement
-- of its own, draws as many positions as it likes by nextval: one pair of locks guards them all.
CREATE FUNCTION hold_event_position_floor() RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    floor bigint;
BEGIN
    SELECT last_value - (NOT is_called)::int INTO floor FROM event_position_seq;
    PERFORM pg_advisory_xact_lock_shared(771, (floor >> 31)::int),
            pg_advisory_xact_lock_shared(772, (floor & 2147483647)::int);
END
$$;

-- The same for whoever inserts without having called it, as postgres-es does.
CREATE OR REPLACE FUNCTION next_event_position() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM hold_event_position_floor();
    RETURN nextval('event_position_seq');
END
$$;
