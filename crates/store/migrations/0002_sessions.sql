-- Who signed in to the console, and with which token: a session without its token is none.
CREATE TABLE sessions (
    hash    TEXT NOT NULL PRIMARY KEY,
    token   TEXT NOT NULL,
    expires BIGINT NOT NULL
);
