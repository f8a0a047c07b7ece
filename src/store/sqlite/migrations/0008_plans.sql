-- Plans of reconciliation that wait for a person's word, and what became of them.
CREATE TABLE plans (
    id          TEXT PRIMARY KEY,
    source      TEXT NOT NULL,
    state       TEXT NOT NULL,
    digest      TEXT NOT NULL,
    why         TEXT NOT NULL,
    body        TEXT NOT NULL, -- JSON; names people by the directory's ids only
    made_at     INTEGER NOT NULL,
    state_since INTEGER NOT NULL,
    ended_by    TEXT NOT NULL
) STRICT;
-- One that waits a directory.
CREATE UNIQUE INDEX plans_held ON plans (source) WHERE state = 'held';
CREATE INDEX plans_ended ON plans (state_since) WHERE state <> 'held';
