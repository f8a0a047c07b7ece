-- Bots that services call an app as.
CREATE TABLE bots (
    id         TEXT PRIMARY KEY, -- app and name, with / between
    app        TEXT NOT NULL,
    name       TEXT NOT NULL,
    remote     TEXT NOT NULL,
    username   TEXT NOT NULL,
    mark       TEXT NOT NULL, -- the description of its tokens in the app
    token_id   TEXT,
    sealed     BLOB NOT NULL, -- empty before the first token
    number     INTEGER NOT NULL,
    settled    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    rotated_at INTEGER,
    version    INTEGER NOT NULL,
    UNIQUE (app, remote)
) STRICT;
