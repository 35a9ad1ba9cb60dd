-- The members of each follower that are alive: each renews its row before it expires. Validity is by
-- this database's clock only.
CREATE TABLE follower_members (
    follower   text        NOT NULL,
    member     uuid        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (follower, member)
);

-- The stream space of each follower in partitions (a stable hash of the aggregate's id), leased by one
-- member each. Everything of a partition up to its position is done. The epoch is the fence: it grows
-- with every new owner, and an owner with an older one changes nothing. A follower makes its rows when
-- it starts for the first time.
CREATE TABLE follower_leases (
    follower   text        NOT NULL,
    partition  smallint    NOT NULL CHECK (partition >= 0),
    owner      uuid,
    epoch      bigint      NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    position   bigint      NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (follower, partition)
);

-- The inference worker was the first reactor; its checkpoints go on.
INSERT INTO follower_leases (follower, partition, owner, epoch, expires_at, position, updated_at)
SELECT 'inference-worker', partition, owner, epoch, expires_at, position, updated_at FROM worker_leases;

INSERT INTO follower_members (follower, member, expires_at)
SELECT 'inference-worker', worker, expires_at FROM worker_members;

DROP TABLE worker_leases;
DROP TABLE worker_members;
