"""Tables of identity codes, a part of ledger/schema.py.

Whose code a door was told, and what its record says of it (ledger/code_entries.py); and from when
to when cards are valid, which their phones do not show (ledger/card_validity.py).
"""

CODE_ENTRIES = """
CREATE TABLE card_validity (
    card_no INTEGER PRIMARY KEY REFERENCES card (card_no),
    kind INTEGER NOT NULL CHECK (kind BETWEEN 1 AND 255),
    valid_from INTEGER NOT NULL CHECK (valid_from BETWEEN 0 AND valid_to),
    valid_to INTEGER NOT NULL CHECK (valid_to <= 65535)
) STRICT;

CREATE TABLE code_answer (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    device INTEGER NOT NULL REFERENCES door (device),
    nonce BLOB NOT NULL CHECK (length(nonce) = 8),
    code BLOB NOT NULL UNIQUE,
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    asked_s INTEGER NOT NULL CHECK (asked_s BETWEEN 0 AND 4294967295),
    UNIQUE (device, nonce)
) STRICT;

CREATE TABLE code_entry (
    number INTEGER PRIMARY KEY REFERENCES code_answer (number),
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    UNIQUE (device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT;
"""
