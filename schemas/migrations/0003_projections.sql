-- How far every follower of the log has read. The columns are described in docs/read-models.md.
CREATE TABLE projection_checkpoints (
    projection     text        NOT NULL,
    generation     integer     NOT NULL,
    status         text        NOT NULL CHECK (status IN ('building', 'serving', 'retired')),
    position       bigint      NOT NULL DEFAULT 0,
    events_read    bigint      NOT NULL DEFAULT 0,
    events_applied bigint      NOT NULL DEFAULT 0,
    events_parked  bigint      NOT NULL DEFAULT 0,
    owner_epoch    bigint      NOT NULL DEFAULT 0,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, generation),
    CHECK (events_read = events_applied + events_parked)
);
CREATE UNIQUE INDEX projection_checkpoints_serving ON projection_checkpoints (projection)
    WHERE status = 'serving';

CREATE TABLE parked_streams (
    projection     text        NOT NULL,
    generation     integer     NOT NULL,
    aggregate_type text        NOT NULL,
    aggregate_id   text        NOT NULL,
    position       bigint      NOT NULL,
    event_type     text        NOT NULL,
    error          text        NOT NULL,
    events         bigint      NOT NULL DEFAULT 1,
    parked_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projection, generation, aggregate_type, aggregate_id),
    FOREIGN KEY (projection, generation) REFERENCES projection_checkpoints ON DELETE CASCADE
);

-- The worker's place in the log: everything up to here is settled.
CREATE TABLE worker_checkpoints (
    worker     text        PRIMARY KEY,
    position   bigint      NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE SCHEMA read;
