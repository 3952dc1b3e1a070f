"""Tables of what an acquirer takes for us, a part of ledger/schema.py.

Orders (ledger/acquirer_orders.py), the acquirer's statements (ledger/acquirer_statements.py), and
by what somebody has proven to be a card's holder when a phone was bound (ledger/phones.py).
"""

from ledger.chart import ACQUIRED, ACQUIRER

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

CREATE TABLE phone_proof (
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    binding INTEGER NOT NULL CHECK (binding BETWEEN 1 AND 4294967295),
    way TEXT NOT NULL CHECK (length(way) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (card_no, binding)
) STRICT, WITHOUT ROWID;
"""
