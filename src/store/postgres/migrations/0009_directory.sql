-- What directories say of people and groups, and who brought a person into their state.
ALTER TABLE users ADD COLUMN state_by TEXT NOT NULL DEFAULT ''; -- operator, directory:<source>
UPDATE users SET state_by = 'operator' WHERE state_reason <> '' OR state <> 'active';

CREATE TABLE directory_sources (
    source TEXT COLLATE "C" PRIMARY KEY,
    state  TEXT NOT NULL -- JSON
);

CREATE TABLE directory_groups (
    source  TEXT COLLATE "C" NOT NULL,
    id      TEXT COLLATE "C" NOT NULL, -- the source's own
    name    TEXT NOT NULL,
    parents TEXT NOT NULL,
    read_at BIGINT NOT NULL,
    gone_at BIGINT,
    PRIMARY KEY (source, id)
);

-- One word a source and person.
CREATE TABLE directory_people (
    source         TEXT COLLATE "C" NOT NULL,
    id             TEXT COLLATE "C" NOT NULL, -- the source's own
    aliases        TEXT NOT NULL,
    issuer         TEXT NOT NULL,
    subject        TEXT,
    username       TEXT NOT NULL,
    name           TEXT NOT NULL,
    email          TEXT NOT NULL,
    email_verified BOOLEAN NOT NULL,
    locale         TEXT,
    active         BOOLEAN NOT NULL,
    human          BOOLEAN NOT NULL,
    group_ids      TEXT NOT NULL,
    read_at        BIGINT NOT NULL,
    gone_at        BIGINT,
    denied_since   BIGINT, -- by our clock
    number         BIGINT NOT NULL, -- raised by each change
    settled        BOOLEAN NOT NULL, -- whether what follows from it was done
    PRIMARY KEY (source, id),
    CHECK ((denied_since IS NULL) = (active AND gone_at IS NULL))
);
CREATE INDEX directory_people_subject ON directory_people (issuer, subject);
CREATE INDEX directory_people_unsettled ON directory_people (source, id) WHERE NOT settled;
CREATE INDEX directory_people_read ON directory_people (source, read_at);

-- Other ids that a source has for a person, to be found by.
CREATE TABLE directory_aliases (
    source  TEXT COLLATE "C" NOT NULL,
    alias   TEXT COLLATE "C" NOT NULL,
    person  TEXT COLLATE "C" NOT NULL,
    issuer  TEXT NOT NULL,
    subject TEXT,
    PRIMARY KEY (source, alias, person)
);
CREATE INDEX directory_aliases_person ON directory_aliases (source, person);
