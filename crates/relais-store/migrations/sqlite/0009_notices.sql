-- Notifications for more members than one transaction takes: the others get theirs piece by piece, right after it.
CREATE TABLE notices (
    id           INTEGER PRIMARY KEY,
    tenant       INTEGER NOT NULL,
    notification INTEGER NOT NULL,
    place        INTEGER NOT NULL,
    left_out     TEXT,                   -- a user who gets none
    keep         INTEGER NOT NULL,       -- notifications that an inbox keeps
    next         TEXT    NOT NULL,       -- members from this one on wait for theirs
    newest       INTEGER NOT NULL,       -- the newest member; who came later gets none
    UNIQUE (notification, place)
) STRICT;

DROP TRIGGER inbox_gone;
CREATE TRIGGER inbox_gone AFTER DELETE ON inbox BEGIN
    DELETE FROM notifications
    WHERE id = OLD.notification
      AND NOT EXISTS (SELECT 1 FROM inbox WHERE notification = OLD.notification)
      AND NOT EXISTS (SELECT 1 FROM notices WHERE notification = OLD.notification);
END;
