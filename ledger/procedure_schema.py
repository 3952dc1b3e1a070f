"""Tables of the procedures of merchants and devices; a migration of ledger/schema.py.

`procedure_rule` is the table of steps (ledger/procedure_rows.py), and each step of a dossier is a
row of it by foreign key: the database itself takes no other. From the first form of annex 2 on
the register is closed: a merchant or a reader that is new takes five signatures (R-B2). What was
registered before stays. Of a person there is the word by which staff are called here; who holds a
card, or has damaged something, stands on paper.
"""

from ledger.procedure_rows import FIRST, rows_of

_RULES = ",\n    ".join(str(tuple(row)) for row in rows_of(FIRST))
_CLOSED = "EXISTS (SELECT 1 FROM annex_form)"
_APPROVED = """EXISTS (SELECT 1 FROM dossier d JOIN dossier_step s ON s.dossier = d.number
    WHERE s.state_after = 'approved' AND {})"""
_LAST = """(SELECT s.{} FROM dossier_step s WHERE s.dossier = NEW.dossier{}
    ORDER BY s.step DESC LIMIT 1)"""

PROCEDURES = f"""
CREATE TABLE procedure_rule (
    kind TEXT NOT NULL,
    verb TEXT NOT NULL,
    state_before TEXT NOT NULL,
    state_after TEXT NOT NULL,
    role TEXT NOT NULL,
    act TEXT NOT NULL CHECK (act IN ('say', 'sign', 'take', 'give')),
    PRIMARY KEY (kind, verb, state_before, state_after, role, act)
) STRICT, WITHOUT ROWID;
INSERT INTO procedure_rule VALUES
    {_RULES};

CREATE TABLE dossier (
    number INTEGER PRIMARY KEY CHECK (number BETWEEN 1 AND 4294967295),
    kind TEXT NOT NULL,
    reference TEXT NOT NULL CHECK (length(reference) BETWEEN 1 AND 32),
    merchant_no INTEGER CHECK (merchant_no BETWEEN 0 AND 4294967295),
    device INTEGER REFERENCES device (device),
    UNIQUE (kind, reference),
    UNIQUE (number, kind)
) STRICT;
CREATE INDEX dossier_of_merchant ON dossier (merchant_no);

CREATE TABLE dossier_step (
    dossier INTEGER NOT NULL,
    step INTEGER NOT NULL,
    kind TEXT NOT NULL,
    verb TEXT NOT NULL,
    state_before TEXT NOT NULL,
    state_after TEXT NOT NULL,
    role TEXT NOT NULL,
    act TEXT NOT NULL,
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    evidence TEXT NOT NULL CHECK (length(evidence) BETWEEN 0 AND 32),
    said TEXT NOT NULL CHECK (length(said) BETWEEN 0 AND 200),
    given_by TEXT NOT NULL CHECK (length(given_by) BETWEEN 0 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    CHECK (act IN ('take', 'give') OR given_by = ''),
    CHECK (act <> 'give' OR given_by = person),
    PRIMARY KEY (dossier, step),
    FOREIGN KEY (dossier, kind) REFERENCES dossier (number, kind),
    FOREIGN KEY (kind, verb, state_before, state_after, role, act)
        REFERENCES procedure_rule (kind, verb, state_before, state_after, role, act)
) STRICT, WITHOUT ROWID;
CREATE INDEX dossier_step_to ON dossier_step (state_after, dossier);
-- An index, not a program, keeps signatures apart.
CREATE UNIQUE INDEX one_person_one_signature ON dossier_step (dossier, person)
WHERE act = 'sign';
CREATE TRIGGER dossier_step_follows BEFORE INSERT ON dossier_step
WHEN NEW.step <> COALESCE({_LAST.format("step", "")}, 0) + 1
    OR NEW.state_before <> COALESCE({_LAST.format("state_after", "")}, 'absent')
BEGIN SELECT RAISE(ABORT, 'one step follows the other'); END;
CREATE TRIGGER nobody_signs_what_he_said BEFORE INSERT ON dossier_step
WHEN NEW.act = 'sign' AND NEW.person = COALESCE({_LAST.format("person", "")}, '')
BEGIN SELECT RAISE(ABORT, 'a signature takes another person'); END;
CREATE TRIGGER nobody_signs_what_he_began BEFORE INSERT ON dossier_step
WHEN NEW.act = 'sign' AND NEW.kind IN ('merchant', 'device', 'relocation', 'damage')
    AND EXISTS (SELECT 1 FROM dossier_step s
        WHERE s.dossier = NEW.dossier AND s.step = 1 AND s.person = NEW.person)
BEGIN SELECT RAISE(ABORT, 'whoever has begun it signs nothing of it'); END;
CREATE TRIGGER custody_goes_from_hand_to_hand BEFORE INSERT ON dossier_step
WHEN NEW.act IN ('take', 'give') AND NEW.given_by <> COALESCE(
    {_LAST.format("person", " AND s.act IN ('take', 'give')")}, '')
BEGIN SELECT RAISE(ABORT, 'it is in other hands'); END;

CREATE TABLE dossier_record (
    dossier INTEGER NOT NULL REFERENCES dossier (number),
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (dossier, device, seq),
    FOREIGN KEY (device, seq) REFERENCES record (device, seq)
) STRICT, WITHOUT ROWID;

-- The form of annex 2, as far as the books need it: contacts stay on paper.
CREATE TABLE annex_form (
    dossier INTEGER PRIMARY KEY REFERENCES dossier (number),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    project TEXT NOT NULL CHECK (length(project) BETWEEN 1 AND 32),
    quantity INTEGER NOT NULL CHECK (quantity BETWEEN 0 AND 9999),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 0 AND 99999999999)
) STRICT;
-- What was there when the first form came; nothing is put to it later.
CREATE TABLE registered_before (
    kind TEXT NOT NULL CHECK (kind IN ('merchant', 'device')),
    number INTEGER NOT NULL,
    PRIMARY KEY (kind, number)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER register_is_open BEFORE INSERT ON registered_before
WHEN {_CLOSED}
BEGIN SELECT RAISE(ABORT, 'the register is closed'); END;
CREATE TABLE admission (
    device INTEGER PRIMARY KEY CHECK (device BETWEEN 1 AND 4294967295),
    application INTEGER NOT NULL REFERENCES annex_form (dossier),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TRIGGER admission_is_approved BEFORE INSERT ON admission
WHEN NOT {_APPROVED.format("d.number = NEW.application")}
    OR (SELECT COUNT(*) FROM admission a WHERE a.application = NEW.application)
        >= (SELECT f.quantity FROM annex_form f WHERE f.dossier = NEW.application)
BEGIN SELECT RAISE(ABORT, 'no more readers than five persons have approved'); END;
CREATE TRIGGER device_is_admitted BEFORE INSERT ON device
WHEN {_CLOSED} AND NOT EXISTS (SELECT 1 FROM admission a
    JOIN dossier d ON d.number = a.application
    WHERE a.device = NEW.device AND d.merchant_no = NEW.merchant_no)
BEGIN SELECT RAISE(ABORT, 'a reader takes the five signatures of annex 2'); END;
CREATE TRIGGER merchant_is_approved BEFORE INSERT ON merchant
WHEN {_CLOSED}
    AND NOT {_APPROVED.format("d.kind = 'merchant' AND d.merchant_no = NEW.merchant_no")}
BEGIN SELECT RAISE(ABORT, 'a merchant takes the five signatures of annex 2'); END;
-- What the register names and nobody has approved: records of it are refused with 440.
CREATE TABLE held_back (
    device INTEGER PRIMARY KEY,
    merchant_no INTEGER NOT NULL
) STRICT;

CREATE TABLE relocation (
    dossier INTEGER PRIMARY KEY REFERENCES dossier (number),
    site_before TEXT NOT NULL,
    site_after TEXT NOT NULL,
    CHECK (site_before <> site_after)
) STRICT;
CREATE TABLE dossier_cost (
    dossier INTEGER NOT NULL REFERENCES dossier (number),
    item TEXT NOT NULL CHECK (item IN ('labour', 'material', 'compensation')),
    bearer TEXT NOT NULL CHECK (bearer IN ('merchant', 'person')),
    amount_fen INTEGER NOT NULL CHECK (amount_fen BETWEEN 0 AND 99999999),
    PRIMARY KEY (dossier, item),
    CHECK (item = 'compensation' OR bearer = 'merchant')
) STRICT, WITHOUT ROWID;

-- Who looks at readers and lines, and what was found (R21): 0 in order, 1 put right, 2 told.
CREATE TABLE duty (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    site TEXT NOT NULL CHECK (length(site) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    every_days INTEGER NOT NULL CHECK (every_days BETWEEN 1 AND 366),
    day INTEGER NOT NULL CHECK (day BETWEEN 0 AND 65535),
    named_by TEXT NOT NULL CHECK (length(named_by) BETWEEN 1 AND 32),
    CHECK (named_by <> person)
) STRICT;
CREATE INDEX duty_at ON duty (department, site, number);
CREATE TABLE duty_round (
    department TEXT NOT NULL,
    site TEXT NOT NULL,
    day INTEGER NOT NULL CHECK (day BETWEEN 0 AND 65535),
    person TEXT NOT NULL,
    devices INTEGER NOT NULL CHECK (devices IN (0, 1, 2)),
    network INTEGER NOT NULL CHECK (network IN (0, 1, 2)),
    power INTEGER NOT NULL CHECK (power IN (0, 1, 2)),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (department, site, day)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER duty_is_of_who_was_named BEFORE INSERT ON duty_round
WHEN NEW.person <> COALESCE((SELECT u.person FROM duty u
    WHERE u.department = NEW.department AND u.site = NEW.site
    ORDER BY u.number DESC LIMIT 1), '')
BEGIN SELECT RAISE(ABORT, 'the person who was named makes the round'); END;
CREATE TABLE duty_ticket (
    department TEXT NOT NULL,
    site TEXT NOT NULL,
    day INTEGER NOT NULL,
    item TEXT NOT NULL CHECK (item IN ('devices', 'network', 'power')),
    dossier INTEGER NOT NULL UNIQUE REFERENCES dossier (number),
    PRIMARY KEY (department, site, day, item),
    FOREIGN KEY (department, site, day) REFERENCES duty_round (department, site, day)
) STRICT, WITHOUT ROWID;
"""
JOURNALS = (
    "procedure_rule",
    "dossier",
    "dossier_step",
    "dossier_record",
    "annex_form",
    "registered_before",
    "admission",
    "relocation",
    "dossier_cost",
    "duty",
    "duty_round",
    "duty_ticket",
)
# For LedgerStore.dump.
DUMP = {
    "dossier": "SELECT number, kind, reference, merchant_no, device FROM dossier ORDER BY number",
    "dossier_step": "SELECT dossier, step, verb, state_after, role, person, evidence, said,"
    " given_by FROM dossier_step ORDER BY dossier, step",
    "dossier_record": "SELECT dossier, device, seq FROM dossier_record"
    " ORDER BY dossier, device, seq",
    "annex_form": "SELECT dossier, name, department, project, quantity, amount_fen"
    " FROM annex_form ORDER BY dossier",
    "registered_before": "SELECT kind, number FROM registered_before ORDER BY kind, number",
    "admission": "SELECT device, application, person FROM admission ORDER BY device",
    "relocation": "SELECT dossier, site_before, site_after FROM relocation ORDER BY dossier",
    "dossier_cost": "SELECT dossier, item, bearer, amount_fen FROM dossier_cost"
    " ORDER BY dossier, item",
    "duty": "SELECT number, department, site, person, every_days FROM duty ORDER BY number",
    "duty_round": "SELECT department, site, day, person, devices, network, power FROM duty_round"
    " ORDER BY department, site, day",
    "duty_ticket": "SELECT department, site, day, item, dossier FROM duty_ticket ORDER BY dossier",
}
