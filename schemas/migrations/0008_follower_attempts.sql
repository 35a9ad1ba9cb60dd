-- Attempts at pieces of work that were begun and have not ended, by a reactor and the work's id: a row
-- is written before the work begins and deleted when it ends, so one that stays was begun by a process
-- that died. The number counts the attempts since the last that ended.
CREATE TABLE follower_attempts (
    follower text        NOT NULL,
    work     uuid        NOT NULL,
    number   integer     NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (follower, work)
);
