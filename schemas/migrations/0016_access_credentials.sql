-- What passwords and client secrets are checked against. Which of them counts is said by the log: the credential
-- that a principal's last event names. The others are of the past, or of a command that came to nothing.
CREATE TABLE access_credentials (
    credential_id uuid        PRIMARY KEY,
    -- An Argon2id digest in PHC's format.
    digest        text        NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
