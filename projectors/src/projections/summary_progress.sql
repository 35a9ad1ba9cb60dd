-- Up to where the continuous aggregates of this generation are exact. Before `exact_up_to` nothing has changed since
-- they were refreshed; from there on their readers add the rows up themselves. A row that comes later for an hour
-- before it takes it back, in the transaction that writes the row, so that no reader sees the one without the other.
-- A row below `refreshing_up_to` may be missed by a refresh that has begun, so that one counts in `late_rows`, too, and
-- the refresh does not count as done.
CREATE TABLE summary_progress (
    exact_up_to      timestamptz NOT NULL,
    refreshing_up_to timestamptz NOT NULL,
    late_rows        bigint      NOT NULL
);
INSERT INTO summary_progress VALUES ('-infinity', '-infinity', 0);

CREATE FUNCTION hold_back_summaries(earliest timestamptz) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    -- A refresh that begins waits for this transaction, and so sees what it wrote.
    PERFORM FROM summary_progress FOR NO KEY UPDATE;
    UPDATE summary_progress
    SET exact_up_to = least(exact_up_to, date_trunc('hour', earliest, 'UTC')), late_rows = late_rows + 1
    WHERE earliest < greatest(exact_up_to, refreshing_up_to);
END
$$;
