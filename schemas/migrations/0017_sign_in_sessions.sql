-- Who is signed in, and may have another access token for a refresh token. That a session has ended is said by the
-- log (SessionEnded); ended_at keeps its refresh tokens from being used where the log cannot be reached.
CREATE TABLE sign_in_sessions (
    session_id uuid        PRIMARY KEY,
    principal  text        NOT NULL,
    -- What was granted at a lower one than the principal has holds no more.
    revision   bigint      NOT NULL,
    -- The scopes that were granted, with a space between them.
    scope      text        NOT NULL,
    started_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- How many refresh tokens there have been.
    refreshes  integer     NOT NULL DEFAULT 0,
    ended_at   timestamptz
);
CREATE INDEX sign_in_sessions_principal ON sign_in_sessions (principal, started_at);
CREATE INDEX sign_in_sessions_expires_at ON sign_in_sessions (expires_at);

-- Every refresh token of a session, so that one that is used again is known.
CREATE TABLE refresh_tokens (
    -- SHA-256 of the token, which has 256 random bits.
    digest     bytea       PRIMARY KEY,
    session_id uuid        NOT NULL REFERENCES sign_in_sessions ON DELETE CASCADE,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_tokens_session_id ON refresh_tokens (session_id);

-- Assertions of clients that were used (RFC 7523, section 3, jti); each is good for minutes.
CREATE TABLE used_assertions (
    -- SHA-256 of the client's name and the jti.
    digest     bytea       PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_assertions_expires_at ON used_assertions (expires_at);
