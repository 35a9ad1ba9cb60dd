-- Whatever is cleaned up is found by one index: answers by when they were given, and claims that were never
-- answered (there `answered_at` is null) by when they ended.
CREATE INDEX idempotency_keys_cleanup ON idempotency_keys (answered_at, claimed_until);
DROP INDEX idempotency_keys_answered_at;
