-- What directories say of people and groups, and who brought a person into their state.
ALTER TABLE users ADD COLUMN state_by TEXT NOT NULL DEFAULT ''; -- operator, directory:<source>
UPDATE users SET state_by = 'operator' WHERE state_reason <> '' OR state <> 'active';

CREATE TABLE directory_sources (
    source TEXT PRIMARY KEY,
    state  TEXT NOT NULL -- JSON
) STRICT;

CREATE TABLE directory_groups (
    source  TEXT NOT NULL,
    id      TEXT NOT NULL, -- the source's own
    name    TEXT NOT NULL,
    parents TEXT NOT NULL,
    read_at INTEGER NOT NULL,
    gone_at INTEGER,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- One word a source and person.
CREATE TABLE directory_people (
    source         TEXT NOT NULL,
    id             TEXT NOT NULL, -- the source's own
    aliases        TEXT NOT NULL,
    issuer         TEXT NOT NULL,
    subject        TEXT,
    username       TEXT NOT NULL,
    name           TEXT NOT NULL,
    email          TEXT NOT NULL,
    email_verified INTEGER NOT NULL,
    locale         TEXT,
    active         INTEGER NOT NULL,
    human          INTEGER NOT NULL,
    group_ids      TEXT NOT NULL,
    read_at        INTEGER NOT NULL,
    gone_at        INTEGER,
    denied_since   INTEGER, -- by our clock
    number         INTEGER NOT NULL, -- raised by each change
    settled        INTEGER NOT NULL, -- whether what follows from it was done
    PRIMARY KEY (source, id),
    CHECK ((denied_since IS NULL) = (active AND gone_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX directory_people_subject ON directory_people (issuer, subject);
CREATE INDEX directory_people_unsettled ON directory_people (source, id) WHERE NOT settled;
CREATE INDEX directory_people_read ON directory_people (source, read_at);

-- Other ids that a source has for a person, to be found by.
CREATE TABLE directory_aliases (
    source  TEXT NOT NULL,
    alias   TEXT NOT NULL,
    person  TEXT NOT NULL,
    issuer  TEXT NOT NULL,
    subject TEXT,
    PRIMARY KEY (source, alias, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX directory_aliases_person ON directory_aliases (source, person);
