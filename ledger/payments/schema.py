"""Tables of payments behind a restore; a migration of ledger/schema.py.

`books_restore`: these books came back from a backup. `above`: no payment of before has a number
above it, and each new one has; `person` is empty where the restore itself has said so.
`bank_payment`: a payment that the bank has, by its list; it is known again once there is a try of
its number. `payment_release`: two persons say that the bank has no other than those up to `notes`.

The journals of each kind are in ledger/lifecycle_schema.py and ledger/period_schema.py, and
described in ledger/payments/kinds.py.
"""

# Whatever bars new payments behind the newest restore: no second word yet, or since then a payment
# noted that no try is of. What was noted behind one before is noted anew, and counts no more.
IS_KNOWN = """(n.kind = 'refund' AND EXISTS (SELECT 1 FROM payout_try k WHERE k.number = n.payment)
        OR n.kind = 'remittance'
        AND EXISTS (SELECT 1 FROM remittance_try k WHERE k.number = n.payment))"""
IS_OPEN = f"""(NOT {IS_KNOWN} AND n.restore = (SELECT MAX(number) FROM books_restore)
        AND n.number > COALESCE(
            (SELECT MAX(w.notes) FROM payment_release w WHERE w.step = 2), 0))"""
BARS = f"""EXISTS (SELECT 1 FROM books_restore b WHERE NOT EXISTS (
        SELECT 1 FROM payment_release w WHERE w.restore >= b.number AND w.step = 2))
    OR EXISTS (SELECT 1 FROM bank_payment n WHERE {IS_OPEN})"""
_TIME = "INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)"
_WAITS = f"""
CREATE TRIGGER {{prefix}}_waits_behind_a_restore BEFORE INSERT ON {{prefix}}_try
WHEN NOT EXISTS (SELECT 1 FROM bank_payment WHERE kind = '{{kind}}' AND payment = NEW.number)
    AND (NEW.number <= (SELECT COALESCE(MAX(above), 0) FROM books_restore) OR {BARS})
BEGIN SELECT RAISE(ABORT, 'the bank may have what these books do not know'); END;
"""

PAYMENTS = f"""
CREATE TABLE books_restore (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    time_s {_TIME},
    above INTEGER NOT NULL CHECK (above BETWEEN 1 AND 9999999999999),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 0 AND 32)
) STRICT;
CREATE TRIGGER books_restore_follows BEFORE INSERT ON books_restore
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM books_restore)
    OR NEW.above < (SELECT COALESCE(MAX(above), 0) FROM books_restore)
    OR NEW.above < (SELECT COALESCE(MAX(number), 0) FROM payout_try)
    OR NEW.above < (SELECT COALESCE(MAX(number), 0) FROM remittance_try)
BEGIN SELECT RAISE(ABORT, 'a restore follows the one before, and its numbers those given'); END;

CREATE TABLE bank_payment (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    restore INTEGER NOT NULL REFERENCES books_restore (number),
    kind TEXT NOT NULL CHECK (kind IN ('refund', 'remittance')),
    payment INTEGER NOT NULL CHECK (payment >= 1),
    purpose TEXT NOT NULL CHECK (length(purpose) BETWEEN 1 AND 64),
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    file TEXT NOT NULL CHECK (length(file) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s {_TIME},
    UNIQUE (restore, kind, payment)
) STRICT;
CREATE INDEX bank_payment_of ON bank_payment (kind, payment);
CREATE TRIGGER bank_payment_is_of_before BEFORE INSERT ON bank_payment
WHEN NEW.payment > (SELECT above FROM books_restore WHERE number = NEW.restore)
BEGIN SELECT RAISE(ABORT, 'no payment of before has such a number'); END;

CREATE TABLE payment_release (
    restore INTEGER NOT NULL REFERENCES books_restore (number),
    notes INTEGER NOT NULL CHECK (notes >= 0),
    step INTEGER NOT NULL CHECK (step IN (1, 2)),
    newest TEXT NOT NULL CHECK (length(newest) BETWEEN 0 AND 32),
    amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 0 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s {_TIME},
    PRIMARY KEY (restore, notes, step),
    UNIQUE (restore, notes, person)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER payment_release_takes_two BEFORE INSERT ON payment_release
WHEN NEW.notes <> (SELECT COALESCE(MAX(number), 0) FROM bank_payment)
    OR NEW.restore <> (SELECT MAX(number) FROM books_restore)
    OR NEW.step = 2 AND NOT EXISTS (SELECT 1 FROM payment_release
        WHERE restore = NEW.restore AND notes = NEW.notes AND step = 1)
    OR NEW.because = '' AND EXISTS (SELECT 1 FROM bank_payment n WHERE {IS_OPEN})
BEGIN SELECT RAISE(ABORT, 'two persons, of what is noted, and why if it is not known'); END;

-- What a bank has is not signed anew when it is noted.
DROP TRIGGER payout_is_signed;
CREATE TRIGGER payout_is_signed_or_noted BEFORE INSERT ON payout_try
WHEN NOT EXISTS (SELECT 1 FROM money_run WHERE kind = 'refund' AND name = NEW.file)
    AND NOT EXISTS (SELECT 1 FROM bank_payment WHERE kind = 'refund' AND payment = NEW.number)
BEGIN SELECT RAISE(ABORT, 'no refund goes to a bank by one signature'); END;
"""
PAYMENTS += _WAITS.format(prefix="payout", kind="refund")
PAYMENTS += _WAITS.format(prefix="remittance", kind="remittance")
PAYMENT_JOURNALS = ("books_restore", "bank_payment", "payment_release")
# For LedgerStore.dump. That books were restored is no matter of what is in them.
PAYMENT_DUMP = {
    "bank_payment": "SELECT number, kind, payment, purpose, amount_fen, file FROM bank_payment"
    " ORDER BY number",
    "payment_release": "SELECT notes, step, newest, amount_fen, because, person"
    " FROM payment_release ORDER BY restore, notes, step",
}
