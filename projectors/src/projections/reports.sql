-- On TimescaleDB `reports` becomes a hypertable over judged_at, which then joins its keys.
CREATE TABLE reports (
    report_id     uuid        PRIMARY KEY,
    inspection_id uuid        NOT NULL UNIQUE,
    lot           text        NOT NULL,
    part          text        NOT NULL,
    station       text        NOT NULL,
    judgement     text        NOT NULL,
    defect_count  integer     NOT NULL,
    judged_at     timestamptz NOT NULL,
    position      bigint      NOT NULL UNIQUE,
    document      json        NOT NULL
);
CREATE INDEX ON reports (lot, position);
CREATE INDEX ON reports (part, position);
CREATE INDEX ON reports (judgement, position);

-- The events of inspections that are not judged yet, from which their reports will be folded.
CREATE TABLE entries (
    inspection_id uuid        NOT NULL,
    sequence      bigint      NOT NULL,
    position      bigint      NOT NULL,
    occurred_at   timestamptz NOT NULL,
    actor         text        NOT NULL,
    event         jsonb       NOT NULL,
    PRIMARY KEY (inspection_id, sequence)
);
