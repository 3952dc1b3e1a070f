"""Tables of what money rests on when it leaves a card; a migration of ledger/schema.py.

`settlement_basis`: what a settlement of an ended card rests on (ledger/settlement_basis.py). With
no person it is the proof whose hash stands there; with one it is their word, and
`settlement_despite` names each reader (`seq` 0) or record of which nothing was proven.

Lists that move money (ledger/money_lists.py): `money_list` and its lines as two persons have
signed them (`money_approval`); `money_run`, which of them was done under its name. A line of a
list of refunds is numbered as its settlement; `subsidy_done` has the load that a line has become.
"""

MONEY = """
CREATE TABLE settlement_basis (
    number INTEGER PRIMARY KEY REFERENCES card_settlement (number),
    before_s INTEGER NOT NULL CHECK (before_s BETWEEN 0 AND 4294967295),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 0 AND 32),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 0 AND 64),
    CHECK ((person = '') = (because = ''))
) STRICT;
CREATE TABLE settlement_despite (
    number INTEGER NOT NULL REFERENCES settlement_basis (number),
    device INTEGER NOT NULL CHECK (device >= 0),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    bar TEXT NOT NULL CHECK (length(bar) BETWEEN 1 AND 16),
    PRIMARY KEY (number, device, seq, bar)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER settlement_despite_has_a_name BEFORE INSERT ON settlement_despite
WHEN NOT EXISTS (SELECT 1 FROM settlement_basis
    WHERE number = NEW.number AND person <> '')
BEGIN SELECT RAISE(ABORT, 'a person passes over a reader, not a program'); END;

CREATE TABLE money_list (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('subsidy', 'refund')),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 32),
    lines INTEGER NOT NULL CHECK (lines >= 1),
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT, WITHOUT ROWID;
CREATE TABLE money_line (
    sha256 BLOB NOT NULL REFERENCES money_list (sha256),
    line INTEGER NOT NULL CHECK (line >= 1),
    card_no INTEGER NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    reason INTEGER NOT NULL,
    PRIMARY KEY (sha256, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE money_approval (
    sha256 BLOB NOT NULL REFERENCES money_list (sha256),
    step INTEGER NOT NULL CHECK (step IN (1, 2)),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (sha256, step),
    UNIQUE (sha256, person)
) STRICT, WITHOUT ROWID;
CREATE TABLE money_run (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    sha256 BLOB NOT NULL UNIQUE REFERENCES money_list (sha256),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER money_run_is_signed BEFORE INSERT ON money_run
WHEN (SELECT COUNT(*) FROM money_approval WHERE sha256 = NEW.sha256) < 2
    OR NOT EXISTS (SELECT 1 FROM money_list WHERE sha256 = NEW.sha256
        AND kind = NEW.kind AND name = NEW.name)
BEGIN SELECT RAISE(ABORT, 'no list is done by one signature'); END;
CREATE TABLE subsidy_done (
    sha256 BLOB NOT NULL REFERENCES money_run (sha256),
    line INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    number INTEGER UNIQUE REFERENCES load (number),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (sha256, line),
    FOREIGN KEY (sha256, line) REFERENCES money_line (sha256, line),
    CHECK ((reason = 0) = (number IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE TRIGGER payout_is_signed BEFORE INSERT ON payout_try
WHEN NOT EXISTS (SELECT 1 FROM money_run WHERE kind = 'refund' AND name = NEW.file)
BEGIN SELECT RAISE(ABORT, 'no refund goes to a bank by one signature'); END;
"""
MONEY_JOURNALS = (
    "settlement_basis",
    "settlement_despite",
    "money_list",
    "money_line",
    "money_approval",
    "money_run",
    "subsidy_done",
)
# For LedgerStore.dump.
MONEY_DUMP = {
    "settlement_basis": "SELECT number, before_s, sha256, person FROM settlement_basis"
    " ORDER BY number",
    "settlement_despite": "SELECT number, device, seq, bar FROM settlement_despite"
    " ORDER BY number, device, seq, bar",
    "money_run": "SELECT kind, name, sha256 FROM money_run ORDER BY kind, name",
    "subsidy_done": "SELECT sha256, line, reason, number FROM subsidy_done ORDER BY sha256, line",
}
