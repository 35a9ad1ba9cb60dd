CREATE TABLE yield_hourly (
    hour    timestamptz NOT NULL,
    lot     text        NOT NULL,
    part    text        NOT NULL,
    station text        NOT NULL,
    judged  bigint      NOT NULL,
    passed  bigint      NOT NULL,
    review  bigint      NOT NULL,
    failed  bigint      NOT NULL,
    defects bigint      NOT NULL,
    PRIMARY KEY (hour, lot, part, station),
    CHECK (judged = passed + review + failed)
);
CREATE INDEX ON yield_hourly (lot, hour);
CREATE INDEX ON yield_hourly (part, hour);
CREATE INDEX ON yield_hourly (station, hour);
