"""Tables of attendance machines, doors and sites; migrations of ledger/schema.py."""

# Punches of attendance machines, and those a person has entered (ledger/attendance.py).
PUNCHES = """
CREATE TABLE punch (
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    card_no INTEGER NOT NULL,
    earliest_s INTEGER NOT NULL,
    latest_s INTEGER NOT NULL,
    PRIMARY KEY (device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE manual_punch (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    card_no INTEGER NOT NULL REFERENCES card (card_no),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND entered_s),
    entered_s INTEGER NOT NULL CHECK (entered_s BETWEEN 0 AND 4294967295),
    person TEXT NOT NULL CHECK (person <> ''),
    because TEXT NOT NULL CHECK (because <> ''),
    withdraws INTEGER UNIQUE REFERENCES manual_punch (number) CHECK (withdraws < number)
) STRICT;
CREATE INDEX manual_punch_at ON manual_punch (time_s);
"""

# Who may open which door. A door is set up once; a change of its grants has a number, and the name
# of the person who has made it. `periods` of a PIN is its verifier.
ACCESS = """
CREATE TABLE door (
    device INTEGER PRIMARY KEY REFERENCES device (device),
    scope TEXT NOT NULL CHECK (scope IN ('dorm', 'public')),
    grant_ms INTEGER NOT NULL CHECK (grant_ms BETWEEN 0 AND 15000),
    passback_s INTEGER NOT NULL CHECK (passback_s BETWEEN 0 AND 86400)
) STRICT;
CREATE TABLE access_person (
    number INTEGER PRIMARY KEY,
    site TEXT NOT NULL,
    scope TEXT NOT NULL CHECK (scope IN ('dorm', 'public')),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    is_in INTEGER NOT NULL CHECK (is_in IN (0, 1)),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TABLE access_change (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    device INTEGER NOT NULL REFERENCES door (device),
    verb TEXT NOT NULL CHECK (verb IN ('grant', 'hours', 'free', 'pin')),
    first_no INTEGER NOT NULL CHECK (first_no BETWEEN 0 AND 4294967295),
    count INTEGER NOT NULL CHECK (count BETWEEN 0 AND 8192),
    group_no INTEGER NOT NULL CHECK (group_no BETWEEN 0 AND 15),
    periods BLOB NOT NULL CHECK (length(periods) BETWEEN 0 AND 40),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    CHECK ((verb = 'grant') = (count > 0))
) STRICT;
CREATE INDEX access_change_of ON access_change (device, number);
CREATE TRIGGER access_change_follows BEFORE INSERT ON access_change
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM access_change)
BEGIN SELECT RAISE(ABORT, 'one number follows the other'); END;
"""

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
