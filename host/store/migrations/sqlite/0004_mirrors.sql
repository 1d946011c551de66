-- Who this store is, in other databases.
CREATE TABLE tidemill_identity (
    id TEXT NOT NULL PRIMARY KEY
);
INSERT INTO tidemill_identity (id) VALUES (lower(hex(randomblob(16))));

-- Which version of which table each table of the mirror is to have, and which it has.
CREATE TABLE tidemill_mirrors (
    target TEXT NOT NULL PRIMARY KEY,
    pipeline TEXT NOT NULL,
    node TEXT NOT NULL,
    table_name TEXT NOT NULL,
    version BIGINT NOT NULL,
    wanted_at BIGINT NOT NULL,
    mirrored_table TEXT,
    mirrored_version BIGINT,
    mirrored_at BIGINT,
    error_code TEXT,
    error_what TEXT,
    error_mend TEXT,
    error_at BIGINT
);
CREATE INDEX tidemill_mirrors_of_table ON tidemill_mirrors (table_name);
