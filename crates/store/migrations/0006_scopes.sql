-- Project and region of a yard: the name is theirs alone on this server.
CREATE TABLE scopes (
    yard  TEXT NOT NULL PRIMARY KEY,
    scope TEXT NOT NULL
);
