-- Which roles were given rights, so that functions that are made anew later are
-- theirs too. See grant_rights.sql.
CREATE TABLE {schema}.granted (
    role name PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('reader', 'writer', 'deleter'))
);
