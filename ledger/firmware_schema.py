"""Tables of firmware: images, and which share of the readers shall have which; see schema.py."""

FIRMWARE = """
CREATE TABLE firmware_image (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    program INTEGER NOT NULL CHECK (program BETWEEN 0 AND 4294967295),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
    version INTEGER NOT NULL CHECK (version BETWEEN 1 AND 4294967295),
    after INTEGER NOT NULL CHECK (after BETWEEN 1 AND 4294967295),
    image BLOB NOT NULL CHECK (length(image) BETWEEN 1 AND 4194304),
    UNIQUE (program, version)
) STRICT;
CREATE TABLE firmware_stage (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL REFERENCES firmware_image (digest),
    percent INTEGER NOT NULL CHECK (percent BETWEEN 0 AND 100),
    site TEXT NOT NULL CHECK (length(site) <= 16),
    from_min INTEGER NOT NULL CHECK (from_min BETWEEN 0 AND 1439),
    until_min INTEGER NOT NULL CHECK (until_min BETWEEN 0 AND 1439),
    is_forced INTEGER NOT NULL CHECK (is_forced IN (0, 1)),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TRIGGER firmware_stage_follows BEFORE INSERT ON firmware_stage
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM firmware_stage)
BEGIN SELECT RAISE(ABORT, 'one number follows the other'); END;
"""
