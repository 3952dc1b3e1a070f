"""The tables, as migrations: one list, which is released history. A new one goes to its end.

It is written for SQLite; ledger/postgres_schema.py says it in PostgreSQL's words, and each entry
has a file of six lines in ledger/migrations/versions, by which Alembic finds it (ADR 38). So a
trigger has the one form that is translated, and a new table is a journal (APPEND_ONLY here) or
may be changed (_CHANGED there).
"""

from ledger.acquirer_schema import ACQUIRERS, STATEMENTS
from ledger.channel_schema import CHANNELS
from ledger.chart import BANK, CLEARING, EARNED, FEES, LOSS, SUSPENSE, loss, suspense
from ledger.code_schema import CODE_ENTRIES
from ledger.console.schema import CONSOLE
from ledger.debt_schema import DEBT_JOURNALS, DEBTS
from ledger.department_schema import DEPARTMENTS
from ledger.department_schema import JOURNALS as DEPARTMENT_JOURNALS
from ledger.desk_schema import DESKS
from ledger.drill_schema import DRILL_JOURNALS, DRILLS
from ledger.ending_schema import ENDING_JOURNALS, ENDINGS, REOPENINGS
from ledger.firmware_schema import FIRMWARE
from ledger.fraud_schema import CORRECTIONS, FINDINGS, MADE_GOOD_ONCE
from ledger.growth_schema import (
    ENTRY_STRETCHES,
    GROWTH,
    LISTS,
    PERIOD_LINES,
    PORTIONS,
    ROWS_AT_THE_END,
    STEADY,
)
from ledger.inspection_schema import INSPECTIONS
from ledger.lifecycle_schema import JOURNALS, LIFECYCLE
from ledger.lock_schema import LOCKS
from ledger.money_schema import MONEY, MONEY_JOURNALS
from ledger.payments.schema import PAYMENT_JOURNALS, PAYMENTS
from ledger.people_schema import PEOPLE, PEOPLE_JOURNALS
from ledger.period_schema import JOURNALS as PERIOD_JOURNALS
from ledger.period_schema import PERIODS
from ledger.phone_schema import PHONE_APPS, PHONE_JOURNALS
from ledger.policy_schema import POLICIES
from ledger.procedure_schema import JOURNALS as OF_DOSSIERS
from ledger.procedure_schema import PROCEDURES
from ledger.proofs_schema import PROOFS
from ledger.reasons import LOSS_ACCOUNTS, SUSPENSE_ACCOUNTS
from ledger.schema_menus import MENUS
from ledger.shift_schema import SHIFT_JOURNALS, SHIFT_PARTS
from ledger.site_schema import ACCESS, PUNCHES, SITES

_TABLES = """
CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    kind INTEGER NOT NULL,
    owner INTEGER NOT NULL CHECK (owner BETWEEN 0 AND 4294967295),
    balance_fen INTEGER NOT NULL DEFAULT 0,
    floor_fen INTEGER,
    -- An offline spend has happened: it is booked even below the floor, but never unflagged.
    overdrawn INTEGER NOT NULL DEFAULT 0 CHECK (overdrawn IN (0, 1)),
    CHECK (id = kind * 4294967296 + owner),
    CHECK (floor_fen IS NULL OR balance_fen >= floor_fen OR overdrawn = 1)
) STRICT;

CREATE TABLE merchant (
    merchant_no INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;

CREATE TABLE card (
    card_no INTEGER PRIMARY KEY,
    opening_fen INTEGER NOT NULL CHECK (opening_fen >= 0),
    opening_seq INTEGER NOT NULL CHECK ((opening_fen = 0) = (opening_seq = 0))
) STRICT;

CREATE TABLE device (
    device INTEGER PRIMARY KEY CHECK (device BETWEEN 1 AND 4294967295),
    device_key BLOB NOT NULL CHECK (length(device_key) = 32),
    merchant_no INTEGER NOT NULL,
    site TEXT NOT NULL,
    head_seq INTEGER NOT NULL DEFAULT 0,
    head_tag BLOB NOT NULL CHECK (length(head_tag) = 32),
    is_forked INTEGER NOT NULL DEFAULT 0 CHECK (is_forked IN (0, 1))
) STRICT;

CREATE TABLE record (
    device INTEGER NOT NULL REFERENCES device (device),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    kind INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    sealed BLOB NOT NULL,
    PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE parked (
    device INTEGER NOT NULL REFERENCES device (device),
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (device, seq, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejected (
    sha256 BLOB NOT NULL,
    reason INTEGER NOT NULL,
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (sha256, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE suspense_case (
    reason INTEGER NOT NULL,
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (reason, device, seq, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE intent (
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    card_no INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen >= 0),
    merchant_no INTEGER NOT NULL,
    last_device INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    earliest_s INTEGER NOT NULL,
    latest_s INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
    PRIMARY KEY (device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX intent_of_card ON intent (card_no, counter);
CREATE INDEX intent_open ON intent (state) WHERE state < 2;

CREATE TABLE early_outcome (
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    intent_device INTEGER NOT NULL,
    intent_seq INTEGER NOT NULL,
    result INTEGER NOT NULL,
    PRIMARY KEY (device, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX early_outcome_of ON early_outcome (intent_device, intent_seq);

CREATE TABLE transfer (
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    line INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    debit_account INTEGER NOT NULL REFERENCES account (id),
    credit_account INTEGER NOT NULL REFERENCES account (id),
    amount_fen INTEGER NOT NULL CHECK (amount_fen > 0),
    CHECK (debit_account <> credit_account),
    PRIMARY KEY (device, seq, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE tally (
    name TEXT PRIMARY KEY,
    total INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tally VALUES ('duplicates', 0);
"""

_JOURNALS = ("transfer", "record", "rejected", "suspense_case", "card", "merchant")
_OF_LOADS = ("load_try", "load_proof", "load_end")
APPEND_ONLY = (*_JOURNALS, "device_key", "chip", *_OF_LOADS, "cancel", "card_change", "reissue")
APPEND_ONLY += ("punch", "manual_punch")
APPEND_ONLY += DRILL_JOURNALS
APPEND_ONLY += ("door", "access_person", "access_change")
APPEND_ONLY += ("tamper", "approval", "sighting")
APPEND_ONLY += ("lock", "menu_change")
APPEND_ONLY += ("firmware_image", "firmware_stage")
APPEND_ONLY += ("aggregate_sale", "statement_line")
APPEND_ONLY += ("code_answer", "code_entry", "loss_report")
APPEND_ONLY += ("reader_release", "carry_basis")
APPEND_ONLY += ("channel_topup", "topup_cancel", "topup_void")
APPEND_ONLY += JOURNALS
APPEND_ONLY += ("finding", "correction", "correction_approval")
APPEND_ONLY += ("policy_change",)
APPEND_ONLY += OF_DOSSIERS
APPEND_ONLY += PERIOD_JOURNALS
APPEND_ONLY += ("acquirer_day", "acquirer_line", "phone_proof")
APPEND_ONLY += ("acquirer_statement", "acquirer_stated")
APPEND_ONLY += PEOPLE_JOURNALS
APPEND_ONLY += DEPARTMENT_JOURNALS
APPEND_ONLY += MONEY_JOURNALS
APPEND_ONLY += PAYMENT_JOURNALS
APPEND_ONLY += ENDING_JOURNALS + DEBT_JOURNALS
APPEND_ONLY += PHONE_JOURNALS
APPEND_ONLY += SHIFT_JOURNALS

_APPEND_ONLY = """
CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
"""

_ONE_WAY = """
CREATE TRIGGER account_stays BEFORE DELETE ON account
BEGIN SELECT RAISE(ABORT, 'accounts stay'); END;
CREATE TRIGGER device_stays BEFORE DELETE ON device
BEGIN SELECT RAISE(ABORT, 'devices stay'); END;
CREATE TRIGGER device_advances BEFORE UPDATE ON device
WHEN NEW.head_seq < OLD.head_seq OR NEW.is_forked < OLD.is_forked
BEGIN SELECT RAISE(ABORT, 'a chain only grows'); END;
CREATE TRIGGER intent_stays BEFORE DELETE ON intent
BEGIN SELECT RAISE(ABORT, 'intents stay'); END;
CREATE TRIGGER intent_settles BEFORE UPDATE ON intent
WHEN NEW.state <= OLD.state
BEGIN SELECT RAISE(ABORT, 'what is known of an intent only grows'); END;
CREATE TRIGGER intent_is_as_sealed
BEFORE UPDATE OF device, seq, card_no, counter, amount_fen, merchant_no ON intent
BEGIN SELECT RAISE(ABORT, 'an intent is as it was sealed'); END;
"""


def _chart() -> str:
    accounts = [(BANK, CLEARING, 0), (EARNED, FEES, 0)]
    accounts += [(suspense(reason), SUSPENSE, reason) for reason in SUSPENSE_ACCOUNTS]
    rows = ", ".join(f"({number}, {kind}, {owner})" for number, kind, owner in accounts)
    return f"INSERT INTO account (id, kind, owner) VALUES {rows};"


def _losses() -> str:
    rows = ", ".join(f"({loss(reason)}, {LOSS}, {reason})" for reason in LOSS_ACCOUNTS)
    return f"INSERT INTO account (id, kind, owner) VALUES {rows};"


def _append_only(*tables: str) -> str:
    return "".join(
        _APPEND_ONLY.format(table=table, verb=verb)
        for table in tables
        for verb in ("UPDATE", "DELETE")
    )


# A device has a key after another; key_no says which of them sealed a record and a chain's head.
_KEYS = """
CREATE TABLE device_key (
    device INTEGER NOT NULL REFERENCES device (device),
    key_no INTEGER NOT NULL CHECK (key_no >= 0),
    device_key BLOB NOT NULL CHECK (length(device_key) = 32),
    PRIMARY KEY (device, key_no),
    UNIQUE (device, device_key)
) STRICT, WITHOUT ROWID;
INSERT INTO device_key SELECT device, 0, device_key FROM device;
ALTER TABLE device DROP COLUMN device_key;
ALTER TABLE device ADD COLUMN head_key_no INTEGER NOT NULL DEFAULT 0;
ALTER TABLE record ADD COLUMN key_no INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER device_key_ages BEFORE UPDATE ON device
WHEN NEW.head_key_no < OLD.head_key_no
BEGIN SELECT RAISE(ABORT, 'a key that was replaced stays replaced'); END;
"""

# Which chip a card number stands on, where the ledger checks what the chip has signed.
_CHIPS = """
CREATE TABLE chip (
    card_no INTEGER PRIMARY KEY REFERENCES card (card_no),
    uid BLOB NOT NULL UNIQUE CHECK (length(uid) IN (4, 7, 10))
) STRICT;
"""

# Money paid in for cards. A try is written before anything leaves that may put it on the card.
_LOADS = """
ALTER TABLE intent ADD COLUMN credit_no INTEGER NOT NULL DEFAULT 0
    CHECK (credit_no BETWEEN 0 AND 4294967295);
CREATE INDEX intent_of_credit ON intent (credit_no) WHERE credit_no > 0;
CREATE TRIGGER intent_is_of_its_credit BEFORE UPDATE OF credit_no ON intent
BEGIN SELECT RAISE(ABORT, 'an intent is as it was sealed'); END;

CREATE TABLE load (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 1 AND 16777215),
    order_id TEXT NOT NULL UNIQUE,
    is_loaded INTEGER NOT NULL DEFAULT 0 CHECK (is_loaded IN (0, 1))
) STRICT;
CREATE INDEX load_waiting ON load (card_no, number) WHERE is_loaded = 0;
CREATE TRIGGER load_stays BEFORE DELETE ON load
BEGIN SELECT RAISE(ABORT, 'loads stay'); END;
CREATE TRIGGER load_happens_once BEFORE UPDATE ON load
WHEN NEW.is_loaded <= OLD.is_loaded OR NEW.number <> OLD.number OR NEW.card_no <> OLD.card_no
    OR NEW.amount_fen <> OLD.amount_fen OR NEW.order_id <> OLD.order_id
BEGIN SELECT RAISE(ABORT, 'a load comes on its card once'); END;

CREATE TABLE load_try (
    number INTEGER NOT NULL REFERENCES load (number),
    counter INTEGER NOT NULL CHECK (counter BETWEEN 0 AND 65535),
    device INTEGER NOT NULL REFERENCES device (device),
    PRIMARY KEY (number, counter, device)
) STRICT, WITHOUT ROWID;

-- What a card has said to the card centre itself; the MAC is empty if it had happened before.
CREATE TABLE load_proof (
    number INTEGER PRIMARY KEY REFERENCES load (number),
    counter INTEGER NOT NULL,
    balance_fen INTEGER NOT NULL,
    transaction_mac BLOB NOT NULL CHECK (length(transaction_mac) IN (0, 12))
) STRICT;

-- Which kind of chip it is: protocols.wire.messages, CLASSIC or DESFIRE. All so far were DESFires.
ALTER TABLE chip ADD COLUMN kind INTEGER NOT NULL DEFAULT 2 CHECK (kind IN (1, 2));
"""

# Cancelled sales, by the sale. A load of one has no order of a channel; its order_id has a tab,
# which no channel's may have.
_CANCELS = """
CREATE TABLE cancel (
    device INTEGER NOT NULL,
    intent_seq INTEGER NOT NULL,
    seq INTEGER NOT NULL CHECK (seq > intent_seq),
    number INTEGER NOT NULL UNIQUE CHECK (number BETWEEN 2147483648 AND 4294967295),
    PRIMARY KEY (device, intent_seq),
    FOREIGN KEY (device, intent_seq) REFERENCES intent (device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX intent_names_credit ON intent (last_seq) WHERE last_device = 4294967295;
"""

# Which cards may be used, change by change; the epoch is its number. `evidence` is a word.
_CARDS = """
CREATE TABLE card_change (
    epoch INTEGER PRIMARY KEY CHECK (epoch BETWEEN 1 AND 4294967295),
    card_no INTEGER NOT NULL REFERENCES card (card_no) CHECK (card_no BETWEEN 0 AND 16777215),
    status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 3),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    cause TEXT NOT NULL,
    evidence TEXT NOT NULL
) STRICT;
CREATE INDEX card_change_of ON card_change (card_no, epoch);
CREATE TRIGGER card_change_follows BEFORE INSERT ON card_change
WHEN NEW.epoch <> (SELECT COALESCE(MAX(epoch), 0) + 1 FROM card_change)
BEGIN SELECT RAISE(ABORT, 'one epoch follows the other'); END;
"""

# Payments by code. A seed rests sealed (ledger/phones.py). `code` is used once for all time; of a
# record of a reader there is one reservation. The floor of a pending account is what has been
# promised to its card (ledger/promises.py).
_CODES = """
CREATE TABLE phone (
    card_no INTEGER PRIMARY KEY REFERENCES card (card_no),
    binding INTEGER NOT NULL CHECK (binding BETWEEN 1 AND 4294967295),
    sealed_seed BLOB NOT NULL CHECK (length(sealed_seed) IN (0, 60))
) STRICT;
CREATE TRIGGER phone_stays BEFORE DELETE ON phone
BEGIN SELECT RAISE(ABORT, 'the number of a binding is used once'); END;
CREATE TRIGGER phone_is_bound_anew BEFORE UPDATE ON phone
WHEN NEW.card_no <> OLD.card_no OR NEW.binding <> OLD.binding + 1
BEGIN SELECT RAISE(ABORT, 'one binding follows the other'); END;

CREATE TABLE reservation (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    device INTEGER NOT NULL REFERENCES device (device),
    seq INTEGER NOT NULL CHECK (seq BETWEEN 1 AND 4294967295),
    nonce BLOB NOT NULL CHECK (length(nonce) = 8),
    code BLOB NOT NULL UNIQUE,
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 1 AND 16777215),
    balance_fen INTEGER NOT NULL CHECK (balance_fen >= 0),
    asked_s INTEGER NOT NULL CHECK (asked_s BETWEEN 0 AND 4294967295),
    state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    by_person INTEGER NOT NULL DEFAULT 0 CHECK (by_person IN (0, 1) AND state >= by_person),
    UNIQUE (device, seq)
) STRICT;
CREATE INDEX reservation_of_card ON reservation (card_no, asked_s);
CREATE INDEX reservation_open ON reservation (asked_s) WHERE state = 0;
CREATE TRIGGER reservation_stays BEFORE DELETE ON reservation
BEGIN SELECT RAISE(ABORT, 'reservations stay'); END;
CREATE TRIGGER reservation_settles_once BEFORE UPDATE ON reservation
WHEN OLD.state <> 0 OR NEW.state = 0
BEGIN SELECT RAISE(ABORT, 'a reservation is settled once'); END;
CREATE TRIGGER reservation_is_as_asked BEFORE UPDATE OF
    number, device, seq, nonce, code, card_no, amount_fen, balance_fen, asked_s ON reservation
BEGIN SELECT RAISE(ABORT, 'a reservation is as it was asked for'); END;
CREATE TRIGGER reserved_is_there BEFORE UPDATE ON account
WHEN NEW.kind = 7 AND NEW.balance_fen < 0
BEGIN SELECT RAISE(ABORT, 'what is reserved is never below nothing'); END;

UPDATE account SET floor_fen = (
    SELECT COALESCE(SUM(l.amount_fen), 0) FROM load l
    WHERE l.card_no = account.owner AND l.is_loaded = 0 AND (l.number >= 2147483648
        OR EXISTS (SELECT 1 FROM load_try t WHERE t.number = l.number)))
WHERE kind = 6;
"""

# Payments by aggregate code, as readers and as channels tell of them (ledger/aggregate.py).
_AGGREGATE = """
CREATE TABLE aggregate_sale (
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    merchant_no INTEGER NOT NULL CHECK (merchant_no BETWEEN 1 AND 4294967295),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 1 AND 4294967295),
    earliest_s INTEGER NOT NULL,
    latest_s INTEGER NOT NULL,
    PRIMARY KEY (device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE statement_line (
    channel TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 16),
    order_no TEXT NOT NULL CHECK (length(order_no) BETWEEN 1 AND 64),
    merchant_no INTEGER NOT NULL REFERENCES merchant (merchant_no),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 1 AND 99999999),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (channel, order_no)
) STRICT, WITHOUT ROWID;
"""

# Cards in the place of lost ones; `lost_s` is when the loss was reported. A load that has ended
# never comes on its card: its card was replaced, and its money goes to the next one.
_REISSUES = """
CREATE TABLE reissue (
    old_card INTEGER PRIMARY KEY REFERENCES card (card_no),
    new_card INTEGER NOT NULL UNIQUE REFERENCES card (card_no),
    lost_s INTEGER NOT NULL CHECK (lost_s BETWEEN 0 AND 4294967295),
    CHECK (old_card <> new_card)
) STRICT;

CREATE TABLE load_end (
    number INTEGER PRIMARY KEY REFERENCES load (number)
) STRICT;
"""

MIGRATIONS = [
    _TABLES + _append_only(*_JOURNALS) + _ONE_WAY + _chart(),
    _KEYS + _append_only("device_key"),
    _CHIPS + _append_only("chip"),
    _LOADS + _append_only("load_try", "load_proof"),
    _CANCELS + _append_only("cancel"),
    _CARDS + _append_only("card_change"),
    _CODES,
    PUNCHES + _append_only("punch", "manual_punch"),
    ACCESS + _append_only("door", "access_person", "access_change"),
    SITES + _append_only("tamper", "approval", "sighting"),
    _AGGREGATE + _append_only("aggregate_sale", "statement_line"),
    _REISSUES + _append_only("reissue", "load_end") + _losses(),
    CODE_ENTRIES + _append_only("code_answer", "code_entry"),
    DESKS + _append_only("loss_report"),
    MENUS + _append_only("menu_change"),
    LOCKS + _append_only("lock"),
    INSPECTIONS,
    PROOFS + _append_only("reader_release", "carry_basis"),
    CHANNELS + _append_only("channel_topup", "topup_cancel", "topup_void"),
    FIRMWARE + _append_only("firmware_image", "firmware_stage"),
    LIFECYCLE + _append_only(*JOURNALS),
    FINDINGS + CORRECTIONS + _append_only("finding", "correction", "correction_approval"),
    POLICIES + _append_only("policy_change"),
    PROCEDURES + _append_only(*OF_DOSSIERS),
    PERIODS + _append_only(*PERIOD_JOURNALS),
    PEOPLE + _append_only(*PEOPLE_JOURNALS),
    GROWTH,
    ACQUIRERS + _append_only("acquirer_day", "acquirer_line", "phone_proof"),
    DEPARTMENTS + _append_only(*DEPARTMENT_JOURNALS),
    MONEY + _append_only(*MONEY_JOURNALS),
    PAYMENTS + _append_only(*PAYMENT_JOURNALS),
    PORTIONS,
    STATEMENTS + _append_only("acquirer_statement", "acquirer_stated"),
    ENDINGS
    + PHONE_APPS
    + SHIFT_PARTS
    + _append_only(*ENDING_JOURNALS, *PHONE_JOURNALS, *SHIFT_JOURNALS),
    DEBTS + _append_only(*DEBT_JOURNALS),
    CONSOLE,
    REOPENINGS,
    LISTS,
    ENTRY_STRETCHES,
    DRILLS + _append_only(*DRILL_JOURNALS),
    PERIOD_LINES,
    ROWS_AT_THE_END,
    MADE_GOOD_ONCE,
    STEADY,
]
