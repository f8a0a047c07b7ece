-- What SCIM connections have put here: the resources, an index of what stands in them, and who is
-- in which group.
CREATE TABLE scim_resources (
    id          TEXT PRIMARY KEY, -- a UUID, never given twice
    connection  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT,             -- userName or displayName as it is compared; none once deleted
    external_id TEXT,
    issuer      TEXT,
    subject     TEXT,
    body        TEXT NOT NULL,    -- what the client said, as JSON
    active      INTEGER NOT NULL,
    ended_at    INTEGER,          -- when it was last deactivated or deleted
    version     INTEGER NOT NULL,
    word        INTEGER NOT NULL, -- raised by whatever may change what the directory is told
    told        INTEGER NOT NULL, -- the word that it has been told
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER,
    UNIQUE (connection, kind, name),
    UNIQUE (connection, kind, external_id)
) STRICT;
CREATE INDEX scim_resources_due ON scim_resources (connection) WHERE word > told;
CREATE INDEX scim_resources_ended ON scim_resources (connection, ended_at);
CREATE INDEX scim_resources_subject ON scim_resources (issuer, subject);

-- One row a simple value; `text` is folded where case does not count.
CREATE TABLE scim_values (
    resource TEXT NOT NULL REFERENCES scim_resources (id) ON DELETE CASCADE,
    n        INTEGER NOT NULL,
    attr     TEXT NOT NULL,
    element  INTEGER NOT NULL,    -- which of several values of the attribute
    sub      TEXT NOT NULL,       -- empty for the attribute itself
    main     INTEGER NOT NULL,    -- whether it is in the primary value
    kind     TEXT NOT NULL,       -- s text, n number, b flag
    text     TEXT,
    head     TEXT,                -- its beginning, to be found by
    number   INTEGER,             -- a number in its order, a flag as 0 or 1
    PRIMARY KEY (resource, n)
) STRICT;
CREATE INDEX scim_values_found ON scim_values (attr, sub, head);
CREATE INDEX scim_values_element ON scim_values (resource, attr, element);

CREATE TABLE scim_members (
    group_id   TEXT NOT NULL REFERENCES scim_resources (id) ON DELETE CASCADE,
    member     TEXT NOT NULL,     -- an id; of nothing, perhaps
    connection TEXT NOT NULL,
    PRIMARY KEY (group_id, member)
) STRICT;
CREATE INDEX scim_members_member ON scim_members (member, connection);
