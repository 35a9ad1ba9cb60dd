CREATE TABLE inspections (
    inspection_id          uuid        NOT NULL,
    lot                    text        NOT NULL,
    part                   text        NOT NULL,
    station                text        NOT NULL,
    state                  text        NOT NULL,
    judgement              text,
    rules                  jsonb,
    recipe                 jsonb       NOT NULL,
    golden_sample_revision integer,
    defect_count           integer     NOT NULL,
    doubtful_count         integer     NOT NULL,
    difference_count       integer     NOT NULL,
    created_at             timestamptz NOT NULL,
    judged_at              timestamptz,
    voided_at              timestamptz,
    void_reason            text,
    version                bigint      NOT NULL,
    created_position       bigint      NOT NULL,
    position               bigint      NOT NULL,
    PRIMARY KEY (inspection_id, created_at)
);
-- Every filter of the list, in the order of the list.
CREATE INDEX ON inspections (created_at, created_position);
CREATE INDEX ON inspections (lot, created_at, created_position);
CREATE INDEX ON inspections (part, created_at, created_position);
CREATE INDEX ON inspections (station, created_at, created_position);
CREATE INDEX ON inspections (judgement, created_at, created_position);
CREATE INDEX ON inspections (state, created_at, created_position);
CREATE INDEX ON inspections (position);

CREATE TABLE artifacts (
    artifact_id           uuid        NOT NULL,
    inspection_id         uuid        NOT NULL,
    view                  text,
    pixels_per_millimetre real,
    state                 text        NOT NULL,
    media_type            text        NOT NULL,
    sha256                text,
    bytes                 bigint,
    width                 integer,
    height                integer,
    announced_sequence    bigint      NOT NULL,
    reserved_at           timestamptz NOT NULL,
    uploaded_at           timestamptz,
    inferred_at           timestamptz,
    golden_artifact_id    uuid,
    golden_sha256         text,
    golden_revision       integer,
    model_name            text,
    model_version         text,
    model_sha256          text,
    registration          jsonb,
    coverage              jsonb,
    differences           jsonb,
    queue_ms              integer,
    compute_ms            integer,
    total_ms              integer,
    reason                text,
    detail                text,
    retired_at            timestamptz,
    PRIMARY KEY (artifact_id, reserved_at)
);
CREATE INDEX ON artifacts (inspection_id);

CREATE TABLE timeline (
    inspection_id uuid        NOT NULL,
    sequence      bigint      NOT NULL,
    position      bigint      NOT NULL,
    event_type    text        NOT NULL,
    occurred_at   timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL,
    actor         text        NOT NULL,
    PRIMARY KEY (inspection_id, sequence, recorded_at)
);
CREATE INDEX ON timeline (position);
