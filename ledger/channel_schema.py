"""Tables of what channels take in (ledger/channel_topups.py), a part of ledger/schema.py."""

# `paid_s` is when the bank took the money, as the channel says; `heard_s` when we were told. What
# is void was cancelled before it came, and is not taken any more.
CHANNELS = """
CREATE TABLE channel_topup (
    channel TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 16),
    order_no TEXT NOT NULL CHECK (length(order_no) BETWEEN 1 AND 64),
    number INTEGER NOT NULL UNIQUE REFERENCES load (number),
    bank_reference TEXT NOT NULL CHECK (length(bank_reference) BETWEEN 1 AND 64),
    paid_s INTEGER NOT NULL CHECK (paid_s BETWEEN 0 AND 4294967295),
    heard_s INTEGER NOT NULL CHECK (heard_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (channel, order_no),
    UNIQUE (channel, bank_reference)
) STRICT, WITHOUT ROWID;

CREATE TABLE topup_cancel (
    number INTEGER PRIMARY KEY REFERENCES channel_topup (number),
    cancelled_s INTEGER NOT NULL CHECK (cancelled_s BETWEEN 0 AND 4294967295)
) STRICT;

CREATE TABLE topup_void (
    channel TEXT NOT NULL CHECK (length(channel) BETWEEN 1 AND 16),
    order_no TEXT NOT NULL CHECK (length(order_no) BETWEEN 1 AND 64),
    voided_s INTEGER NOT NULL CHECK (voided_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (channel, order_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX load_of_card ON load (card_no, number);
"""
