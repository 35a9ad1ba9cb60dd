-- How far each partition of a topic holds what the relay sent to it, as far as Kafka has acknowledged it: who finds
-- less there knows that something was lost, and a partition whose records have expired says nothing by itself. A topic
-- that has no rows here was never sent to, and begins with the log's first event.
CREATE TABLE relay_partitions (
    topic         text        NOT NULL,
    partition     integer     NOT NULL CHECK (partition >= 0),
    -- Every event of this partition up to this position of the log is there.
    position      bigint      NOT NULL,
    -- The offset of the last record, -1 before the first; and which event that is, 0 where nobody knows. Where another
    -- one stands there, the topic is not the one that it was.
    record_offset   bigint    NOT NULL,
    record_position bigint    NOT NULL,
    -- Somebody asked for every event of the topic to be sent again, whatever it holds.
    is_resent     boolean     NOT NULL DEFAULT false,
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
);
