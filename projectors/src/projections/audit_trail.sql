CREATE TABLE audit_trail (
    position      bigint      NOT NULL,
    at            timestamptz NOT NULL,
    event_id      uuid        NOT NULL,
    event         text        NOT NULL,
    inspection_id text,
    part          text,
    station       text,
    entry         jsonb       NOT NULL,
    PRIMARY KEY (position, at)
);
-- Every filter of the list, in the order of the list.
CREATE INDEX ON audit_trail (at, position);
CREATE INDEX ON audit_trail (inspection_id, at, position);
-- What is within the reach of whoever is limited.
CREATE INDEX ON audit_trail (part, at, position);
CREATE INDEX ON audit_trail (station, at, position);
-- What led to an event.
CREATE INDEX ON audit_trail (event_id);

-- Whom each event is by or about.
CREATE TABLE audit_trail_subjects (
    subject       text        NOT NULL,
    at            timestamptz NOT NULL,
    position      bigint      NOT NULL,
    inspection_id text,
    part          text,
    station       text,
    PRIMARY KEY (subject, at, position)
);
CREATE INDEX ON audit_trail_subjects (inspection_id, at, position);

-- What is remembered of each stream: where its board is, and what is in place that an event may replace.
CREATE TABLE audit_trail_contexts (
    aggregate_id   text        NOT NULL,
    aggregate_type text        NOT NULL,
    begun_at       timestamptz NOT NULL,
    sequence       bigint      NOT NULL,
    part           text,
    station        text,
    replaceable    jsonb       NOT NULL,
    PRIMARY KEY (aggregate_id, aggregate_type, begun_at)
);
