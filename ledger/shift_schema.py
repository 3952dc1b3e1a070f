"""Further stretches of a shift: behind a break, or a second time in a day; in the migration of
ledger/ending_schema.py. They are of a row of `shift_change`, whose hours are the first stretch."""

SHIFT_PARTS = """
CREATE TABLE shift_part (
    number INTEGER NOT NULL REFERENCES shift_change (number),
    part INTEGER NOT NULL CHECK (part BETWEEN 2 AND 4),
    from_min INTEGER NOT NULL CHECK (from_min >= 0),
    to_min INTEGER NOT NULL CHECK (to_min > from_min AND to_min <= 2399),
    PRIMARY KEY (number, part)
) STRICT, WITHOUT ROWID;
"""
SHIFT_JOURNALS = ("shift_part",)
# For ledger/dump.py.
DUMP = {
    "shift_part": "SELECT number, part, from_min, to_min FROM shift_part ORDER BY number, part"
}
