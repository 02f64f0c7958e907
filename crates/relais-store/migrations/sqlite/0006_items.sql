-- Things with fields, an owner and a status. The number is the order of creation, which a change does not touch.

CREATE TABLE items (
    number    INTEGER PRIMARY KEY,
    place     INTEGER NOT NULL,          -- the room, or the one place of what has none; it names the tenant
    kind      TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    status    TEXT,
    owner     TEXT,
    assignee  TEXT,
    temporary TEXT,                      -- the client's temporary id
    free_at   INTEGER,                   -- set while it can be claimed, now or then
    data      TEXT    NOT NULL,
    UNIQUE (place, kind, id)
) STRICT;
CREATE INDEX items_newest ON items (place, kind, number);
CREATE INDEX items_status ON items (place, kind, status, number) WHERE status IS NOT NULL;
CREATE INDEX items_owner ON items (place, kind, owner, number) WHERE owner IS NOT NULL;
CREATE INDEX items_assignee ON items (place, kind, assignee, number) WHERE assignee IS NOT NULL;
CREATE INDEX items_free ON items (place, kind, number) WHERE free_at IS NOT NULL;
CREATE INDEX items_temporary ON items (place, kind, temporary) WHERE temporary IS NOT NULL;
