"""What the departments need of the books: shifts and who works in them, ends of grants, and who
has asked who opened a door; a migration of ledger/schema.py.

Of a person there is the number by which the school knows them, as in ledger/lifecycle_schema.py.
"""

DEPARTMENTS = """
-- From a day on a shift has these hours; `days` as in protocols/rules/access.py, Monday is bit 0.
-- `to_min` beyond 1,440 is on the next day.
CREATE TABLE shift_change (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    shift TEXT NOT NULL CHECK (length(shift) BETWEEN 1 AND 16),
    from_day INTEGER NOT NULL CHECK (from_day BETWEEN 0 AND 65535),
    days INTEGER NOT NULL CHECK (days BETWEEN 1 AND 127),
    from_min INTEGER NOT NULL CHECK (from_min BETWEEN 0 AND 1439),
    to_min INTEGER NOT NULL CHECK (to_min > from_min AND to_min - from_min <= 960),
    grace_min INTEGER NOT NULL CHECK (grace_min BETWEEN 0 AND 120),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;

-- From a day on a person works in this team and shift; '': in none.
CREATE TABLE roster_change (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    person_no TEXT NOT NULL CHECK (length(person_no) BETWEEN 1 AND 16),
    from_day INTEGER NOT NULL CHECK (from_day BETWEEN 0 AND 65535),
    team TEXT NOT NULL CHECK (length(team) BETWEEN 0 AND 32),
    shift TEXT NOT NULL CHECK (length(shift) BETWEEN 0 AND 16),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    CHECK ((team = '') = (shift = ''))
) STRICT;

-- A grant that ends, and each change by which so many cards were taken back. 0: of its cards none
-- was in that group any more; then `number` is the door's newest change.
CREATE TABLE access_term (
    number INTEGER PRIMARY KEY REFERENCES access_change (number),
    until_s INTEGER NOT NULL CHECK (until_s BETWEEN 1 AND 4294967295)
) STRICT;
CREATE TABLE access_end (
    grant_no INTEGER NOT NULL REFERENCES access_term (number),
    number INTEGER NOT NULL REFERENCES access_change (number) CHECK (number > grant_no),
    count INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (grant_no, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_question (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    device INTEGER NOT NULL REFERENCES door (device),
    from_s INTEGER NOT NULL CHECK (from_s BETWEEN 0 AND to_s),
    to_s INTEGER NOT NULL CHECK (to_s BETWEEN 1 AND 4294967295),
    purpose TEXT NOT NULL CHECK (length(purpose) BETWEEN 1 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
"""
JOURNALS = ("shift_change", "roster_change", "access_term", "access_end", "access_question")
# For ledger/dump.py; of a person on the roster that there is one, not who.
DUMP = {
    "shift": "SELECT number, shift, from_day, days, from_min, to_min, grace_min FROM shift_change"
    " ORDER BY number",
    "roster": "SELECT number, from_day, team, shift, person FROM roster_change ORDER BY number",
    "access_term": "SELECT number, until_s FROM access_term ORDER BY number",
    "access_end": "SELECT grant_no, number, count FROM access_end ORDER BY grant_no, number",
    "access_question": "SELECT number, device, from_s, to_s, purpose, person FROM access_question"
    " ORDER BY number",
}
