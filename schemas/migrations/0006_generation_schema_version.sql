-- The version of the projection's schema that a generation was built by: code of another version does
-- not write into it. What was built before this column was version 1.
ALTER TABLE projection_checkpoints ADD COLUMN schema_version integer NOT NULL DEFAULT 1;
ALTER TABLE projection_checkpoints ALTER COLUMN schema_version DROP DEFAULT;
