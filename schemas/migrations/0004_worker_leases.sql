-- The workers that are alive: each renews its row before it expires. Validity is by this database's
-- clock only.
CREATE TABLE worker_members (
    worker     uuid        PRIMARY KEY,
    expires_at timestamptz NOT NULL
);

-- The stream space in partitions (a stable hash of the inspection's id), leased by one worker each.
-- Everything of a partition up to its position is settled. The epoch is the fence: it grows with every
-- new owner, and an owner with an older one changes nothing.
CREATE TABLE worker_leases (
    partition  smallint    PRIMARY KEY CHECK (partition BETWEEN 0 AND 15),
    owner      uuid,
    epoch      bigint      NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    position   bigint      NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);

INSERT INTO worker_leases (partition, position)
SELECT n, coalesce((SELECT position FROM worker_checkpoints WHERE worker = 'inference-worker'), 0)
FROM generate_series(0, 15) AS n;

DROP TABLE worker_checkpoints;
