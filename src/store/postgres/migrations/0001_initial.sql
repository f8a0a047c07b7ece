-- Times are seconds since 1970. Lists are JSON arrays of texts.
-- Everything is made in the first schema of the search path.

CREATE TABLE counters (
    name  TEXT PRIMARY KEY, -- 'global_epoch', 'log' (the newest number)
    value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('global_epoch', 0), ('log', 0);

CREATE TABLE users (
    id             UUID PRIMARY KEY,
    issuer         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    email          TEXT NOT NULL,
    email_verified BOOLEAN NOT NULL,
    name           TEXT NOT NULL,
    username       TEXT,
    locale         TEXT,
    group_names    TEXT NOT NULL,
    state          TEXT NOT NULL,
    state_reason   TEXT NOT NULL,
    state_since    BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    seen_at        BIGINT NOT NULL, -- of the newest assertion
    epoch          BIGINT NOT NULL,
    UNIQUE (issuer, subject)
);

CREATE TABLE accounts (
    id               UUID PRIMARY KEY,
    app              TEXT NOT NULL,
    user_id          UUID NOT NULL REFERENCES users (id),
    state            TEXT NOT NULL,
    remote           TEXT,
    username         TEXT,
    detail           TEXT NOT NULL,
    password_version BIGINT NOT NULL,
    memo   TEXT NOT NULL,
    settled          BOOLEAN NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    UNIQUE (app, user_id),
    UNIQUE (app, remote),
    CHECK (state <> 'linked' OR remote IS NOT NULL)
);
CREATE INDEX accounts_user ON accounts (user_id);

CREATE TABLE sessions (
    id             BYTEA PRIMARY KEY,
    app            TEXT NOT NULL,
    issuer         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    user_id        UUID NOT NULL REFERENCES users (id),
    account_id     UUID NOT NULL REFERENCES accounts (id),
    remote         TEXT NOT NULL,
    sid            TEXT NOT NULL,
    former_sids    TEXT NOT NULL,
    sealed         BYTEA NOT NULL,
    app_session    TEXT,
    app_expires_at BIGINT NOT NULL,
    generation     BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    sid_since      BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    last_seen      BIGINT NOT NULL,
    ended_at       BIGINT,
    end_reason     TEXT,
    agent          TEXT NOT NULL,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
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
    set_at       BIGINT NOT NULL,
    stands_until BIGINT NOT NULL,
    PRIMARY KEY (app, issuer, subject, sid)
);
CREATE INDEX tombstones_until ON tombstones (stands_until);

CREATE TABLE revocations (
    number      BIGINT PRIMARY KEY, -- from counters, without gaps
    appended_at BIGINT NOT NULL,
    what        TEXT NOT NULL, -- session, user, sid, all, keys
    session_id  BYTEA,
    user_id     UUID,
    app         TEXT,
    issuer      TEXT,
    subject     TEXT,
    sid         TEXT,
    reason      TEXT
);

CREATE TABLE signing_keys (
    id          TEXT PRIMARY KEY,
    state       TEXT NOT NULL,
    sealed      BYTEA NOT NULL,
    public      BYTEA NOT NULL,
    created_at  BIGINT NOT NULL,
    state_since BIGINT NOT NULL
);

CREATE TABLE secrets (
    name   TEXT PRIMARY KEY,
    sealed BYTEA NOT NULL
);
