-- Who this database is, made once: files that belong to it lie below this name, so that another database never takes them for its own.
CREATE TABLE store (
    id TEXT NOT NULL
) STRICT;
INSERT INTO store (id) VALUES (lower(hex(randomblob(8))));
