-- One row per Idempotency-Key of a principal: claimed while the command runs, answered once it is done.
CREATE TABLE idempotency_keys (
    principal     text        NOT NULL,
    key           text        NOT NULL,
    fingerprint   bytea       NOT NULL,
    claim         uuid        NOT NULL,
    claimed_until timestamptz NOT NULL,
    answer        jsonb,
    answered_at   timestamptz,
    PRIMARY KEY (principal, key)
);
CREATE INDEX idempotency_keys_answered_at ON idempotency_keys (answered_at);
