"""Tables of where readers stand; a migration of ledger/schema.py (ledger/tampers.py)."""

# Readers that were opened or moved, who approved it, where they were heard, who answers for them.
SITES = """
CREATE TABLE tamper (
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    state INTEGER NOT NULL CHECK (state BETWEEN 1 AND 3),
    number INTEGER NOT NULL,
    earliest_s INTEGER NOT NULL,
    latest_s INTEGER NOT NULL,
    PRIMARY KEY (device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE approval (
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    step INTEGER NOT NULL CHECK (step IN (1, 2)),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (device, seq, step),
    UNIQUE (device, seq, person),
    FOREIGN KEY (device, seq) REFERENCES tamper (device, seq)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER approval_follows BEFORE INSERT ON approval
WHEN NEW.step = 2 AND NOT EXISTS (SELECT 1 FROM approval
    WHERE device = NEW.device AND seq = NEW.seq AND step = 1)
BEGIN SELECT RAISE(ABORT, 'the department comes first'); END;

CREATE TABLE sighting (
    device INTEGER NOT NULL REFERENCES device (device),
    head_seq INTEGER NOT NULL,
    site TEXT NOT NULL,
    time_s INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (device, head_seq, site)
) STRICT, WITHOUT ROWID;

CREATE TABLE responsible (
    device INTEGER PRIMARY KEY REFERENCES device (device),
    department TEXT NOT NULL
) STRICT;
"""
