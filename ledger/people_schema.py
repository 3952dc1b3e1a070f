"""Tables of the people who work with the books; a migration of ledger/schema.py.

An operator's password rests as argon2id says it, a session by the hash of its token; neither is
in a journal. Who may do what is proposed by one and approved by another, and stays; so does every
act, with what was shown. What is personal may be blanked once its time is over
(ledger/retention.py), so a holder who is gone has only a number.
"""

PEOPLE = """
CREATE TABLE operator (
    login TEXT PRIMARY KEY CHECK (length(login) BETWEEN 1 AND 32),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    roles TEXT NOT NULL CHECK (length(roles) BETWEEN 1 AND 128),
    is_active INTEGER NOT NULL CHECK (is_active IN (0, 1)),
    password_hash TEXT NOT NULL CHECK (length(password_hash) BETWEEN 1 AND 160),
    initial_until_s INTEGER NOT NULL CHECK (initial_until_s >= 0),
    failed INTEGER NOT NULL CHECK (failed >= 0),
    locked_until_s INTEGER NOT NULL CHECK (locked_until_s >= 0)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER operator_stays BEFORE DELETE ON operator
BEGIN SELECT RAISE(ABORT, 'who worked here stays'); END;

CREATE TABLE operator_proposal (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    verb TEXT NOT NULL CHECK (verb IN ('enrol', 'change', 'reset')),
    login TEXT NOT NULL CHECK (length(login) BETWEEN 1 AND 32),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    roles TEXT NOT NULL CHECK (length(roles) BETWEEN 1 AND 128),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TABLE operator_change (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    verb TEXT NOT NULL CHECK (verb IN ('found', 'enrol', 'change', 'reset', 'disable', 'unlock')),
    login TEXT NOT NULL CHECK (length(login) BETWEEN 1 AND 32),
    department TEXT NOT NULL CHECK (length(department) BETWEEN 1 AND 32),
    roles TEXT NOT NULL CHECK (length(roles) BETWEEN 1 AND 128),
    proposal INTEGER UNIQUE REFERENCES operator_proposal (number),
    person TEXT NOT NULL CHECK (length(person) BETWEEN 1 AND 32),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE TRIGGER operator_change_takes_two BEFORE INSERT ON operator_change
WHEN NEW.verb IN ('enrol', 'change', 'reset') AND NOT EXISTS (SELECT 1 FROM operator_proposal p
    WHERE p.number = NEW.proposal AND p.verb = NEW.verb AND p.login = NEW.login
    AND p.department = NEW.department AND p.roles = NEW.roles AND p.person <> NEW.person)
BEGIN SELECT RAISE(ABORT, 'another person approves, and this very proposal'); END;
CREATE TRIGGER operators_are_founded_once BEFORE INSERT ON operator_change
WHEN NEW.verb = 'found' AND NEW.number > 2 OR NEW.verb <> 'found' AND NEW.number <= 2
BEGIN SELECT RAISE(ABORT, 'the first two let the others in'); END;

CREATE TABLE operator_session (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    login TEXT NOT NULL REFERENCES operator (login),
    begun_s INTEGER NOT NULL CHECK (begun_s BETWEEN 0 AND 4294967295),
    seen_s INTEGER NOT NULL CHECK (seen_s BETWEEN 0 AND 4294967295),
    is_ended INTEGER NOT NULL CHECK (is_ended IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX operator_session_of ON operator_session (login);
CREATE TRIGGER operator_session_ends_once BEFORE UPDATE ON operator_session
WHEN NEW.is_ended < OLD.is_ended OR NEW.login <> OLD.login OR NEW.begun_s <> OLD.begun_s
BEGIN SELECT RAISE(ABORT, 'a session that has ended is over'); END;

-- Every act of an operator. reason 0: it was done, in the transaction that did it.
CREATE TABLE operator_act (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    login TEXT NOT NULL REFERENCES operator (login),
    verb TEXT NOT NULL CHECK (length(verb) BETWEEN 1 AND 32),
    subject TEXT NOT NULL CHECK (length(subject) <= 64),
    evidence TEXT NOT NULL CHECK (length(evidence) <= 64),
    reason INTEGER NOT NULL CHECK (reason = 0 OR reason BETWEEN 750 AND 769),
    time_s INTEGER NOT NULL CHECK (time_s BETWEEN 0 AND 4294967295)
) STRICT;
CREATE INDEX operator_act_of ON operator_act (login, number);

DROP TRIGGER holder_is_who_it_was;
CREATE TRIGGER holder_is_who_it_was BEFORE UPDATE ON holder
WHEN NEW.number <> OLD.number OR (NEW.person_no <> OLD.person_no
    AND (NEW.person_no <> '~' || OLD.number OR EXISTS (
        SELECT 1 FROM holding WHERE holder = OLD.number AND is_current = 1)))
BEGIN SELECT RAISE(ABORT, 'a holder is who it was'); END;
"""
PEOPLE_JOURNALS = ("operator_proposal", "operator_change", "operator_act")
# For LedgerStore.dump; no password and no session.
PEOPLE_DUMP = {
    "operator": "SELECT login, department, roles, is_active FROM operator ORDER BY login",
    "operator_act": "SELECT number, login, verb, subject, evidence, reason FROM operator_act"
    " ORDER BY number",
}
