-- Plans of reconciliation that wait for a person's word, and what became of them.
CREATE TABLE plans (
    id          UUID PRIMARY KEY,
    source      TEXT NOT NULL,
    state       TEXT NOT NULL,
    digest      TEXT NOT NULL,
    why         TEXT NOT NULL,
    body        TEXT NOT NULL, -- JSON; names people by the directory's ids only
    made_at     BIGINT NOT NULL,
    state_since BIGINT NOT NULL,
    ended_by    TEXT NOT NULL
);
-- One that waits a directory.
CREATE UNIQUE INDEX plans_held ON plans (source) WHERE state = 'held';
CREATE INDEX plans_ended ON plans (state_since) WHERE state <> 'held';
