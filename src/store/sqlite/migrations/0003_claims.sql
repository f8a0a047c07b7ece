-- Requests that must not act twice, by the client's idempotency key.
CREATE TABLE claims (
    client       TEXT NOT NULL,
    key          TEXT NOT NULL,
    fingerprint  BLOB NOT NULL, -- of the request
    holder       TEXT NOT NULL, -- who carries it out
    claimed_at   INTEGER NOT NULL,
    stands_until INTEGER NOT NULL,
    status       INTEGER, -- of the answer, once there is one
    etag         TEXT,
    body         TEXT,
    PRIMARY KEY (client, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_until ON claims (stands_until);
CREATE INDEX claims_of_client ON claims (client, claimed_at) WHERE status IS NOT NULL;
