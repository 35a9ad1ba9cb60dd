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
    pixels_per_millimetre real,
    lot           text        NOT NULL,
    part          text        NOT NULL,
    station       text        NOT NULL,
    announced_sequence bigint NOT NULL,
    found_at      timestamptz NOT NULL,
    position      bigint      NOT NULL,
    PRIMARY KEY (artifact_id, number, found_at)
);
-- Every filter of the list, in the order of the list.
CREATE INDEX ON defects (found_at, position, number);
CREATE INDEX ON defects (lot, found_at, position, number);
CREATE INDEX ON defects (part, found_at, position, number);
CREATE INDEX ON defects (station, found_at, position, number);
CREATE INDEX ON defects (class, found_at, position, number);
CREATE INDEX ON defects (grade, found_at, position, number);
CREATE INDEX ON defects (inspection_id);
