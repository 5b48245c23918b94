-- One text for both databases: TEXT, BIGINT (flags are 0 and 1, times are milliseconds since
-- 1970), JSON as TEXT. A migration that was released is never edited; a new one follows it.

CREATE TABLE yards (
    name     TEXT NOT NULL PRIMARY KEY,
    manifest TEXT NOT NULL,
    revision BIGINT NOT NULL,
    updated  BIGINT NOT NULL
);

CREATE TABLE hosts (
    id         TEXT NOT NULL PRIMARY KEY,
    yard       TEXT NOT NULL,
    pool       TEXT NOT NULL,
    name       TEXT NOT NULL,
    labels     TEXT NOT NULL,
    facts      TEXT NOT NULL,
    token_hash TEXT NOT NULL UNIQUE,
    joined     BIGINT NOT NULL,
    last_seen  BIGINT,
    drain      BIGINT NOT NULL,
    removed    BIGINT,
    -- Of the last desired state: an agent that holds it need not be told again.
    revision   BIGINT NOT NULL,
    digest     TEXT NOT NULL
);
CREATE UNIQUE INDEX hosts_by_name ON hosts (yard, name) WHERE removed IS NULL;

CREATE TABLE joins (
    hash     TEXT NOT NULL PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    yard     TEXT NOT NULL,
    pool     TEXT NOT NULL,
    name     TEXT,
    labels   TEXT NOT NULL,
    replaces TEXT,
    created  BIGINT NOT NULL,
    expires  BIGINT NOT NULL,
    used     BIGINT,
    host     TEXT,
    nonce    TEXT
);

CREATE TABLE tokens (
    id        TEXT NOT NULL PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE,
    role      TEXT NOT NULL,
    hash      TEXT NOT NULL UNIQUE,
    created   BIGINT NOT NULL,
    expires   BIGINT,
    last_used BIGINT
);

CREATE TABLE stacks (
    yard      TEXT NOT NULL,
    name      TEXT NOT NULL,
    revision  BIGINT NOT NULL,
    content   TEXT NOT NULL,
    previous  TEXT,
    placement TEXT NOT NULL,
    state     TEXT NOT NULL,
    PRIMARY KEY (yard, name)
);

CREATE TABLE secrets (
    yard    TEXT NOT NULL,
    name    TEXT NOT NULL,
    value   TEXT NOT NULL,
    updated BIGINT NOT NULL,
    PRIMARY KEY (yard, name)
);

CREATE TABLE audit (
    id     TEXT NOT NULL PRIMARY KEY,
    at     BIGINT NOT NULL,
    who    TEXT NOT NULL,
    verb   TEXT NOT NULL,
    target TEXT NOT NULL,
    result TEXT
);

CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
