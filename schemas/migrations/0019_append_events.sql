-- Appending in one round trip, with the answers to the requests that append.

-- The id of a command's first event follows from the command's: what finds the one finds the other.
DROP INDEX events_command_id;

-- Keeps answers, in the order of their keys, so that no two who do so wait for each other in a circle: under a free
-- key, or under one that its own request has claimed, or that the same request had claimed and let go of; never where
-- another request holds the key or has answered. Returns how many are kept.
CREATE FUNCTION keep_answers(
    principals text[], keys text[], fingerprints bytea[], claims uuid[], answers jsonb[]
) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kept bigint;
BEGIN
    INSERT INTO idempotency_keys AS k
        (principal, key, fingerprint, claim, claimed_until, answer, answered_at)
    SELECT given.principal, given.key, given.fingerprint, given.claim, now(), given.answer, now()
    FROM unnest(principals, keys, fingerprints, claims, answers)
         AS given (principal, key, fingerprint, claim, answer)
    ORDER BY given.principal, given.key
    ON CONFLICT (principal, key) DO UPDATE
        SET answer = excluded.answer, answered_at = excluded.answered_at
        WHERE k.answer IS NULL
          AND (k.claim = excluded.claim
               OR k.fingerprint = excluded.fingerprint AND k.claimed_until < clock_timestamp());
    GET DIAGNOSTICS kept = ROW_COUNT;
    RETURN kept;
END
$$;

-- Appends the events of those whose stream has exactly the expected version, and whose command is not in the log
-- (first_event_ids; null where there is no command), and keeps the answers of those that append, with the place of
-- their last event (last_event_ids), and of those that append nothing. Returns where each event is. In the order of the
-- streams, so that no two who do so wait for each other in a circle, and for another process no longer than patience.
-- CQ001, and nothing is appended, when another request holds one of the keys.
--
-- Everything is looked up by keys, however many are given: planning it anew each time would take longer than what it
-- does, and the server would read the table whole for a large group.
CREATE FUNCTION append_events(
    patience text, incarnation uuid,
    aggregate_types text[], aggregate_ids text[], expected bigint[], numbers bigint[], event_types text[],
    event_versions text[], payloads jsonb[], metadata jsonb[], event_ids uuid[], command_ids uuid[],
    first_event_ids uuid[],
    principals text[], keys text[], fingerprints bytea[], claims uuid[], answers jsonb[], last_event_ids uuid[]
) RETURNS TABLE (event_id uuid, "position" bigint) LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
DECLARE
    appended  uuid[];
    positions bigint[];
    due       bigint;
    kept      bigint;
BEGIN
    PERFORM set_config('lock_timeout', patience, true);
    PERFORM hold_event_position_floor();
    -- A statement of its own: every position is drawn once the floor is held.
    WITH inserted AS (
        INSERT INTO events AS e
            (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata,
             event_id, command_id, position)
        SELECT fitting.*, nextval('event_position_seq')
        FROM (SELECT given.aggregate_type, given.aggregate_id, given.expected + given.number,
                     given.event_type, given.event_version, given.payload, given.metadata,
                     given.event_id, given.command_id
              FROM unnest(aggregate_types, aggregate_ids, expected, numbers, event_types,
                          event_versions, payloads, metadata, event_ids, command_ids,
                          first_event_ids)
                   AS given (aggregate_type, aggregate_id, expected, number, event_type,
                             event_version, payload, metadata, event_id, command_id,
                             first_event_id)
              WHERE given.expected = (SELECT coalesce(max(e.sequence), 0) FROM events AS e
                                      WHERE e.aggregate_type = given.aggregate_type
                                        AND e.aggregate_id = given.aggregate_id)
                AND NOT EXISTS (SELECT FROM events AS e WHERE e.event_id = given.first_event_id)
              ORDER BY given.aggregate_type, given.aggregate_id, given.number) AS fitting
        RETURNING e.event_id, e.position)
    SELECT array_agg(inserted.event_id), array_agg(inserted.position)
    INTO appended, positions FROM inserted;
    IF cardinality(keys) > 0 THEN
        SELECT count(*),
               keep_answers(
                   array_agg(given.principal), array_agg(given.key), array_agg(given.fingerprint),
                   array_agg(given.claim),
                   -- An X-Log-Position, as whoever made the answer would write it.
                   array_agg(CASE WHEN given.last_event_id IS NULL THEN given.answer
                             ELSE jsonb_set(given.answer, '{place}', to_jsonb(
                                 done.position || '.' || replace(incarnation::text, '-', ''))) END))
        INTO due, kept
        FROM unnest(principals, keys, fingerprints, claims, answers, last_event_ids)
             AS given (principal, key, fingerprint, claim, answer, last_event_id)
        LEFT JOIN unnest(appended, positions) AS done (event_id, position)
               ON done.event_id = given.last_event_id
        WHERE given.last_event_id IS NULL OR done.event_id IS NOT NULL;
        IF kept < due THEN
            RAISE EXCEPTION 'another request holds an idempotency key' USING ERRCODE = 'CQ001';
        END IF;
    END IF;
    RETURN QUERY SELECT * FROM unnest(appended, positions);
END
$$;
