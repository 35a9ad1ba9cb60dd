-- Which keys the processes of the installation sign with, by their ids: no key is here, and nothing that one could be
-- made from. A key signs when everybody who serves has it, and who begins with the keys of another installation is told.
CREATE TABLE installation_keys (
    -- Derived from the public half of a key of tokens, or from a secret.
    key_id        text        PRIMARY KEY,
    purpose       text        NOT NULL CHECK (purpose IN ('tokens', 'urls')),
    first_seen_at timestamptz NOT NULL,
    -- One that is gone for long, while others are there, was retired.
    last_seen_at  timestamptz NOT NULL
);

-- Which of them each process that serves has, and signs with. One that says nothing for half a minute is not waited for.
CREATE TABLE key_holders (
    holder_id   uuid        PRIMARY KEY,
    key_ids     text[]      NOT NULL,
    signing_ids text[]      NOT NULL,
    seen_at     timestamptz NOT NULL
);
