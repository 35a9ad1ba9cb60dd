-- The event of a name or version that the owner of a generation does not know, before which it stands still:
-- position, aggregate_type, aggregate_id, event_type, error, since. NULL once the generation has moved.
ALTER TABLE projection_checkpoints ADD COLUMN blocked_by jsonb;
