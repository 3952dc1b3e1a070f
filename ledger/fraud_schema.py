"""The tables of the standing detector and of corrections; its migration is in ledger/schema.py.

`watched`: up to which record of a reader the detector has looked. `finding`: the pair of records
of a case that it opened; the second is the case's own, and `sha256` is over those of both. A
correction is proposed by one person and approved by another; it ends its case, once.
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

CORRECTIONS = """
CREATE TABLE correction (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    reason INTEGER NOT NULL,
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    bearer TEXT NOT NULL CHECK (bearer IN ('holder', 'merchant', 'card centre', 'device owner')),
    debit_account INTEGER NOT NULL,
    credit_account INTEGER NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 1 AND 200),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    CHECK (debit_account <> credit_account),
    FOREIGN KEY (reason, device, seq, sha256)
        REFERENCES suspense_case (reason, device, seq, sha256)
) STRICT;
CREATE INDEX correction_of ON correction (reason, device, seq, sha256, number);

CREATE TABLE correction_approval (
    reason INTEGER NOT NULL,
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    number INTEGER NOT NULL UNIQUE REFERENCES correction (number),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (reason, device, seq, sha256)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER correction_takes_two BEFORE INSERT ON correction_approval
WHEN NOT EXISTS (SELECT 1 FROM correction c WHERE c.number = NEW.number
    AND c.person <> NEW.person AND c.reason = NEW.reason AND c.device = NEW.device
    AND c.seq = NEW.seq AND c.sha256 = NEW.sha256)
BEGIN SELECT RAISE(ABORT, 'another person approves, and this very case'); END;
"""

# The groups of ledger/made_good.py, by their numbers: a migration stays as it was.
_GROUPS = ("321, 334, 336, 419, 430, 431", "314, 312, 315, 470", "361, 362")
_SAME_SALE = " OR ".join(f"a.reason IN ({one}) AND NEW.reason IN ({one})" for one in _GROUPS)
MADE_GOOD_ONCE = f"""
CREATE TRIGGER one_sale_is_made_good_once BEFORE INSERT ON correction_approval
WHEN EXISTS (SELECT 1 FROM correction_approval a
    WHERE a.reason IN ({", ".join(_GROUPS)}) AND a.device = NEW.device AND a.seq = NEW.seq
    AND ({_SAME_SALE}) AND (a.sha256 = NEW.sha256
        OR NOT (a.reason IN (315, 470) AND NEW.reason IN (315, 470))))
BEGIN SELECT RAISE(ABORT, 'what one sale has cost is made good once'); END;
"""
