"""The tables of the standing detector; their migration is in ledger/schema.py.

`watched`: up to which record of a reader the detector has looked. `finding`: the pair of records
of a case that it opened; the second is the case's own, and `sha256` is over those of both.
"""

FINDINGS = """
CREATE TABLE watched (
    device INTEGER PRIMARY KEY REFERENCES device (device),
    seq INTEGER NOT NULL CHECK (seq >= 1)
) STRICT;
CREATE TRIGGER watched_advances BEFORE UPDATE ON watched
WHEN NEW.seq <= OLD.seq
BEGIN SELECT RAISE(ABORT, 'what was looked at stays looked at'); END;

CREATE TABLE finding (
    reason INTEGER NOT NULL,
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    card_no INTEGER NOT NULL,
    first_device INTEGER NOT NULL,
    first_seq INTEGER NOT NULL,
    ground TEXT NOT NULL,
    found_s INTEGER NOT NULL CHECK (found_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (reason, device, seq, sha256),
    FOREIGN KEY (reason, device, seq, sha256)
        REFERENCES suspense_case (reason, device, seq, sha256),
    FOREIGN KEY (device, seq) REFERENCES intent (device, seq),
    FOREIGN KEY (first_device, first_seq) REFERENCES intent (device, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX finding_of_card ON finding (card_no);
"""
