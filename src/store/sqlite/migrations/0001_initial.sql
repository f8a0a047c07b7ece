-- Times are seconds since 1970. Lists are JSON arrays of texts. Row ids are UUIDs as text.

CREATE TABLE counters (
    name  TEXT PRIMARY KEY, -- 'global_epoch', 'log' (the newest number)
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counters (name, value) VALUES ('global_epoch', 0), ('log', 0);

CREATE TABLE users (
    id             TEXT PRIMARY KEY,
    issuer         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    email          TEXT NOT NULL,
    email_verified INTEGER NOT NULL,
    name           TEXT NOT NULL,
    username       TEXT,
    locale         TEXT,
    group_names    TEXT NOT NULL,
    state          TEXT NOT NULL,
    state_reason   TEXT NOT NULL,
    state_since    INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    updated_at     INTEGER NOT NULL,
    seen_at        INTEGER NOT NULL, -- of the newest assertion
    epoch          INTEGER NOT NULL,
    UNIQUE (issuer, subject)
) STRICT;

CREATE TABLE accounts (
    id               TEXT PRIMARY KEY,
    app              TEXT NOT NULL,
    user_id          TEXT NOT NULL REFERENCES users (id),
    state            TEXT NOT NULL,
    remote           TEXT,
    username         TEXT,
    detail           TEXT NOT NULL,
    password_version INTEGER NOT NULL,
    memo   TEXT NOT NULL,
    settled          INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    version          INTEGER NOT NULL,
    UNIQUE (app, user_id),
    UNIQUE (app, remote),
    CHECK (state <> 'linked' OR remote IS NOT NULL)
) STRICT;
CREATE INDEX accounts_user ON accounts (user_id);

CREATE TABLE sessions (
    id             BLOB PRIMARY KEY,
    app            TEXT NOT NULL,
    issuer         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    user_id        TEXT NOT NULL REFERENCES users (id),
    account_id     TEXT NOT NULL REFERENCES accounts (id),
    remote         TEXT NOT NULL,
    sid            TEXT NOT NULL,
    former_sids    TEXT NOT NULL,
    sealed         BLOB NOT NULL,
    app_session    TEXT,
    app_expires_at INTEGER NOT NULL,
    generation     INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    sid_since      INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    last_seen      INTEGER NOT NULL,
    ended_at       INTEGER,
    end_reason     TEXT,
    agent          TEXT NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
) STRICT;
-- One live session a sign-in.
CREATE UNIQUE INDEX sessions_live ON sessions (app, issuer, subject, sid) WHERE ended_at IS NULL;
CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_account ON sessions (account_id);
CREATE INDEX sessions_created ON sessions (created_at);
CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
-- Whose token the app must still be told to forget.
CREATE INDEX sessions_unclosed ON sessions (ended_at, id) WHERE ended_at IS NOT NULL AND length(sealed) > 0;
CREATE INDEX sessions_expires ON sessions (expires_at) WHERE ended_at IS NULL;

CREATE TABLE tombstones (
    app          TEXT NOT NULL,
    issuer       TEXT NOT NULL,
    subject      TEXT NOT NULL,
    sid          TEXT NOT NULL,
    reason       TEXT NOT NULL,
    set_at       INTEGER NOT NULL,
    stands_until INTEGER NOT NULL,
    PRIMARY KEY (app, issuer, subject, sid)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_until ON tombstones (stands_until);

CREATE TABLE revocations (
    number      INTEGER PRIMARY KEY, -- from counters, without gaps
    appended_at INTEGER NOT NULL,
    what        TEXT NOT NULL, -- session, user, sid, all, keys
    session_id  BLOB,
    user_id     TEXT,
    app         TEXT,
    issuer      TEXT,
    subject     TEXT,
    sid         TEXT,
    reason      TEXT
) STRICT;

CREATE TABLE signing_keys (
    id          TEXT PRIMARY KEY,
    state       TEXT NOT NULL,
    sealed      BLOB NOT NULL,
    public      BLOB NOT NULL,
    created_at  INTEGER NOT NULL,
    state_since INTEGER NOT NULL
) STRICT;

CREATE TABLE secrets (
    name   TEXT PRIMARY KEY,
    sealed BLOB NOT NULL
) STRICT;
