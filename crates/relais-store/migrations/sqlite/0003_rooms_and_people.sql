-- What somebody said that a room is. A room without a row is what its kind says.
CREATE TABLE rooms (
    place      INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL,
    sort       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT                       -- JSON of the user's id; NULL: the backend
) STRICT;

-- Who has come, so that they can be named while they are away.
CREATE TABLE people (
    tenant INTEGER NOT NULL,
    user   TEXT    NOT NULL,
    data   TEXT    NOT NULL,              -- JSON of id, name and role
    PRIMARY KEY (tenant, user)
) STRICT, WITHOUT ROWID;

-- The rooms that their token claimed then.
CREATE TABLE claims (
    tenant INTEGER NOT NULL,
    user   TEXT    NOT NULL,
    place  INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, place)
) STRICT, WITHOUT ROWID;
CREATE INDEX claims_place ON claims (place);
