"""Tables of what an acquirer takes for us, a part of ledger/schema.py.

Orders (ledger/acquirer_orders.py), the acquirer's statements (ledger/acquirer_statements.py), and
by what somebody has proven to be a card's holder when a phone was bound (ledger/phones.py).
"""

from ledger.chart import ACQUIRED, ACQUIRER
from protocols.rules.card_status import CLOSED

# `channel` is a kind of protocols/rules/scan_codes.py. `state` is what the reader's record has
# made of an order, `word` what the acquirer has said of it (ledger/acquirer.py), `reason` why not.
# The code itself does not stand here: whoever reads it could pay with it.
ACQUIRERS = f"""
CREATE TABLE acquirer_order (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    device INTEGER NOT NULL REFERENCES device (device),
    seq INTEGER NOT NULL CHECK (seq BETWEEN 1 AND 4294967295),
    nonce BLOB NOT NULL CHECK (length(nonce) = 8),
    code_sha256 BLOB NOT NULL CHECK (length(code_sha256) = 32),
    order_no TEXT NOT NULL UNIQUE CHECK (length(order_no) BETWEEN 1 AND 64),
    channel INTEGER NOT NULL CHECK (channel BETWEEN 3 AND 5),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 1 AND 16777215),
    asked_s INTEGER NOT NULL CHECK (asked_s BETWEEN 0 AND 4294967295),
    state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 2),
    by_person INTEGER NOT NULL DEFAULT 0 CHECK (by_person IN (0, 1) AND state >= by_person),
    word INTEGER NOT NULL DEFAULT 0 CHECK (word BETWEEN 0 AND 4),
    reason INTEGER NOT NULL DEFAULT 0 CHECK (reason BETWEEN 0 AND 65535),
    heard_s INTEGER NOT NULL DEFAULT 0 CHECK (heard_s BETWEEN 0 AND 4294967295),
    UNIQUE (device, seq)
) STRICT;
CREATE INDEX acquirer_order_open ON acquirer_order (number) WHERE word < 2;
CREATE TRIGGER acquirer_order_stays BEFORE DELETE ON acquirer_order
BEGIN SELECT RAISE(ABORT, 'orders stay'); END;
CREATE TRIGGER acquirer_order_is_settled_once BEFORE UPDATE OF state ON acquirer_order
WHEN OLD.state <> 0 AND NEW.state <> OLD.state
BEGIN SELECT RAISE(ABORT, 'an order is settled once'); END;
CREATE TRIGGER acquirer_order_word_follows BEFORE UPDATE OF word ON acquirer_order
WHEN NEW.word <> OLD.word
    AND NOT (OLD.word = 0 OR (OLD.word = 1 AND NEW.word IN (3, 4)))
BEGIN SELECT RAISE(ABORT, 'what the acquirer has ended is not taken back'); END;
CREATE TRIGGER acquirer_order_is_as_asked BEFORE UPDATE OF
    number, device, seq, nonce, code_sha256, order_no, channel, amount_fen, asked_s
    ON acquirer_order
BEGIN SELECT RAISE(ABORT, 'an order is as it was asked for'); END;

CREATE TABLE acquirer_day (
    day INTEGER PRIMARY KEY CHECK (day BETWEEN 0 AND 49710),
    heard_s INTEGER NOT NULL CHECK (heard_s BETWEEN 0 AND 4294967295)
) STRICT;

CREATE TABLE acquirer_line (
    order_no TEXT PRIMARY KEY CHECK (length(order_no) BETWEEN 1 AND 64),
    day INTEGER NOT NULL REFERENCES acquirer_day (day),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 1 AND 16777215)
) STRICT, WITHOUT ROWID;

INSERT INTO account (id, kind, owner) VALUES ({ACQUIRED}, {ACQUIRER}, 0);

UPDATE phone SET binding = binding + 1, sealed_seed = substr(sealed_seed, 1, 0)
WHERE length(sealed_seed) > 0 AND {CLOSED} = (
    SELECT c.status FROM card_change c WHERE c.card_no = phone.card_no
    ORDER BY c.epoch DESC LIMIT 1);

CREATE TABLE phone_proof (
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    binding INTEGER NOT NULL CHECK (binding BETWEEN 1 AND 4294967295),
    way TEXT NOT NULL CHECK (length(way) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (card_no, binding)
) STRICT, WITHOUT ROWID;
"""

# Statements as they were told, each version of a day whole. `copy` counts the lines of one order
# on one day, the smallest amount first. What acquirer_day and acquirer_line have (books of before)
# is version 1 of its day; there an order that stood on an earlier day too is "DAY again ORDER".
STATEMENTS = """
CREATE TABLE acquirer_statement (
    day INTEGER NOT NULL CHECK (day BETWEEN 0 AND 49710),
    version INTEGER NOT NULL CHECK (version >= 1),
    heard_s INTEGER NOT NULL CHECK (heard_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (day, version)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER acquirer_statement_follows BEFORE INSERT ON acquirer_statement
WHEN NEW.version <> (SELECT COALESCE(MAX(version), 0) + 1 FROM acquirer_statement
    WHERE day = NEW.day)
BEGIN SELECT RAISE(ABORT, 'one version of a day follows the other'); END;

CREATE TABLE acquirer_stated (
    day INTEGER NOT NULL,
    version INTEGER NOT NULL,
    order_no TEXT NOT NULL CHECK (length(order_no) BETWEEN 1 AND 64),
    copy INTEGER NOT NULL CHECK (copy >= 1),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 1 AND 16777215),
    PRIMARY KEY (day, version, order_no, copy),
    FOREIGN KEY (day, version) REFERENCES acquirer_statement (day, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX acquirer_stated_of ON acquirer_stated (order_no);

INSERT INTO acquirer_statement SELECT day, 1, heard_s FROM acquirer_day;
INSERT INTO acquirer_stated SELECT day, 1,
    CASE WHEN substr(order_no, 1, length(day || ' again ')) = day || ' again '
        THEN substr(order_no, length(day || ' again ') + 1) ELSE order_no END,
    1, amount_fen FROM acquirer_line;
"""

# For LedgerStore.dump: when something was heard is no matter of the books.
DUMP = {
    "acquirer_order": "SELECT number, device, seq, nonce, order_no, channel, amount_fen, asked_s,"
    " state, by_person, word, reason FROM acquirer_order ORDER BY number",
    "acquirer_stated": "SELECT day, version, order_no, copy, amount_fen FROM acquirer_stated"
    " ORDER BY day, version, order_no, copy",
    "phone_proof": "SELECT card_no, binding, way, person FROM phone_proof"
    " ORDER BY card_no, binding",
}
