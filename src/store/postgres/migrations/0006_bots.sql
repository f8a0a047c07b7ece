-- Bots that services call an app as.
CREATE TABLE bots (
    id         TEXT PRIMARY KEY, -- app and name, with / between
    app        TEXT NOT NULL,
    name       TEXT NOT NULL,
    remote     TEXT NOT NULL,
    username   TEXT NOT NULL,
    mark       TEXT NOT NULL, -- the description of its tokens in the app
    token_id   TEXT,
    sealed     BYTEA NOT NULL, -- empty before the first token
    number     BIGINT NOT NULL,
    settled    BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    rotated_at BIGINT,
    version    BIGINT NOT NULL,
    UNIQUE (app, remote)
);
