"""Tables of merchants' settlement; a migration of ledger/schema.py.

A period's lines and its merchants' rows are written before the period itself, in one transaction:
from then on a trigger lets nothing more in. All of them are journals.
"""

from ledger.chart import COMMISSION, FEES

PERIODS = f"""
CREATE TABLE commission_rate (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    merchant_no INTEGER NOT NULL REFERENCES merchant (merchant_no),
    rate_bp INTEGER NOT NULL CHECK (rate_bp BETWEEN 0 AND 10000),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;

-- Somebody's word that a period may be closed though this reader, or record, is open.
CREATE TABLE open_decision (
    until_s INTEGER NOT NULL CHECK (until_s BETWEEN 1 AND 4294967295),
    device INTEGER NOT NULL REFERENCES device (device),
    seq INTEGER NOT NULL CHECK (seq >= 0),
    bar TEXT NOT NULL CHECK (length(bar) BETWEEN 1 AND 16),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 1 AND 200),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (until_s, device, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE settlement_period (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 32),
    from_s INTEGER NOT NULL CHECK (from_s >= 0),
    until_s INTEGER NOT NULL CHECK (until_s > from_s AND until_s <= closed_s),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    closed_s INTEGER NOT NULL CHECK (closed_s BETWEEN 0 AND 4294967295),
    sha256 BLOB NOT NULL UNIQUE CHECK (length(sha256) = 32),
    report TEXT NOT NULL
) STRICT;
CREATE TRIGGER settlement_period_follows BEFORE INSERT ON settlement_period
WHEN NEW.number <> (SELECT COALESCE(MAX(number), 0) + 1 FROM settlement_period)
    OR NEW.from_s <> (SELECT COALESCE(MAX(until_s), 0) FROM settlement_period)
BEGIN SELECT RAISE(ABORT, 'one period follows the other'); END;

CREATE TRIGGER open_decision_comes_before BEFORE INSERT ON open_decision
WHEN EXISTS (SELECT 1 FROM settlement_period WHERE until_s >= NEW.until_s)
BEGIN SELECT RAISE(ABORT, 'a closed period is not decided about'); END;

-- What a merchant has got by one transfer, or given back: in one period for all time. `time_s` is
-- the earliest that its record may be of. No foreign key: lines are copied from transfers, which
-- never change, and PostgreSQL would refuse to empty those in its own words instead of ours.
CREATE TABLE period_line (
    period INTEGER NOT NULL,
    merchant_no INTEGER NOT NULL,
    device INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    line INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    amount_fen INTEGER NOT NULL CHECK (amount_fen <> 0),
    time_s INTEGER NOT NULL,
    PRIMARY KEY (device, seq, line, merchant_no)
) STRICT, WITHOUT ROWID;
CREATE INDEX period_line_of ON period_line (period, merchant_no);
CREATE TRIGGER period_line_comes_before BEFORE INSERT ON period_line
WHEN EXISTS (SELECT 1 FROM settlement_period WHERE number >= NEW.period)
BEGIN SELECT RAISE(ABORT, 'a closed period takes no more'); END;

CREATE TABLE period_merchant (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    period INTEGER NOT NULL,
    merchant_no INTEGER NOT NULL REFERENCES merchant (merchant_no),
    count INTEGER NOT NULL CHECK (count >= 0),
    sales_fen INTEGER NOT NULL CHECK (sales_fen >= 0),
    cancelled_fen INTEGER NOT NULL CHECK (cancelled_fen >= 0),
    other_fen INTEGER NOT NULL,
    late_count INTEGER NOT NULL CHECK (late_count BETWEEN 0 AND count),
    late_fen INTEGER NOT NULL,
    brought_turnover_fen INTEGER NOT NULL,
    brought_fen INTEGER NOT NULL,
    rate_bp INTEGER NOT NULL CHECK (rate_bp BETWEEN 0 AND 10000),
    commission_fen INTEGER NOT NULL,
    due_fen INTEGER NOT NULL CHECK (due_fen = sales_fen - cancelled_fen + other_fen
        + brought_turnover_fen + brought_fen - commission_fen),
    UNIQUE (period, merchant_no)
) STRICT;
CREATE TRIGGER period_merchant_comes_before BEFORE INSERT ON period_merchant
WHEN EXISTS (SELECT 1 FROM settlement_period WHERE number >= NEW.period)
BEGIN SELECT RAISE(ABORT, 'a closed period takes no more'); END;

CREATE TABLE period_refusal (
    period INTEGER PRIMARY KEY REFERENCES settlement_period (number),
    step INTEGER NOT NULL CHECK (step BETWEEN 1 AND 4),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 1 AND 200),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TABLE period_approval (
    period INTEGER NOT NULL REFERENCES settlement_period (number),
    step INTEGER NOT NULL CHECK (step BETWEEN 1 AND 4),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295),
    PRIMARY KEY (period, step),
    UNIQUE (period, person)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER period_approval_follows BEFORE INSERT ON period_approval
WHEN NEW.step <> (SELECT COUNT(*) + 1 FROM period_approval WHERE period = NEW.period)
    OR EXISTS (SELECT 1 FROM period_refusal WHERE period = NEW.period)
    OR EXISTS (SELECT 1 FROM settlement_period
        WHERE number = NEW.period AND person = NEW.person)
BEGIN SELECT RAISE(ABORT, 'four approvals in their order, and none by who has closed it'); END;
CREATE TRIGGER period_refusal_comes_in_time BEFORE INSERT ON period_refusal
WHEN NEW.step <> (SELECT COUNT(*) + 1 FROM period_approval WHERE period = NEW.period)
BEGIN SELECT RAISE(ABORT, 'what was approved is not refused'); END;

CREATE TABLE merchant_account (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    merchant_no INTEGER NOT NULL REFERENCES merchant (merchant_no),
    account_no TEXT NOT NULL CHECK (length(account_no) BETWEEN 8 AND 32),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TABLE remittance_try (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    due INTEGER NOT NULL REFERENCES period_merchant (number),
    account INTEGER NOT NULL REFERENCES merchant_account (number),
    file TEXT NOT NULL CHECK (length(file) BETWEEN 1 AND 32),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX remittance_try_of ON remittance_try (due);
CREATE TABLE remittance_result (
    number INTEGER PRIMARY KEY REFERENCES remittance_try (number),
    is_paid INTEGER NOT NULL CHECK (is_paid IN (0, 1)),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 0 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TABLE remittance_return (
    number INTEGER PRIMARY KEY REFERENCES remittance_try (number),
    because TEXT NOT NULL CHECK (length(because) BETWEEN 0 AND 64),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TRIGGER remittance_return_was_paid BEFORE INSERT ON remittance_return
WHEN NOT EXISTS (SELECT 1 FROM remittance_result WHERE number = NEW.number AND is_paid = 1)
BEGIN SELECT RAISE(ABORT, 'only what was paid comes back'); END;
CREATE TRIGGER remittance_is_approved BEFORE INSERT ON remittance_try
WHEN NOT EXISTS (SELECT 1 FROM period_merchant m JOIN period_approval a ON a.period = m.period
    WHERE m.number = NEW.due AND m.due_fen > 0 AND a.step = 4)
BEGIN SELECT RAISE(ABORT, 'nothing is paid without four approvals'); END;
CREATE TRIGGER remittance_goes_one_way_at_a_time BEFORE INSERT ON remittance_try
WHEN EXISTS (SELECT 1 FROM remittance_try t LEFT JOIN remittance_result r ON r.number = t.number
    LEFT JOIN remittance_return b ON b.number = t.number
    WHERE t.due = NEW.due AND COALESCE(r.is_paid, 1) = 1 AND b.number IS NULL)
BEGIN SELECT RAISE(ABORT, 'it is with the bank, or paid'); END;

INSERT INTO account (id, kind, owner) VALUES ({COMMISSION}, {FEES}, 1);
"""
JOURNALS = (
    "commission_rate",
    "open_decision",
    "settlement_period",
    "period_line",
    "period_merchant",
    "period_refusal",
    "period_approval",
    "merchant_account",
    "remittance_try",
    "remittance_result",
    "remittance_return",
)
# For LedgerStore.dump; of an account that there is one, not which.
DUMP = {
    "commission_rate": "SELECT number, merchant_no, rate_bp FROM commission_rate ORDER BY number",
    "open_decision": "SELECT until_s, device, seq, bar, person, because FROM open_decision"
    " ORDER BY until_s, device, seq",
    "settlement_period": "SELECT number, name, from_s, until_s, person, sha256"
    " FROM settlement_period ORDER BY number",
    "period_line": "SELECT period, merchant_no, device, seq, line, kind, amount_fen, time_s"
    " FROM period_line ORDER BY device, seq, line, merchant_no",
    "period_merchant": "SELECT number, period, merchant_no, count, sales_fen, cancelled_fen,"
    " other_fen, late_count, late_fen, brought_turnover_fen, brought_fen, rate_bp,"
    " commission_fen, due_fen FROM period_merchant ORDER BY number",
    "period_refusal": "SELECT period, step, person, because FROM period_refusal ORDER BY period",
    "period_approval": "SELECT period, step, person FROM period_approval ORDER BY period, step",
    "merchant_account": "SELECT number, merchant_no FROM merchant_account ORDER BY number",
    "remittance": "SELECT t.number, t.due, t.file, r.is_paid, b.number FROM remittance_try t"
    " LEFT JOIN remittance_result r ON r.number = t.number"
    " LEFT JOIN remittance_return b ON b.number = t.number ORDER BY t.number",
}
