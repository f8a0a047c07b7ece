-- When the assertion was issued that the access rule turned away, and the one it admitted after
-- that; 0: never. A session stands turned away while the first is not the smaller one.
ALTER TABLE sessions ADD COLUMN refused_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN readmitted_at INTEGER NOT NULL DEFAULT 0;
