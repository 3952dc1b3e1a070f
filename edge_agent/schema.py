"""The tables of the agent's file: step n leads from schema n to n + 1, and is never changed."""

MIGRATIONS = (
    """
    CREATE TABLE record (
        device INTEGER NOT NULL, seq INTEGER NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (device, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE device (
        device INTEGER PRIMARY KEY,
        receipted INTEGER NOT NULL,  -- booked by the ledger up to here: its word, never a reader's
        base INTEGER NOT NULL,       -- of (base, stored] everything is held, refused or booked
        stored INTEGER NOT NULL CHECK (stored >= base),
        receipt BLOB                 -- the latest, sealed for the device
    ) STRICT;
    CREATE TABLE refused (
        device INTEGER NOT NULL, seq INTEGER NOT NULL, code INTEGER NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (device, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE conflict (
        device INTEGER NOT NULL, seq INTEGER NOT NULL, offered BLOB NOT NULL, kept BLOB NOT NULL,
        PRIMARY KEY (device, seq, offered)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE device ADD COLUMN sum INTEGER;  -- CRC-32 of the row; NULL: written by schema 1
    """,
)
