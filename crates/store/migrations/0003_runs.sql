-- Every manifest that a yard ever had, with the files that came with it (JSON, text by path).
CREATE TABLE manifests (
    yard     TEXT NOT NULL,
    revision BIGINT NOT NULL,
    manifest TEXT NOT NULL,
    files    TEXT NOT NULL,
    who      TEXT NOT NULL,
    kept     BIGINT NOT NULL,
    PRIMARY KEY (yard, revision)
);
INSERT INTO manifests (yard, revision, manifest, files, who, kept)
    SELECT name, revision, manifest, '{}', '', updated FROM yards;

-- Runs of yards. One without an end goes on, or its server was killed.
CREATE TABLE runs (
    id       TEXT NOT NULL PRIMARY KEY,
    yard     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    -- Of the manifest; none for a removal.
    revision BIGINT,
    who      TEXT NOT NULL,
    began    BIGINT NOT NULL,
    ended    BIGINT,
    state    TEXT NOT NULL,
    error    TEXT,
    content  TEXT NOT NULL
);
CREATE INDEX runs_by_yard ON runs (yard, id);
