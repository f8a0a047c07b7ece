-- What SCIM connections have put here: the resources, an index of what stands in them, and who is
-- in which group. Texts are compared byte by byte.
CREATE TABLE scim_resources (
    id          TEXT COLLATE "C" PRIMARY KEY, -- a UUID, never given twice
    connection  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    name        TEXT COLLATE "C", -- userName or displayName as it is compared; none once deleted
    external_id TEXT COLLATE "C",
    issuer      TEXT,
    subject     TEXT,
    body        TEXT NOT NULL,    -- what the client said, as JSON
    active      BOOLEAN NOT NULL,
    ended_at    BIGINT,           -- when it was last deactivated or deleted
    version     BIGINT NOT NULL,
    word        BIGINT NOT NULL,  -- raised by whatever may change what the directory is told
    told        BIGINT NOT NULL,  -- the word that it has been told
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    deleted_at  BIGINT,
    CONSTRAINT scim_resources_name UNIQUE (connection, kind, name),
    CONSTRAINT scim_resources_external_id UNIQUE (connection, kind, external_id)
);
CREATE INDEX scim_resources_due ON scim_resources (connection) WHERE word > told;
CREATE INDEX scim_resources_ended ON scim_resources (connection, ended_at);
CREATE INDEX scim_resources_subject ON scim_resources (issuer, subject);

-- One row a simple value; `text` is folded where case does not count.
CREATE TABLE scim_values (
    resource TEXT COLLATE "C" NOT NULL REFERENCES scim_resources (id) ON DELETE CASCADE,
    n        BIGINT NOT NULL,
    attr     TEXT COLLATE "C" NOT NULL,
    element  BIGINT NOT NULL,     -- which of several values of the attribute
    sub      TEXT COLLATE "C" NOT NULL, -- empty for the attribute itself
    main     BOOLEAN NOT NULL,    -- whether it is in the primary value
    kind     TEXT NOT NULL,       -- s text, n number, b flag
    text     TEXT COLLATE "C",
    head     TEXT COLLATE "C",    -- its beginning, to be found by
    number   BIGINT,              -- a number in its order, a flag as 0 or 1
    PRIMARY KEY (resource, n)
);
CREATE INDEX scim_values_found ON scim_values (attr, sub, head);
CREATE INDEX scim_values_element ON scim_values (resource, attr, element);

CREATE TABLE scim_members (
    group_id   TEXT COLLATE "C" NOT NULL REFERENCES scim_resources (id) ON DELETE CASCADE,
    member     TEXT COLLATE "C" NOT NULL, -- an id; of nothing, perhaps
    connection TEXT NOT NULL,
    PRIMARY KEY (group_id, member)
);
CREATE INDEX scim_members_member ON scim_members (member, connection);
