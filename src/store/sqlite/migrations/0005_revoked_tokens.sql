-- Exchanged tokens that were revoked before they expired, until they do.
CREATE TABLE revoked_tokens (
    id           BLOB PRIMARY KEY, -- the jti
    stands_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_until ON revoked_tokens (stands_until);
