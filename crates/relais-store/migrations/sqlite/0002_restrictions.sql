-- What is held against users and tokens. Few rows: all of a tenant's are read when it is taken into use.
CREATE TABLE restrictions (
    tenant  INTEGER NOT NULL,
    subject TEXT    NOT NULL,            -- JSON of whom it is held against
    hold    TEXT    NOT NULL,
    data    TEXT    NOT NULL,
    PRIMARY KEY (tenant, subject, hold)
) STRICT, WITHOUT ROWID;
