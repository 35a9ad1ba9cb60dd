-- On TimescaleDB `yield_hourly` is a hypertable over hour as it stands.
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

CREATE TABLE boards (
    inspection_id uuid    PRIMARY KEY,
    lot           text    NOT NULL,
    part          text    NOT NULL,
    station       text    NOT NULL,
    recipe        jsonb   NOT NULL,
    defects       bigint  NOT NULL,
    closed        boolean NOT NULL,
    version       bigint  NOT NULL
);
