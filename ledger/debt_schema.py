"""Tables of merchants' debts that are written off; a migration of ledger/schema.py.

`debt_proposal`: what a merchant that winds up owes, who shall bear it, and why. `write_off`: that
very proposal was signed by the finance department, and is booked. Both are journals.
"""

from ledger.chart import LOSS, loss
from ledger.procedure_rows import WRITE_OFF, rows_of
from ledger.reasons import WRITE_OFFS

_RULES = ",\n    ".join(str(tuple(row)) for row in rows_of(WRITE_OFF))
_ACCOUNTS = ", ".join(f"({loss(reason)}, {LOSS}, {reason})" for reason in WRITE_OFFS)
_REASONS = ", ".join(map(str, WRITE_OFFS))

DEBTS = f"""
INSERT INTO procedure_rule VALUES
    {_RULES};
INSERT INTO account (id, kind, owner) VALUES {_ACCOUNTS};
CREATE TABLE debt_proposal (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    dossier INTEGER NOT NULL REFERENCES merchant_end (dossier),
    step INTEGER NOT NULL,
    merchant_no INTEGER NOT NULL REFERENCES merchant_end (merchant_no),
    reason INTEGER NOT NULL CHECK (reason IN ({_REASONS})),
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    UNIQUE (dossier, step),
    FOREIGN KEY (dossier, step) REFERENCES dossier_step (dossier, step)
) STRICT;
CREATE TRIGGER debt_is_proposed BEFORE INSERT ON debt_proposal
WHEN NOT EXISTS (SELECT 1 FROM merchant_end e
    JOIN dossier_step s ON s.dossier = e.dossier AND s.step = NEW.step AND s.verb = 'propose'
    WHERE e.dossier = NEW.dossier AND e.merchant_no = NEW.merchant_no)
BEGIN SELECT RAISE(ABORT, 'a debt is proposed by a step of the end of its merchant'); END;
CREATE TABLE write_off (
    proposal INTEGER PRIMARY KEY REFERENCES debt_proposal (number),
    dossier INTEGER NOT NULL,
    step INTEGER NOT NULL,
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    UNIQUE (dossier, step),
    FOREIGN KEY (dossier, step) REFERENCES dossier_step (dossier, step)
) STRICT;
CREATE TRIGGER write_off_is_signed BEFORE INSERT ON write_off
WHEN NOT EXISTS (SELECT 1 FROM debt_proposal p
    JOIN dossier_step s ON s.dossier = p.dossier AND s.step = NEW.step
    WHERE p.number = NEW.proposal AND p.dossier = NEW.dossier AND p.step = NEW.step - 1
    AND s.verb = 'write-off' AND s.act = 'sign'
    AND s.person <> (SELECT b.person FROM dossier_step b
        WHERE b.dossier = p.dossier AND b.step = p.step))
BEGIN SELECT RAISE(ABORT, 'what is written off another person proposed the step before'); END;
"""
DEBT_JOURNALS = ("debt_proposal", "write_off")
# For LedgerStore.dump.
DUMP = {
    "debt_proposal": "SELECT number, dossier, step, merchant_no, reason, amount_fen"
    " FROM debt_proposal ORDER BY number",
    "write_off": "SELECT proposal, dossier, step FROM write_off ORDER BY proposal",
}
