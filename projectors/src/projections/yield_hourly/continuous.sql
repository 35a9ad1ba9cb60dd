CREATE MATERIALIZED VIEW continuous_hourly
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 hour', hour) AS bucket, part, station, sum(judged) AS judged, sum(passed) AS passed,
       sum(review) AS review, sum(failed) AS failed, sum(defects) AS defects
FROM yield_hourly GROUP BY 1, 2, 3
WITH NO DATA;
CREATE MATERIALIZED VIEW continuous_daily
WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
SELECT time_bucket('1 day', hour) AS bucket, part, station, sum(judged) AS judged, sum(passed) AS passed,
       sum(review) AS review, sum(failed) AS failed, sum(defects) AS defects
FROM yield_hourly GROUP BY 1, 2, 3
WITH NO DATA;

CREATE VIEW station_yield_hourly AS
SELECT bucket AS hour, part, station, judged::bigint AS judged, passed::bigint AS passed, review::bigint AS review,
       failed::bigint AS failed, defects::bigint AS defects
FROM continuous_hourly WHERE bucket < (SELECT exact_up_to FROM summary_progress)
UNION ALL
SELECT hour, part, station, sum(judged)::bigint, sum(passed)::bigint, sum(review)::bigint, sum(failed)::bigint,
       sum(defects)::bigint
FROM yield_hourly WHERE hour >= (SELECT exact_up_to FROM summary_progress)
GROUP BY hour, part, station;
CREATE VIEW station_yield_daily AS
SELECT bucket AS day, part, station, judged::bigint AS judged, passed::bigint AS passed, review::bigint AS review,
       failed::bigint AS failed, defects::bigint AS defects
FROM continuous_daily
WHERE bucket < (SELECT date_trunc('day', exact_up_to, 'UTC') FROM summary_progress)
UNION ALL
SELECT time_bucket('1 day', hour), part, station, sum(judged)::bigint, sum(passed)::bigint, sum(review)::bigint,
       sum(failed)::bigint, sum(defects)::bigint
FROM yield_hourly WHERE hour >= (SELECT date_trunc('day', exact_up_to, 'UTC') FROM summary_progress)
GROUP BY 1, 2, 3;

CREATE FUNCTION hold_back_summaries() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM hold_back_summaries(min(hour)) FROM added HAVING count(*) > 0;
    RETURN NULL;
END
$$;
CREATE TRIGGER hold_back_summaries_of_new AFTER INSERT ON yield_hourly REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION hold_back_summaries();
CREATE TRIGGER hold_back_summaries_of_changed AFTER UPDATE ON yield_hourly REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION hold_back_summaries();

CREATE VIEW newest_summed AS SELECT max(hour) AS at FROM yield_hourly;
