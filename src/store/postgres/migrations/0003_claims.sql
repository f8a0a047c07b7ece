-- Requests that must not act twice, by the client's idempotency key.
CREATE TABLE claims (
    client       TEXT NOT NULL,
    key          TEXT COLLATE "C" NOT NULL,
    fingerprint  BYTEA NOT NULL, -- of the request
    holder       UUID NOT NULL, -- who carries it out
    claimed_at   BIGINT NOT NULL,
    stands_until BIGINT NOT NULL,
    status       BIGINT, -- of the answer, once there is one
    etag         TEXT,
    body         TEXT,
    PRIMARY KEY (client, key)
);
CREATE INDEX claims_until ON claims (stands_until);
CREATE INDEX claims_of_client ON claims (client, claimed_at) WHERE status IS NOT NULL;
