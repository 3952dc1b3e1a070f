"""Tables of readers and merchants that have ended; a migration of ledger/schema.py.

`retirement`: a reader whose key is dead, and how far it was heard. `merchant_end`: a merchant that
gets no reader any more. `merchant_payment`: what such a one owed and has paid in.
`closing_statement`: what its closing rests on, as it was when it was settled. All are journals.
"""

from ledger.procedure_rows import ENDING, REOPENING, rows_of

_RULES = ",\n    ".join(str(tuple(row)) for row in rows_of(ENDING))
_REOPEN = ",\n    ".join(str(tuple(row)) for row in rows_of(REOPENING))

ENDINGS = f"""
INSERT INTO procedure_rule VALUES
    {_RULES};
DROP TRIGGER nobody_signs_what_he_began;
CREATE TRIGGER nobody_signs_what_he_began BEFORE INSERT ON dossier_step
WHEN NEW.act = 'sign'
    AND NEW.kind IN ('merchant', 'device', 'relocation', 'damage', 'retirement', 'closing')
    AND EXISTS (SELECT 1 FROM dossier_step s
        WHERE s.dossier = NEW.dossier AND s.step = 1 AND s.person = NEW.person)
BEGIN SELECT RAISE(ABORT, 'whoever has begun it signs nothing of it'); END;

-- `mark_seq` 0: it was passed over. `since_s`: from then on its mark counts.
CREATE TABLE retirement (
    device INTEGER PRIMARY KEY REFERENCES device (device),
    dossier INTEGER NOT NULL UNIQUE REFERENCES dossier (number),
    head_seq INTEGER NOT NULL CHECK (head_seq >= 0),
    since_s INTEGER NOT NULL CHECK (since_s BETWEEN 0 AND 4294967295),
    mark_seq INTEGER NOT NULL CHECK (mark_seq BETWEEN 0 AND head_seq),
    mark_sha256 BLOB NOT NULL CHECK (length(mark_sha256) = CASE mark_seq WHEN 0 THEN 0 ELSE 32 END)
) STRICT;
CREATE TRIGGER retirement_is_signed BEFORE INSERT ON retirement
WHEN NOT EXISTS (SELECT 1 FROM dossier d JOIN dossier_step s ON s.dossier = d.number
    WHERE d.number = NEW.dossier AND d.device = NEW.device AND s.state_after = 'retired')
BEGIN SELECT RAISE(ABORT, 'a reader ends by two signatures'); END;
CREATE TRIGGER retired_reader_says_no_more BEFORE UPDATE OF head_seq ON device
WHEN NEW.head_seq <> OLD.head_seq
    AND EXISTS (SELECT 1 FROM retirement r WHERE r.device = NEW.device)
BEGIN SELECT RAISE(ABORT, 'nothing of a retired reader is booked'); END;
CREATE TRIGGER retired_reader_gets_no_key BEFORE INSERT ON device_key
WHEN EXISTS (SELECT 1 FROM retirement r WHERE r.device = NEW.device)
BEGIN SELECT RAISE(ABORT, 'a retired reader gets no key'); END;

CREATE TABLE merchant_end (
    merchant_no INTEGER PRIMARY KEY REFERENCES merchant (merchant_no),
    dossier INTEGER NOT NULL UNIQUE REFERENCES dossier (number)
) STRICT;
CREATE TRIGGER merchant_end_is_signed BEFORE INSERT ON merchant_end
WHEN NOT EXISTS (SELECT 1 FROM dossier d JOIN dossier_step s ON s.dossier = d.number
    WHERE d.number = NEW.dossier AND d.merchant_no = NEW.merchant_no
    AND s.state_after = 'winding-up')
BEGIN SELECT RAISE(ABORT, 'a merchant ends by a signature'); END;
CREATE TRIGGER ended_merchant_gets_no_reader BEFORE INSERT ON device
WHEN EXISTS (SELECT 1 FROM merchant_end e WHERE e.merchant_no = NEW.merchant_no)
BEGIN SELECT RAISE(ABORT, 'a merchant that ends gets no reader'); END;
CREATE TRIGGER ended_merchant_gets_no_number BEFORE INSERT ON admission
WHEN EXISTS (SELECT 1 FROM merchant_end e JOIN dossier d ON d.merchant_no = e.merchant_no
    WHERE d.number = NEW.application)
BEGIN SELECT RAISE(ABORT, 'a merchant that ends gets no reader'); END;

CREATE TABLE merchant_payment (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    dossier INTEGER NOT NULL REFERENCES merchant_end (dossier),
    merchant_no INTEGER NOT NULL REFERENCES merchant_end (merchant_no),
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TABLE closing_statement (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    dossier INTEGER NOT NULL REFERENCES merchant_end (dossier),
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    report TEXT NOT NULL,
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX closing_statement_of ON closing_statement (dossier, number);
"""
# The end of a merchant may come to the same verb again: who has signed with it may sign with it
# again, in other words. With another verb of the same dossier another person signs, as everywhere.
REOPENINGS = f"""
INSERT INTO procedure_rule VALUES
    {_REOPEN};
DROP INDEX one_person_one_signature;
CREATE UNIQUE INDEX one_person_one_signature ON dossier_step (dossier, person)
WHERE act = 'sign' AND kind <> 'closing';
CREATE UNIQUE INDEX one_end_one_signature ON dossier_step (dossier, person, verb, evidence, said)
WHERE act = 'sign' AND kind = 'closing';
CREATE TRIGGER one_end_one_verb BEFORE INSERT ON dossier_step
WHEN NEW.act = 'sign' AND NEW.kind = 'closing' AND EXISTS (SELECT 1 FROM dossier_step s
    WHERE s.dossier = NEW.dossier AND s.person = NEW.person AND s.act = 'sign'
    AND s.verb <> NEW.verb)
BEGIN SELECT RAISE(ABORT, 'a signature takes another person'); END;
"""
ENDING_JOURNALS = ("retirement", "merchant_end", "merchant_payment", "closing_statement")
# For LedgerStore.dump.
DUMP = {
    "retirement": "SELECT device, dossier, head_seq, since_s, mark_seq FROM retirement"
    " ORDER BY device",
    "merchant_end": "SELECT merchant_no, dossier FROM merchant_end ORDER BY merchant_no",
    "merchant_payment": "SELECT number, dossier, merchant_no, amount_fen FROM merchant_payment"
    " ORDER BY number",
    "closing_statement": "SELECT number, dossier, sha256 FROM closing_statement ORDER BY number",
}
