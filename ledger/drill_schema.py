"""The tables of outage drills (R23, R24), for ledger/schema.py."""

# `report` is what was judged (ledger/drills.py), and `evidence` the SHA-256 of it. `from_s` and
# `to_s` say when the outage began and ended. A drill is filed once.
DRILLS = """
CREATE TABLE drill (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    kind TEXT NOT NULL CHECK (kind IN ('power', 'network')),
    site TEXT NOT NULL CHECK (length(site) BETWEEN 1 AND 32),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    from_s INTEGER NOT NULL CHECK (from_s BETWEEN 0 AND 4294967295),
    to_s INTEGER NOT NULL CHECK (to_s BETWEEN 0 AND 4294967295),
    verdict TEXT NOT NULL CHECK (verdict IN ('passed', 'partly', 'failed')),
    evidence TEXT NOT NULL CHECK (length(evidence) = 64),
    report TEXT NOT NULL CHECK (length(report) BETWEEN 2 AND 1048576),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    UNIQUE (kind, site, from_s),
    CHECK (from_s < to_s),
    CHECK (to_s <= time_s)
) STRICT;
"""
DRILL_JOURNALS = ("drill",)
# For LedgerStore.dump.
DUMP = {
    "drill": "SELECT number, kind, site, department, person, from_s, to_s, verdict, evidence"
    " FROM drill ORDER BY number",
}
