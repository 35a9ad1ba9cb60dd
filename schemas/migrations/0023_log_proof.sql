-- What proves the log: an RFC 6962 tree over its events, kept in tiles of 256 hashes (docs/adr/0038). It follows from
-- the events, and can be built again from them. Nothing in here is believed: signed tree heads are kept outside.
CREATE TABLE proof_tiles (
    level     smallint NOT NULL CHECK (level >= 0),
    -- In its level, from 0.
    number    bigint   NOT NULL CHECK (number >= 0),
    -- 32 bytes each, one after the other; 256 when the tile is full.
    hashes    bytea    NOT NULL,
    -- Of level 0: which events the leaves are of, to name those that are not as they were.
    positions bigint[] NOT NULL DEFAULT '{}',
    event_ids uuid[]   NOT NULL DEFAULT '{}',
    PRIMARY KEY (level, number)
);
-- Hashes cannot be compressed.
ALTER TABLE proof_tiles ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- The tree as it is: one row.
CREATE TABLE proof_tree (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    -- How many events it has, the position of the last, and the chain over them.
    size     bigint NOT NULL,
    position bigint NOT NULL,
    chain    bytea  NOT NULL
);
INSERT INTO proof_tree (size, position, chain) VALUES (0, 0, decode(repeat('00', 32), 'hex'));

-- The names that the log has had in tree heads. One is given up where the log went back behind what was signed: what
-- is signed in one name never contradicts itself. Who signs first gives the first one.
CREATE TABLE proof_origins (
    number   integer     PRIMARY KEY,
    origin   text        NOT NULL UNIQUE,
    begun_at timestamptz NOT NULL DEFAULT now(),
    -- Who began it by hand, and why; none of the first.
    actor    text,
    reason   text,
    -- The last tree head that was signed in this name, as a note; none before the first.
    signed_head text
);
