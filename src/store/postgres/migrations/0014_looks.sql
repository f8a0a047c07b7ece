-- A plan that somebody asked to see, and that nothing follows from unless it is approved: one a directory.
CREATE UNIQUE INDEX plans_proposed ON plans (source) WHERE state = 'proposed';
-- What apps were like when they were last looked at whole.
CREATE TABLE app_looks (
    app       TEXT PRIMARY KEY,
    looked_at BIGINT NOT NULL,
    body      TEXT NOT NULL -- JSON; names people by our ids and the app's only
);
