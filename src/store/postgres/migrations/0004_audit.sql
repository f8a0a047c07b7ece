-- The audit trail. A record's hash covers its number, the hash before it and its body: what stands
-- beside the body is there to be searched by. Times are seconds since 1970.

CREATE TABLE audit_head (
    one    BIGINT PRIMARY KEY CHECK (one = 1),
    number BIGINT NOT NULL, -- the newest; 0 before the first
    hash   BYTEA NOT NULL
);
INSERT INTO audit_head (one, number, hash) VALUES (1, 0, decode(repeat('00', 32), 'hex'));

CREATE TABLE audit_records (
    number   BIGINT PRIMARY KEY, -- from audit_head, in commit order, without gaps
    at       BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    user_id  UUID,
    app      TEXT,
    body     TEXT NOT NULL, -- JSON, never written anew: its bytes are what is hashed
    previous BYTEA NOT NULL,
    hash     BYTEA NOT NULL
);
CREATE INDEX audit_records_user ON audit_records (user_id, number) WHERE user_id IS NOT NULL;
CREATE INDEX audit_records_kind ON audit_records (kind, number);
CREATE INDEX audit_records_at ON audit_records (at);

-- Signed statements about a number: checkpoints, and the anchor that a removed beginning leaves.
CREATE TABLE audit_marks (
    kind   TEXT NOT NULL, -- checkpoint, anchor
    number BIGINT NOT NULL,
    token  TEXT NOT NULL, -- a compact JWS
    PRIMARY KEY (kind, number)
);
