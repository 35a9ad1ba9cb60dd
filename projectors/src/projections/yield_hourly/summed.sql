-- Yield of each part at each station: lots are left out, so that there are as many rows as hours were worked,
-- however many boards and lots.
CREATE TABLE station_yield_hourly (
    hour    timestamptz NOT NULL,
    part    text        NOT NULL,
    station text        NOT NULL,
    judged  bigint      NOT NULL,
    passed  bigint      NOT NULL,
    review  bigint      NOT NULL,
    failed  bigint      NOT NULL,
    defects bigint      NOT NULL,
    PRIMARY KEY (hour, part, station)
);
CREATE INDEX ON station_yield_hourly (part, hour);
CREATE INDEX ON station_yield_hourly (station, hour);
CREATE TABLE station_yield_daily (
    day     timestamptz NOT NULL,
    part    text        NOT NULL,
    station text        NOT NULL,
    judged  bigint      NOT NULL,
    passed  bigint      NOT NULL,
    review  bigint      NOT NULL,
    failed  bigint      NOT NULL,
    defects bigint      NOT NULL,
    PRIMARY KEY (day, part, station)
);
CREATE INDEX ON station_yield_daily (part, day);
CREATE INDEX ON station_yield_daily (station, day);

-- Of rows that are added to, what they were is taken off again.
CREATE FUNCTION add_up_yield() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
    changed yield_hourly[];
    was     yield_hourly[];
BEGIN
    SELECT array_agg(a) INTO changed FROM added AS a;
    IF TG_OP = 'UPDATE' THEN
        SELECT array_agg(r) INTO was FROM removed AS r;
    END IF;
    INSERT INTO station_yield_hourly AS s
    SELECT hour, part, station, sum(sign * judged), sum(sign * passed), sum(sign * review), sum(sign * failed),
           sum(sign * defects)
    FROM (SELECT 1 AS sign, * FROM unnest(changed) UNION ALL SELECT -1, * FROM unnest(was)) AS change
    GROUP BY hour, part, station
    ON CONFLICT (hour, part, station) DO UPDATE SET
        judged = s.judged + excluded.judged, passed = s.passed + excluded.passed,
        review = s.review + excluded.review, failed = s.failed + excluded.failed,
        defects = s.defects + excluded.defects;
    INSERT INTO station_yield_daily AS s
    SELECT date_trunc('day', hour, 'UTC'), part, station, sum(sign * judged), sum(sign * passed),
           sum(sign * review), sum(sign * failed), sum(sign * defects)
    FROM (SELECT 1 AS sign, * FROM unnest(changed) UNION ALL SELECT -1, * FROM unnest(was)) AS change
    GROUP BY 1, part, station
    ON CONFLICT (day, part, station) DO UPDATE SET
        judged = s.judged + excluded.judged, passed = s.passed + excluded.passed,
        review = s.review + excluded.review, failed = s.failed + excluded.failed,
        defects = s.defects + excluded.defects;
    RETURN NULL;
END
$$;
CREATE TRIGGER add_up_yield_of_new AFTER INSERT ON yield_hourly REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION add_up_yield();
CREATE TRIGGER add_up_yield_of_changed AFTER UPDATE ON yield_hourly
    REFERENCING OLD TABLE AS removed NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION add_up_yield();
