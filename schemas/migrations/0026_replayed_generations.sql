-- A generation that shows the log as of an earlier moment, to whoever replays it: nobody else reads it, and it goes when
-- that is done.
ALTER TABLE projection_checkpoints DROP CONSTRAINT projection_checkpoints_status_check;
ALTER TABLE projection_checkpoints ADD CONSTRAINT projection_checkpoints_status_check
    CHECK (status IN ('building', 'serving', 'retired', 'replaying'));
