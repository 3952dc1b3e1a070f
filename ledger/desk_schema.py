"""Tables of library desks and self-service machines; a migration of ledger/schema.py."""

# Personal numbers, and the readers that may ask for them (ledger/person_numbers.py); losses that
# a phone's identity code has proven (ledger/loss_reports.py). `code` is used once for all time.
DESKS = """
CREATE TABLE person_no (
    card_no INTEGER PRIMARY KEY REFERENCES card (card_no),
    person_no TEXT NOT NULL CHECK (length(person_no) BETWEEN 1 AND 16)
) STRICT;
CREATE TABLE person_desk (
    device INTEGER PRIMARY KEY REFERENCES device (device)
) STRICT;

CREATE TABLE loss_report (
    code BLOB PRIMARY KEY,
    device INTEGER NOT NULL REFERENCES device (device),
    nonce BLOB NOT NULL CHECK (length(nonce) = 8),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    lost_s INTEGER NOT NULL CHECK (lost_s BETWEEN 0 AND 4294967295),
    UNIQUE (device, nonce)
) STRICT, WITHOUT ROWID;
"""
