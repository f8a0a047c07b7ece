-- A signing key is for one purpose.
ALTER TABLE signing_keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'session';
