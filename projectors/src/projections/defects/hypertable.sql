-- A finding never changes, and its key holds its time. A chunk is a month, so that who looks a board up, whose time
-- is not known, asks few indexes.
SELECT create_hypertable('defects', by_range('found_at', INTERVAL '30 days'), create_default_indexes => false);
