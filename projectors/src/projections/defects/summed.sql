-- What the findings add up to for each part and station: lots are left out, so that there are as many rows as hours
-- were worked, however many boards.
CREATE TABLE station_defects_hourly (
    hour     timestamptz NOT NULL,
    part     text        NOT NULL,
    station  text        NOT NULL,
    class    text        NOT NULL,
    grade    text        NOT NULL,
    findings bigint      NOT NULL,
    PRIMARY KEY (hour, part, station, class, grade)
);
CREATE INDEX ON station_defects_hourly (part, hour);
CREATE INDEX ON station_defects_hourly (station, hour);
CREATE TABLE station_defects_daily (
    day      timestamptz NOT NULL,
    part     text        NOT NULL,
    station  text        NOT NULL,
    class    text        NOT NULL,
    grade    text        NOT NULL,
    findings bigint      NOT NULL,
    PRIMARY KEY (day, part, station, class, grade)
);
CREATE INDEX ON station_defects_daily (part, day);
CREATE INDEX ON station_defects_daily (station, day);

CREATE FUNCTION add_up_defects() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO station_defects_hourly AS s
    SELECT date_trunc('hour', found_at, 'UTC'), part, station, class, grade, count(*)
    FROM added GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (hour, part, station, class, grade) DO UPDATE SET findings = s.findings + excluded.findings;
    INSERT INTO station_defects_daily AS s
    SELECT date_trunc('day', found_at, 'UTC'), part, station, class, grade, count(*)
    FROM added GROUP BY 1, 2, 3, 4, 5
    ON CONFLICT (day, part, station, class, grade) DO UPDATE SET findings = s.findings + excluded.findings;
    RETURN NULL;
END
$$;
-- Of what is inserted: a row that is there already is not.
CREATE TRIGGER add_up_defects AFTER INSERT ON defects REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION add_up_defects();
