-- Durable work, see store/jobs.rs.
CREATE TABLE jobs (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    key          TEXT NOT NULL,
    lane         TEXT NOT NULL,
    app          TEXT,
    source       TEXT,
    user_id      TEXT, -- a wish may outlive the person: no reference
    priority     INTEGER NOT NULL, -- 0 deny, 1 grant, 2 background
    payload      TEXT NOT NULL,
    why          TEXT NOT NULL,
    state        TEXT NOT NULL, -- pending, running, dead, cancelled, done
    attempts     INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    again        INTEGER NOT NULL,
    holder       TEXT,
    leased_until INTEGER,
    error        TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    CHECK ((state = 'running') = (holder IS NOT NULL)),
    CHECK ((holder IS NULL) = (leased_until IS NULL)),
    CHECK (state = 'running' OR again = 0)
) STRICT;
-- Of one thing there is one open job.
CREATE UNIQUE INDEX jobs_open ON jobs (key) WHERE state IN ('pending', 'running', 'dead');
-- Of one lane one runs, whatever its claimers believe.
CREATE UNIQUE INDEX jobs_running ON jobs (lane) WHERE state = 'running';
CREATE INDEX jobs_due ON jobs (priority, due_at, id) WHERE state = 'pending';
CREATE INDEX jobs_lane ON jobs (lane) WHERE state IN ('pending', 'running');
CREATE INDEX jobs_written ON jobs (updated_at, state);
CREATE INDEX jobs_user ON jobs (user_id);
