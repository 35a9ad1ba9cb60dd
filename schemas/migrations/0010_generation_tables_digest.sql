-- What the tables of a generation were made from: code that would make others does not write into it, whatever
-- version it says. Unknown of what was built before.
ALTER TABLE projection_checkpoints ADD COLUMN tables_digest text;
