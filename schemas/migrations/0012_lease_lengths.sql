-- How long a lease, or a member's sign of life, lasts from when it was renewed, as its holder said. One that
-- ends much later than that from now was dated by a clock that ran ahead, and is not believed. What was written
-- before this column, or by software that does not know it, is taken to last a minute.
ALTER TABLE follower_leases ADD COLUMN lasts interval NOT NULL DEFAULT interval '1 minute';
ALTER TABLE follower_members ADD COLUMN lasts interval NOT NULL DEFAULT interval '1 minute';
