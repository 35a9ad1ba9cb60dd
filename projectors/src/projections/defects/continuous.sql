CREATE MATERIALIZED VIEW continuous_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 hour', found_at) AS hour, part, station, class, grade, count(*) AS findings
FROM defects GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;
CREATE MATERIALIZED VIEW continuous_daily
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 day', found_at) AS day, part, station, class, grade, count(*) AS findings
FROM defects GROUP BY 1, 2, 3, 4, 5
WITH NO DATA;

CREATE VIEW station_defects_hourly AS
SELECT hour, part, station, class, grade, findings FROM continuous_hourly
WHERE hour < (SELECT exact_up_to FROM summary_progress)
UNION ALL
SELECT time_bucket('1 hour', found_at), part, station, class, grade, count(*) FROM defects
WHERE found_at >= (SELECT exact_up_to FROM summary_progress)
GROUP BY 1, 2, 3, 4, 5;
CREATE VIEW station_defects_daily AS
SELECT day, part, station, class, grade, findings FROM continuous_daily
WHERE day < (SELECT date_trunc('day', exact_up_to, 'UTC') FROM summary_progress)
UNION ALL
SELECT time_bucket('1 day', found_at), part, station, class, grade, count(*) FROM defects
WHERE found_at >= (SELECT date_trunc('day', exact_up_to, 'UTC') FROM summary_progress)
GROUP BY 1, 2, 3, 4, 5;

CREATE FUNCTION hold_back_summaries() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM hold_back_summaries(min(found_at)) FROM added HAVING count(*) > 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER hold_back_summaries AFTER INSERT ON defects REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION hold_back_summaries();

CREATE VIEW newest_summed AS SELECT max(found_at) AS at FROM defects;

-- An operator may have findings compressed after a while: less room, and slower to find by the board.
DO $$
DECLARE
    after interval := nullif(current_setting('chipq.columnstore_after', true), '')::interval;
BEGIN
    IF after IS NOT NULL THEN
        ALTER TABLE defects SET (timescaledb.enable_columnstore, timescaledb.segmentby = 'station',
            timescaledb.orderby = 'found_at DESC, position DESC, number DESC');
        PERFORM add_compression_policy('defects', compress_after => after);
    END IF;
END
$$;
