-- Who signed in to the console with Keystone. Neither the password nor the token that Keystone gave is kept.
CREATE TABLE people (
    hash         TEXT NOT NULL PRIMARY KEY,
    cloud        TEXT NOT NULL,
    keystone     TEXT NOT NULL,
    name         TEXT NOT NULL,
    project      TEXT NOT NULL,
    project_name TEXT NOT NULL,
    role         TEXT NOT NULL,
    expires      BIGINT NOT NULL
);
