-- Whoever adds to a row names its hour, which is in its key: one chunk is looked at.
SELECT create_hypertable('yield_hourly', by_range('hour', INTERVAL '30 days'), create_default_indexes => false);
