"""Tables of locks without a network; a migration of ledger/schema.py."""

LOCKS = """
CREATE TABLE lock (
    device INTEGER PRIMARY KEY REFERENCES door (device)
) STRICT;

CREATE TABLE lock_word (
    device INTEGER PRIMARY KEY REFERENCES device (device),
    seq INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    made_s INTEGER NOT NULL,
    battery_mv INTEGER NOT NULL,
    heard_s INTEGER NOT NULL
) STRICT;
"""
