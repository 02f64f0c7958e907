-- What users are notified of. A notification is kept once, for as long as it stands in anybody's inbox.

CREATE TABLE notifications (
    id     INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    uuid   BLOB    NOT NULL,
    data   TEXT    NOT NULL,
    UNIQUE (tenant, uuid)
) STRICT;

-- `number` counts a user's notifications in the order of commits, without holes: only the oldest are ever taken away.
CREATE TABLE inbox (
    tenant       INTEGER NOT NULL,
    user         TEXT    NOT NULL,
    number       INTEGER NOT NULL,
    notification INTEGER NOT NULL,
    read         INTEGER NOT NULL,
    PRIMARY KEY (tenant, user, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX inbox_once ON inbox (notification, user);

CREATE TRIGGER inbox_gone AFTER DELETE ON inbox BEGIN
    DELETE FROM notifications
    WHERE id = OLD.notification
      AND NOT EXISTS (SELECT 1 FROM inbox WHERE notification = OLD.notification);
END;
