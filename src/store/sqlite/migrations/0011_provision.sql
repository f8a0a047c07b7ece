-- What provisioning remembers: whose doing a deactivation is, which memberships are the bridge's own,
-- how many seats were taken on which day.
ALTER TABLE accounts ADD COLUMN deactivated_for TEXT;
ALTER TABLE accounts ADD COLUMN deactivated_at INTEGER;
ALTER TABLE accounts ADD COLUMN deactivated_mark INTEGER; -- the app's own time of it; 0: the app is asked; null: planned
ALTER TABLE accounts ADD COLUMN bots TEXT NOT NULL DEFAULT '[]'; -- disabled with the person, JSON

CREATE TABLE memberships (
    id      TEXT PRIMARY KEY, -- app, account, kind and target
    app     TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    remote  TEXT NOT NULL,
    kind    TEXT NOT NULL,
    target  TEXT NOT NULL, -- the app's own id
    name    TEXT NOT NULL,
    state   TEXT NOT NULL,
    since   INTEGER NOT NULL
) STRICT;
CREATE INDEX memberships_by_user ON memberships (user_id, app);

CREATE TABLE seat_counts (
    id    TEXT PRIMARY KEY, -- app and day
    app   TEXT NOT NULL,
    day   INTEGER NOT NULL, -- since 1970-01-01
    used  INTEGER NOT NULL,
    total INTEGER
) STRICT;
CREATE INDEX seat_counts_by_day ON seat_counts (app, day);
