CREATE TABLE defects (
    inspection_id uuid        NOT NULL,
    artifact_id   uuid        NOT NULL,
    number        integer     NOT NULL,
    class         text        NOT NULL,
    confidence    real        NOT NULL,
    grade         text        NOT NULL,
    x             integer     NOT NULL,
    y             integer     NOT NULL,
    width         integer     NOT NULL,
    height        integer     NOT NULL,
    lot           text        NOT NULL,
    part          text        NOT NULL,
    station       text        NOT NULL,
    found_at      timestamptz NOT NULL,
    position      bigint      NOT NULL,
    PRIMARY KEY (artifact_id, number, found_at)
);
CREATE INDEX ON defects (position, number);
CREATE INDEX ON defects (inspection_id);
CREATE INDEX ON defects (lot, position);
CREATE INDEX ON defects (part, position);
CREATE INDEX ON defects (found_at);
