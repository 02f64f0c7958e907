-- The log and the state of every tenant. Keys are columns, never joined strings: no spelling of one room, user or
-- tenant can be mistaken for another.

CREATE TABLE tenants (
    id      INTEGER PRIMARY KEY,
    app     TEXT    NOT NULL,
    tenant  TEXT    NOT NULL,
    epoch   INTEGER NOT NULL,
    head    INTEGER NOT NULL DEFAULT 0, -- position of the newest record; outlives the record
    trimmed INTEGER NOT NULL DEFAULT 0, -- newest position that retention has taken
    UNIQUE (app, tenant)
) STRICT;

-- Rooms, direct conversations, and the one place of what has no room. Everything else names them by id.
CREATE TABLE places (
    id       INTEGER PRIMARY KEY,
    tenant   INTEGER NOT NULL,
    class    INTEGER NOT NULL,           -- 0: no room, 1: room (kind, id), 2: direct (two users, sorted)
    a        TEXT    NOT NULL,
    b        TEXT    NOT NULL,
    last_seq INTEGER NOT NULL DEFAULT 0, -- newest seq of the conversation
    trimmed  INTEGER NOT NULL DEFAULT 0, -- newest position that retention has taken from here
    UNIQUE (tenant, class, a, b)
) STRICT;

CREATE TABLE log (
    tenant   INTEGER NOT NULL,
    position INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    seq      INTEGER,
    at       INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    codec    INTEGER NOT NULL,           -- 1: JSON
    data     TEXT    NOT NULL,
    PRIMARY KEY (tenant, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    place     INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    tenant    INTEGER NOT NULL,
    id        BLOB    NOT NULL,
    position  INTEGER NOT NULL,
    sender    TEXT    NOT NULL,
    recipient TEXT,
    channel   TEXT,
    key       TEXT,
    body_hash BLOB,                      -- set where the key is kept against a second sending
    data      TEXT    NOT NULL,
    PRIMARY KEY (place, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX messages_id ON messages (tenant, id);

-- Which message keeps which key, by a hash of place, sender and key. The newest stand in the order in which they came,
-- the others sorted; they are moved over many at a time, so that a message does not cost a page of a large index.
CREATE TABLE keys_new (
    id    INTEGER PRIMARY KEY,
    hash  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    seq   INTEGER NOT NULL
) STRICT;
CREATE TABLE keys (
    hash  INTEGER NOT NULL,
    place INTEGER NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (hash, place, seq)
) STRICT, WITHOUT ROWID;

-- A member who is added again gets a new id, and with it a new place in the order.
CREATE TABLE members (
    id       INTEGER PRIMARY KEY,
    tenant   INTEGER NOT NULL,
    place    INTEGER NOT NULL,
    user     TEXT    NOT NULL,
    numeric  INTEGER NOT NULL,           -- whether the id is a JSON number
    removed  INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    UNIQUE (place, user)
) STRICT;
CREATE INDEX members_user ON members (tenant, user);

-- Stays of sessions in rooms that were joined explicitly: records with since < position <= until are for them.
CREATE TABLE stays (
    id      INTEGER PRIMARY KEY,
    tenant  INTEGER NOT NULL,
    session TEXT    NOT NULL,
    place   INTEGER NOT NULL,
    since   INTEGER NOT NULL,
    until   INTEGER,
    seen_at INTEGER NOT NULL             -- open: last time the session was known to live; closed: when it was
) STRICT;
CREATE INDEX stays_session ON stays (tenant, session);
CREATE UNIQUE INDEX stays_open ON stays (tenant, session, place) WHERE until IS NULL;
CREATE INDEX stays_seen ON stays (tenant, seen_at);

CREATE TABLE marks (
    place INTEGER NOT NULL,
    user  TEXT    NOT NULL,
    seq   INTEGER NOT NULL,
    PRIMARY KEY (place, user)
) STRICT, WITHOUT ROWID;

CREATE TABLE presences (
    tenant    INTEGER NOT NULL,
    user      TEXT    NOT NULL,
    online    INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    data      TEXT    NOT NULL,
    PRIMARY KEY (tenant, user)
) STRICT, WITHOUT ROWID;
