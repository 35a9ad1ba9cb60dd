CREATE TABLE reports (
    report_id     uuid        NOT NULL,
    inspection_id uuid        NOT NULL,
    lot           text        NOT NULL,
    part          text        NOT NULL,
    station       text        NOT NULL,
    judgement     text        NOT NULL,
    defect_count  integer     NOT NULL,
    judged_at     timestamptz NOT NULL,
    position      bigint      NOT NULL,
    document      json        NOT NULL,
    PRIMARY KEY (report_id, judged_at),
    UNIQUE (inspection_id, judged_at),
    UNIQUE (position, judged_at)
);
-- Every filter of the list, in the order of the list.
CREATE INDEX ON reports (judged_at, position);
CREATE INDEX ON reports (lot, judged_at, position);
CREATE INDEX ON reports (part, judged_at, position);
CREATE INDEX ON reports (station, judged_at, position);
CREATE INDEX ON reports (judgement, judged_at, position);

-- The events of inspections that are not judged yet, as the log stores them. Their reports will be folded
-- from these.
CREATE TABLE entries (
    inspection_id uuid        NOT NULL,
    sequence      bigint      NOT NULL,
    position      bigint      NOT NULL,
    occurred_at   timestamptz NOT NULL,
    actor         text        NOT NULL,
    actor_name    text,
    event_type    text        NOT NULL,
    event_version text        NOT NULL,
    payload       jsonb       NOT NULL,
    PRIMARY KEY (inspection_id, sequence)
);
