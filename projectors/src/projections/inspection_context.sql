-- What a read model of findings remembers of each inspection; part of the schema of each.
CREATE TABLE inspection_contexts (
    inspection_id uuid        NOT NULL,
    created_at    timestamptz NOT NULL,
    lot           text        NOT NULL,
    part          text        NOT NULL,
    station       text        NOT NULL,
    recipe        jsonb       NOT NULL,
    pictures      jsonb       NOT NULL,
    defects       bigint      NOT NULL,
    closed        boolean     NOT NULL,
    version       bigint      NOT NULL,
    PRIMARY KEY (inspection_id, created_at)
);
