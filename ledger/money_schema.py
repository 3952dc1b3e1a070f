"""Tables of what money rests on when it leaves a card; a migration of ledger/schema.py.

`settlement_basis`: what a settlement of an ended card rests on (ledger/settlement_basis.py). With
no person it is the proof whose hash stands there; with one it is their word, and
`settlement_despite` names each reader (`seq` 0) or record of which nothing was proven.
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
"""
MONEY_JOURNALS = ("settlement_basis", "settlement_despite")
# For LedgerStore.dump.
MONEY_DUMP = {
    "settlement_basis": "SELECT number, before_s, sha256, person FROM settlement_basis"
    " ORDER BY number",
    "settlement_despite": "SELECT number, device, seq, bar FROM settlement_despite"
    " ORDER BY number, device, seq, bar",
}
