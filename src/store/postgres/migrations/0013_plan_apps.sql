-- A plan may be of one app alone: what a directory has said already, and what was not done there.
ALTER TABLE plans ADD COLUMN app TEXT NOT NULL DEFAULT '';
DROP INDEX plans_held;
-- One that waits a directory and app.
CREATE UNIQUE INDEX plans_held ON plans (source, app) WHERE state = 'held';
CREATE INDEX memberships_of_app ON memberships (app, user_id, kind, target);
