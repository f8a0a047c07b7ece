-- Exchanged tokens that were revoked before they expired, until they do.
CREATE TABLE revoked_tokens (
    id           BYTEA PRIMARY KEY, -- the jti
    stands_until BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_until ON revoked_tokens (stands_until);
