"""What books need that have grown, a part of schema.py."""

GROWTH = """
-- What merchants took: a day is one stretch of it, and as time goes on it grows at its end. All
-- that ledger/takings.py asks for stands in it, or SQLite would look into the table as well.
CREATE INDEX intent_taken ON intent (earliest_s, merchant_no, amount_fen, state, credit_no)
    WHERE state = 3 AND credit_no = 0;
CREATE TRIGGER account_is_itself BEFORE UPDATE OF id ON account
BEGIN SELECT RAISE(ABORT, 'an account keeps its number'); END;
"""

# By which the pages of the console find what they show in books of any size (docs/adr/0078).
LISTS = """
-- What was said about one thing: the keys that were turned at a door, a merchant's days.
CREATE INDEX operator_act_about ON operator_act (verb, subject, number);
CREATE INDEX suspense_case_of ON suspense_case (device, seq);
-- Who typed a chip's number has its end, or by another reader its beginning from behind.
CREATE INDEX chip_end ON chip (substr(uid, length(uid) - 2));
CREATE INDEX card_validity_ends ON card_validity (kind, valid_to);
CREATE INDEX temporary_application_ends ON temporary_application (valid_to, number);
-- Cards that are no more, of which some have money left (ledger/settlements.py).
CREATE INDEX card_change_ended ON card_change (card_no)
    WHERE cause IN ('close', 'terminate');
CREATE INDEX reservation_asked ON reservation (asked_s);
CREATE INDEX acquirer_order_asked ON acquirer_order (asked_s);
CREATE INDEX acquirer_order_undecided ON acquirer_order (asked_s) WHERE state = 0;
CREATE INDEX aggregate_sale_at ON aggregate_sale (earliest_s);
-- Of those whose reader did not know the time: few, and of any day.
CREATE INDEX aggregate_sale_wide ON aggregate_sale (device, seq)
    WHERE latest_s - earliest_s > 3600;
CREATE INDEX statement_line_at ON statement_line (time_s);
CREATE INDEX punch_at ON punch (earliest_s);
CREATE INDEX punch_wide ON punch (device, seq) WHERE latest_s - earliest_s > 86400;
"""

# What the report of a period and its sheet sum up of its lines stands in the index itself: a
# period of a million sales is one stretch of it, and no line is looked up (period_report.py).
PERIOD_LINES = """
DROP INDEX period_line_of;
CREATE INDEX period_line_of
    ON period_line (period, merchant_no, device, kind, time_s, amount_fen);
"""

# Bounds of the entries of each stretch of a device's records (ledger/entry_stretches.py), and up
# to which record nobody has looked at those that were there before.
ENTRY_STRETCHES = """
CREATE TABLE entry_stretch (
    device INTEGER NOT NULL REFERENCES device (device),
    stretch INTEGER NOT NULL CHECK (stretch >= 0),
    earliest_min_s INTEGER NOT NULL,
    earliest_max_s INTEGER NOT NULL CHECK (earliest_max_s >= earliest_min_s),
    latest_min_s INTEGER NOT NULL,
    latest_max_s INTEGER NOT NULL CHECK (latest_max_s >= latest_min_s),
    PRIMARY KEY (device, stretch)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entry_stretch_widens BEFORE UPDATE ON entry_stretch
WHEN NEW.earliest_min_s > OLD.earliest_min_s OR NEW.earliest_max_s < OLD.earliest_max_s
    OR NEW.latest_min_s > OLD.latest_min_s OR NEW.latest_max_s < OLD.latest_max_s
BEGIN SELECT RAISE(ABORT, 'bounds only widen'); END;
CREATE TABLE entry_unread (
    device INTEGER PRIMARY KEY REFERENCES device (device),
    upto_seq INTEGER NOT NULL CHECK (upto_seq >= 0)
) STRICT;
INSERT INTO entry_unread SELECT device, head_seq FROM device WHERE head_seq > 0;
"""
# For ledger/dump.py; what is unread hangs on when books were migrated.
ENTRY_DUMP = {
    "entry_stretch": "SELECT device, stretch, earliest_min_s, earliest_max_s, latest_min_s,"
    " latest_max_s FROM entry_stretch ORDER BY device, stretch",
}

# Only PostgreSQL's tables change (ledger/postgres_schema.py): a portion costs its server less.
PORTIONS = "-- nothing\n"

# The two tables that grow with every tap, written where the file ends and found by an index. Rows
# within the tree of their key came between others wherever a reader's stretch ended: pages were
# split, half empty, and written again with each portion (docs/adr/0087). Only SQLite's tables
# change: on PostgreSQL they have always been so.
ROWS_AT_THE_END = """
CREATE TABLE record_rows (
    device INTEGER NOT NULL REFERENCES device (device),
    seq INTEGER NOT NULL CHECK (seq >= 1),
    kind INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    sealed BLOB NOT NULL,
    key_no INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device, seq)
) STRICT;
INSERT INTO record_rows (device, seq, kind, sha256, sealed, key_no)
SELECT device, seq, kind, sha256, sealed, key_no FROM record ORDER BY device, seq;
DROP TABLE record;
ALTER TABLE record_rows RENAME TO record;
CREATE INDEX record_inspected ON record ((device + 0), (seq + 0)) WHERE kind IN (12, 13);
CREATE INDEX record_booted ON record ((device + 0), (seq + 0)) WHERE kind = 1;
CREATE TRIGGER record_UPDATE BEFORE UPDATE ON record
BEGIN SELECT RAISE(ABORT, 'record is append-only'); END;
CREATE TRIGGER record_DELETE BEFORE DELETE ON record
BEGIN SELECT RAISE(ABORT, 'record is append-only'); END;

CREATE TABLE intent_rows (
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
    credit_no INTEGER NOT NULL DEFAULT 0 CHECK (credit_no BETWEEN 0 AND 4294967295),
    PRIMARY KEY (device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT;
INSERT INTO intent_rows (device, seq, card_no, counter, amount_fen, merchant_no, last_device,
    last_seq, earliest_s, latest_s, state, credit_no)
SELECT device, seq, card_no, counter, amount_fen, merchant_no, last_device,
    last_seq, earliest_s, latest_s, state, credit_no FROM intent ORDER BY device, seq;
DROP TABLE intent;
ALTER TABLE intent_rows RENAME TO intent;
-- With the key, which stood behind it by itself: all spends card by card are one walk.
CREATE INDEX intent_of_card ON intent (card_no, counter, device, seq);
CREATE INDEX intent_open ON intent (state) WHERE state < 2;
CREATE INDEX intent_of_credit ON intent (credit_no) WHERE credit_no > 0;
CREATE INDEX intent_names_credit ON intent (last_seq) WHERE last_device = 4294967295;
CREATE INDEX intent_taken ON intent (earliest_s, merchant_no, amount_fen, state, credit_no)
    WHERE state = 3 AND credit_no = 0;
CREATE TRIGGER intent_stays BEFORE DELETE ON intent
BEGIN SELECT RAISE(ABORT, 'intents stay'); END;
CREATE TRIGGER intent_settles BEFORE UPDATE ON intent
WHEN NEW.state <= OLD.state
BEGIN SELECT RAISE(ABORT, 'what is known of an intent only grows'); END;
CREATE TRIGGER intent_is_as_sealed
BEFORE UPDATE OF device, seq, card_no, counter, amount_fen, merchant_no ON intent
BEGIN SELECT RAISE(ABORT, 'an intent is as it was sealed'); END;
CREATE TRIGGER intent_is_of_its_credit BEFORE UPDATE OF credit_no ON intent
BEGIN SELECT RAISE(ABORT, 'an intent is as it was sealed'); END;
"""

# What the ledger's clock knows (ledger/steady_clock.py); of no use to who compares books.
STEADY = """
CREATE TABLE steady_clock (
    kept_s INTEGER NOT NULL,
    time_s INTEGER PRIMARY KEY CHECK (time_s BETWEEN 0 AND kept_s),
    ago_s INTEGER NOT NULL CHECK (ago_s >= 0)
) STRICT;
"""
