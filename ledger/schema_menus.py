"""The table of menus, a part of schema.py: what each merchant sells where, change by change."""

MENUS = """
CREATE TABLE menu_change (
    number INTEGER PRIMARY KEY,
    merchant_no INTEGER NOT NULL REFERENCES merchant (merchant_no),
    site TEXT NOT NULL CHECK (length(site) <= 16),
    menu BLOB NOT NULL CHECK (length(menu) BETWEEN 1 AND 2304),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX menu_change_of ON menu_change (merchant_no, number);
CREATE TRIGGER menu_change_follows BEFORE INSERT ON menu_change
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM menu_change)
BEGIN SELECT RAISE(ABORT, 'one number follows the other'); END;
"""
