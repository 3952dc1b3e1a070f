"""Tables of the lives of cards; a migration of ledger/schema.py.

Who said a change; whose card it is; temporary cards (annex 1); what becomes of the money of a card
that is closed (ledger/settlements.py); lists that two persons approve (ledger/batches.py). Of a
person there is the number by which the school knows them, the department, and, until they are
paid, an account: no name, no ID number.
"""

from ledger.chart import FORFEITED, UNCLAIMED

LIFECYCLE = f"""
CREATE TABLE card_act (
    epoch INTEGER PRIMARY KEY REFERENCES card_change (epoch),
    role TEXT NOT NULL CHECK (length(role) BETWEEN 1 AND 16),
    channel TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 16),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 0 AND 32)
) STRICT;

CREATE TABLE holder (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    person_no TEXT NOT NULL UNIQUE CHECK (length(person_no) BETWEEN 1 AND 16),
    kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 3),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32)
) STRICT;
CREATE TRIGGER holder_stays BEFORE DELETE ON holder
BEGIN SELECT RAISE(ABORT, 'holders stay'); END;
CREATE TRIGGER holder_is_who_it_was BEFORE UPDATE ON holder
WHEN NEW.number <> OLD.number OR NEW.person_no <> OLD.person_no
BEGIN SELECT RAISE(ABORT, 'a holder is who it was'); END;

-- One person, one card (R10.1): the index, not a program, keeps it.
CREATE TABLE holding (
    card_no INTEGER PRIMARY KEY REFERENCES card (card_no),
    holder INTEGER NOT NULL REFERENCES holder (number),
    is_current INTEGER NOT NULL CHECK (is_current IN (0, 1))
) STRICT;
CREATE UNIQUE INDEX one_person_one_card ON holding (holder) WHERE is_current = 1;
CREATE TRIGGER holding_ends_once BEFORE UPDATE ON holding
WHEN OLD.is_current = 0 OR NEW.is_current = 1 OR NEW.holder <> OLD.holder
    OR NEW.card_no <> OLD.card_no
BEGIN SELECT RAISE(ABORT, 'a card is of one person, until it ends'); END;
CREATE TRIGGER holding_stays BEFORE DELETE ON holding
BEGIN SELECT RAISE(ABORT, 'whose card it was stays'); END;

CREATE TABLE temporary_application (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    person_no TEXT NOT NULL CHECK (length(person_no) BETWEEN 1 AND 16),
    applicant_no TEXT NOT NULL CHECK (length(applicant_no) BETWEEN 1 AND 16),
    relation TEXT NOT NULL CHECK (length(relation) BETWEEN 1 AND 32),
    category INTEGER NOT NULL CHECK (category BETWEEN 1 AND 6),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    valid_from INTEGER NOT NULL CHECK (valid_from BETWEEN 0 AND valid_to),
    valid_to INTEGER NOT NULL CHECK (valid_to <= 65535),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TABLE temporary_approval (
    application INTEGER NOT NULL REFERENCES temporary_application (number),
    step INTEGER NOT NULL CHECK (step IN (1, 2)),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (application, step),
    UNIQUE (application, person)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER temporary_approval_follows BEFORE INSERT ON temporary_approval
WHEN NEW.step = 2 AND NOT EXISTS (SELECT 1 FROM temporary_approval
    WHERE application = NEW.application AND step = 1)
BEGIN SELECT RAISE(ABORT, 'the department comes first'); END;
CREATE TABLE temporary_card (
    application INTEGER PRIMARY KEY REFERENCES temporary_application (number),
    card_no INTEGER NOT NULL UNIQUE REFERENCES card (card_no)
) STRICT;
CREATE TRIGGER temporary_card_is_approved BEFORE INSERT ON temporary_card
WHEN (SELECT COUNT(*) FROM temporary_approval WHERE application = NEW.application) < 2
BEGIN SELECT RAISE(ABORT, 'nobody gets a card by one signature'); END;
CREATE TABLE temporary_extension (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    valid_to INTEGER NOT NULL CHECK (valid_to BETWEEN was_to + 1 AND 65535),
    was_to INTEGER NOT NULL,
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;

CREATE TABLE card_fee (
    card_no INTEGER PRIMARY KEY REFERENCES card (card_no),
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;

CREATE TABLE leaving_notice (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;

-- Where the money of a closed card goes. It is blanked once it has got there.
CREATE TABLE payee (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    account_no TEXT NOT NULL CHECK (length(account_no) BETWEEN 0 AND 32),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 0 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX payee_of ON payee (card_no, number);
CREATE TRIGGER payee_stays BEFORE DELETE ON payee
BEGIN SELECT RAISE(ABORT, 'that there was a payee stays'); END;
CREATE TRIGGER payee_is_only_blanked BEFORE UPDATE ON payee
WHEN NEW.account_no <> '' OR NEW.name <> '' OR NEW.number <> OLD.number
    OR NEW.card_no <> OLD.card_no OR NEW.person <> OLD.person OR NEW.time_s <> OLD.time_s
BEGIN SELECT RAISE(ABORT, 'an account is not changed, another one is registered'); END;

CREATE TABLE card_settlement (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0),
    is_forfeit INTEGER NOT NULL CHECK (is_forfeit IN (0, 1)),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX card_settlement_of ON card_settlement (card_no);
CREATE TABLE payout_try (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    settlement INTEGER NOT NULL REFERENCES card_settlement (number),
    payee INTEGER NOT NULL REFERENCES payee (number),
    file TEXT NOT NULL CHECK (length(file) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX payout_try_of ON payout_try (settlement);
CREATE TABLE payout_result (
    number INTEGER PRIMARY KEY REFERENCES payout_try (number),
    is_paid INTEGER NOT NULL CHECK (is_paid IN (0, 1)),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 0 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
-- What a bank had paid and sends back, days later.
CREATE TABLE payout_return (
    number INTEGER PRIMARY KEY REFERENCES payout_try (number),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 0 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TRIGGER payout_return_was_paid BEFORE INSERT ON payout_return
WHEN NOT EXISTS (SELECT 1 FROM payout_result WHERE number = NEW.number AND is_paid = 1)
BEGIN SELECT RAISE(ABORT, 'only what was paid comes back'); END;
CREATE TRIGGER payout_goes_one_way_at_a_time BEFORE INSERT ON payout_try
WHEN EXISTS (SELECT 1 FROM payout_try t LEFT JOIN payout_result r ON r.number = t.number
    LEFT JOIN payout_return b ON b.number = t.number
    WHERE t.settlement = NEW.settlement AND COALESCE(r.is_paid, 1) = 1 AND b.number IS NULL)
BEGIN SELECT RAISE(ABORT, 'it is with the bank, or paid'); END;

CREATE TABLE card_batch (
    sha256 BLOB PRIMARY KEY CHECK (length(sha256) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('issue', 'graduation')),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT, WITHOUT ROWID;
CREATE TABLE batch_line (
    sha256 BLOB NOT NULL REFERENCES card_batch (sha256),
    line INTEGER NOT NULL CHECK (line >= 2),
    card_no INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    PRIMARY KEY (sha256, line)
) STRICT, WITHOUT ROWID;
CREATE TABLE batch_approval (
    sha256 BLOB NOT NULL REFERENCES card_batch (sha256),
    step INTEGER NOT NULL CHECK (step IN (1, 2)),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (sha256, step),
    UNIQUE (sha256, person)
) STRICT, WITHOUT ROWID;
CREATE TABLE batch_done (
    sha256 BLOB NOT NULL,
    line INTEGER NOT NULL,
    reason INTEGER NOT NULL,
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (sha256, line),
    FOREIGN KEY (sha256, line) REFERENCES batch_line (sha256, line)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER batch_done_is_approved BEFORE INSERT ON batch_done
WHEN (SELECT COUNT(*) FROM batch_approval WHERE sha256 = NEW.sha256) < 2
BEGIN SELECT RAISE(ABORT, 'nothing is done by one signature'); END;

INSERT INTO account (id, kind, owner) VALUES ({FORFEITED}, {UNCLAIMED}, 0);
"""
JOURNALS = (
    "card_act",
    "temporary_application",
    "temporary_approval",
    "temporary_card",
    "temporary_extension",
    "card_fee",
    "leaving_notice",
    "card_settlement",
    "payout_try",
    "payout_result",
    "payout_return",
    "card_batch",
    "batch_line",
    "batch_approval",
    "batch_done",
)
# For LedgerStore.dump; of a payee that there is one, not who.
DUMP = {
    "holder": "SELECT number, kind, department FROM holder ORDER BY number",
    "holding": "SELECT card_no, holder, is_current FROM holding ORDER BY card_no",
    "temporary_card": "SELECT application, card_no FROM temporary_card ORDER BY application",
    "temporary_extension": "SELECT number, card_no, valid_to FROM temporary_extension"
    " ORDER BY number",
    "card_fee": "SELECT card_no, amount_fen FROM card_fee ORDER BY card_no",
    "payee": "SELECT number, card_no, length(account_no) FROM payee ORDER BY number",
    "card_settlement": "SELECT number, card_no, amount_fen, is_forfeit FROM card_settlement"
    " ORDER BY number",
    "payout": "SELECT t.number, t.settlement, t.file, r.is_paid, b.number FROM payout_try t"
    " LEFT JOIN payout_result r ON r.number = t.number"
    " LEFT JOIN payout_return b ON b.number = t.number ORDER BY t.number",
    "batch_done": "SELECT sha256, line, reason FROM batch_done ORDER BY sha256, line",
}
