-- Who follows the logs of an app, to tell the world outside.
CREATE TABLE followers (
    app  TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (app, name)
) STRICT, WITHOUT ROWID;

-- Up to where a follower has told a log; without a row: nothing of it yet.
CREATE TABLE cursors (
    tenant   INTEGER NOT NULL,
    follower TEXT    NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tenant, follower)
) STRICT, WITHOUT ROWID;

-- What is still to be told, and what was given up.
CREATE TABLE errands (
    tenant  INTEGER NOT NULL,
    id      BLOB    NOT NULL,
    queue   TEXT    NOT NULL,
    is_dead INTEGER NOT NULL,
    due_at  INTEGER NOT NULL,
    data    TEXT    NOT NULL,             -- JSON of the whole errand
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX errands_due ON errands (tenant, queue, is_dead, due_at);

-- Where browsers take pushes.
CREATE TABLE subscriptions (
    id       INTEGER PRIMARY KEY,
    tenant   INTEGER NOT NULL,
    user     TEXT    NOT NULL,
    endpoint TEXT    NOT NULL,
    data     TEXT    NOT NULL,            -- JSON of the whole subscription
    UNIQUE (tenant, endpoint)
) STRICT;
CREATE INDEX subscriptions_user ON subscriptions (tenant, user);
