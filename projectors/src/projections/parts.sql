CREATE TABLE parts (
    part            text        PRIMARY KEY,
    recipe          jsonb       NOT NULL,
    registered_at   timestamptz NOT NULL,
    golden_revision integer,
    version         bigint      NOT NULL,
    position        bigint      NOT NULL
);
-- The list is in the order of bytes, whatever the database's own order is.
CREATE INDEX ON parts (part COLLATE "C");
CREATE INDEX ON parts (part COLLATE "C") WHERE golden_revision IS NULL;
CREATE INDEX ON parts (part COLLATE "C") WHERE golden_revision IS NOT NULL;

CREATE TABLE recipe_revisions (
    part       text        NOT NULL,
    revision   integer     NOT NULL,
    recipe     jsonb       NOT NULL,
    revised_at timestamptz NOT NULL,
    actor      text        NOT NULL,
    reason     text,
    PRIMARY KEY (part, revision)
);

CREATE TABLE golden_samples (
    part                  text        NOT NULL,
    revision              integer     NOT NULL,
    artifact_id           uuid        NOT NULL,
    sha256                text        NOT NULL,
    media_type            text        NOT NULL,
    bytes                 bigint      NOT NULL,
    width                 integer     NOT NULL,
    height                integer     NOT NULL,
    use                   text        NOT NULL,
    view                  text,
    reason                text,
    pixels_per_millimetre real,
    actor                 text        NOT NULL,
    registered_at         timestamptz NOT NULL,
    retired_at            timestamptz,
    PRIMARY KEY (part, revision)
);
CREATE INDEX ON golden_samples (artifact_id);
