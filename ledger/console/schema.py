"""Tables of the console; a migration of ledger/schema.py.

`console_form`: a form that was done, by the number it was opened with, and where it led; kept for
as long as somebody may send it again (ledger/console/forms.py).

`holder_name`: a holder's name, for those of whom somebody has entered it; `name_key`: all by which
it is looked for (ledger/names.py), so that a search reads one stretch of an index.
"""

CONSOLE = """
CREATE TABLE console_form (
    number BLOB PRIMARY KEY CHECK (length(number) = 16),
    login TEXT NOT NULL REFERENCES operator (login),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    went_to TEXT NOT NULL CHECK (length(went_to) BETWEEN 1 AND 256),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT, WITHOUT ROWID;
CREATE INDEX console_form_of ON console_form (time_s);
CREATE TRIGGER console_form_stays BEFORE UPDATE ON console_form
BEGIN SELECT RAISE(ABORT, 'a form is done once'); END;

CREATE TABLE holder_name (
    holder INTEGER PRIMARY KEY REFERENCES holder (number),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 32)
) STRICT;
CREATE TABLE name_key (
    key TEXT NOT NULL CHECK (length(key) BETWEEN 1 AND 192),
    holder INTEGER NOT NULL REFERENCES holder_name (holder),
    PRIMARY KEY (key, holder)
) STRICT, WITHOUT ROWID;
CREATE INDEX name_key_of ON name_key (holder);
-- All cards of a person; the index of the one in use is another.
CREATE INDEX holding_of ON holding (holder, card_no);
"""
# For ledger/dump.py; a form is how often something was asked, not what it came to.
DUMP = {
    "holder_name": "SELECT holder, name FROM holder_name ORDER BY holder",
    "name_key": "SELECT key, holder FROM name_key ORDER BY key, holder",
}
