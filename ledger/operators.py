"""Operators in the books: who they are, how they log in, and that two administrators let them in.

Rules of this file. The first two are made together, once; from then on who gets a role, or a first
password, is proposed by one administrator and approved by another. What gives nobody anything (to
let in no more, to end a lock-out) one does alone. A try at a password is counted before it is
looked at: neither a cut nor many at once give one for nothing. Whose word counts for what is asked
in ledger/signatures.py.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from ledger import declines, passwords, people
from ledger.dialect import Dialect, Row
from ledger.signatures import (
    NotAllowed,
    Proven,
    are_there,
    hash_of,
    session_of,
    signed,
    write_act,
)
from ledger.tampers import is_person

TRIES, LOCK_S = 5, 900
INITIAL_S = 3 * 86_400
SEEN_S = 60
_TOKEN_BYTES = 32
_TOKEN_MARK = "op_"
FOUND, ENROL, CHANGE, RESET, DISABLE = "found", "enrol", "change", "reset", "disable"
_LOG_IN = "session.begin"
_PROPOSING, _DISABLING = "operator.propose", "operator.disable"
_FACTS = "login, department, roles, is_active, initial_until_s, failed, locked_until_s"
_ALL = f"SELECT {_FACTS} FROM operator ORDER BY login"
_OF = f"SELECT {_FACTS}, password_hash FROM operator WHERE login = ?"
_INSERT = "INSERT INTO operator VALUES (?, ?, ?, 1, ?, ?, 0, 0)"
_GIVE = """
UPDATE operator SET department = ?, roles = ?, failed = 0, locked_until_s = 0 WHERE login = ?"""
_GIVEN = """
SELECT department, roles FROM operator_change
WHERE login = ? AND verb IN ('found', 'enrol', 'change') ORDER BY number DESC LIMIT 1"""
_LET_IN = "UPDATE operator SET is_active = 1 WHERE login = ?"
_INITIAL = "UPDATE operator SET password_hash = ?, initial_until_s = ? WHERE login = ?"
_TRY = "UPDATE operator SET failed = ?, locked_until_s = ? WHERE login = ?"
_DISABLE = "UPDATE operator SET is_active = 0 WHERE login = ?"
_BEGIN = "INSERT INTO operator_session VALUES (?, ?, ?, ?, 0)"
_END = "UPDATE operator_session SET is_ended = 1 WHERE token_hash = ? AND is_ended = 0"
_WAS_SEEN = """
SELECT 1 FROM operator_session WHERE token_hash = ? AND is_ended = 0 AND seen_s <= ?"""
_SEEN = """
UPDATE operator_session SET seen_s = ? WHERE token_hash = ? AND is_ended = 0 AND seen_s <= ?"""
_END_ALL = "UPDATE operator_session SET is_ended = 1 WHERE login = ? AND is_ended = 0"
_END_EVERY = "UPDATE operator_session SET is_ended = 1 WHERE is_ended = ?"
_NEXT = "SELECT COALESCE(MAX(number), 0) + 1 FROM {}"
_PROPOSAL = "SELECT number, verb, login, department, roles, person, time_s FROM operator_proposal"
# One without its act was not said by an operator; whoever is disabled takes what was proposed of
# them, and by them, along. What came first the acts say, for no clock does.
_OPEN = f"""
{_PROPOSAL} p WHERE number = (SELECT MAX(number) FROM operator_proposal WHERE login = p.login)
AND NOT EXISTS (SELECT 1 FROM operator_change c WHERE c.proposal = p.number)
AND (SELECT MAX(a.number) FROM operator_act a WHERE a.login = p.person AND a.reason = 0
    AND a.verb = '{_PROPOSING}' AND a.subject = p.verb || ' ' || p.login)
    > (SELECT COALESCE(MAX(a.number), 0) FROM operator_act a WHERE a.reason = 0
    AND a.verb = '{_DISABLING}' AND a.subject IN (p.login, p.person))"""
_PROPOSE = "INSERT INTO operator_proposal VALUES (?, ?, ?, ?, ?, ?, ?)"
_CHANGED = """
INSERT INTO operator_change (number, verb, login, department, roles, person, time_s)
VALUES (?, ?, ?, ?, ?, ?, ?)"""
_APPROVED = """
INSERT INTO operator_change (number, verb, login, department, roles, proposal, person, time_s)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""


@dataclass(frozen=True, slots=True)
class Operator:
    """What is known of one; `initial_until_s` 0: with a password of their own."""

    login: str
    department: str
    roles: tuple[str, ...]
    is_active: bool
    initial_until_s: int
    failed: int
    locked_until_s: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """`verb`: ENROL somebody new, CHANGE department and roles, RESET the password."""

    verb: str
    login: str
    department: str = ""
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposed:
    """What waits for another administrator."""

    number: int
    verb: str
    login: str
    department: str
    roles: tuple[str, ...]
    person: str
    time_s: int


class Operators:
    """The operators in the books. Every method is one transaction, or only reads.

    Raises NotAllowed: nothing was changed but what a wrong password counts.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    # --- who there is ----------------------------------------------------------------------------

    def all(self) -> list[Operator]:
        """Everybody, by login."""
        return [_operator(row) for row in self._database.rows(_ALL)]

    def proposals(self) -> list[Proposed]:
        """What waits for another administrator, in order; whoever has proposed it still is one."""
        found = map(_proposed, list(self._database.rows(f"{_OPEN} ORDER BY number")))
        declined = declines.all_declined(self._database, declines.OPERATOR)
        found = [one for one in found if _about(one.number) not in declined]
        return [one for one in found if people.may(self.roles_of(one.person), _PROPOSING)]

    def found(self, logins: tuple[str, str], time_s: int) -> list[str]:
        """The first two administrators; the first password of each. Once for all time."""
        if logins[0] == logins[1] or not all(map(is_person, logins)):
            raise NotAllowed(people.SAME_PERSON, "operator.found")
        made = [passwords.initial() for _login in logins]
        hashes = [passwords.hashed(password) for password in made]
        with self._database.transaction():
            if are_there(self._database):
                raise NotAllowed(people.FOUNDED, "operator.found")
            until_s = time_s + INITIAL_S
            for number, (login, kept) in enumerate(zip(logins, hashes, strict=True), 1):
                facts = login, people.INFORMATION, people.ADMINISTRATOR
                self._database.many(_INSERT, [(*facts, kept, until_s)])
                row = number, FOUND, *facts, logins[2 - number], time_s
                self._database.many(_CHANGED, [row])
        return made

    # --- two administrators ----------------------------------------------------------------------

    def propose(self, wanted: Wanted, person: str, time_s: int) -> int:
        """Its number; it waits for another administrator, and the newest for a login counts."""
        if not is_person(wanted.login):
            raise NotAllowed(people.NO_OPERATOR, _PROPOSING)
        with self._database.transaction():
            subject = f"{wanted.verb} {wanted.login}"
            person = self._signed(_PROPOSING, person, time_s, subject)
            known = self._find(wanted.login)
            if (known is None) != (wanted.verb == ENROL):
                raise NotAllowed(people.NO_OPERATOR, _PROPOSING, person, subject)
            if wanted.verb == CHANGE and known is not None and not known.is_active:
                raise NotAllowed(people.DISABLED, _PROPOSING, person, subject)
            if self._is_of_last_two(wanted.verb, wanted.login, wanted.roles):
                raise NotAllowed(people.LAST_TWO, _PROPOSING, person, subject)
            department, roles = wanted.department, wanted.roles
            if wanted.verb == RESET and known is not None:
                department, roles = known.department, known.roles
            # A reset gives no roles: what was given stays, also where it came apart since.
            is_given = wanted.verb == RESET and self._given(wanted.login) == (department, roles)
            if not is_given and people.check_roles(department, roles):
                raise NotAllowed(people.ROLES_APART, _PROPOSING, person, subject)
            number = self._next("operator_proposal")
            what = wanted.verb, wanted.login, department, " ".join(roles)
            self._database.many(_PROPOSE, [(number, *what, person, time_s)])
        return number

    def approve(self, number: int, person: str, time_s: int) -> str:
        """Do what another administrator has proposed; the first password, or "" for CHANGE.

        It is told once: was it lost, a RESET makes another.
        """
        password = passwords.initial()
        kept = passwords.hashed(password)
        verb = "operator.approve"
        with self._database.transaction():
            subject = _about(number)
            person = self._signed(verb, person, time_s, subject)
            found = {one.number: one for one in self.proposals()}.get(number)
            if found is None:
                raise NotAllowed(people.NO_PROPOSAL, verb, person, subject)
            # Neither who has proposed it, nor whom it is about.
            if person in (found.person, found.login):
                raise NotAllowed(people.SAME_PERSON, verb, person, subject)
            # It may have waited since before these roles came apart.
            if found.verb != RESET and people.check_roles(found.department, found.roles):
                raise NotAllowed(people.ROLES_APART, verb, person, subject)
            if self._is_of_last_two(found.verb, found.login, found.roles):
                raise NotAllowed(people.LAST_TWO, verb, person, subject)
            facts = found.department, " ".join(found.roles)
            until_s = time_s + INITIAL_S
            if found.verb == ENROL:
                self._database.many(_INSERT, [(found.login, *facts, kept, until_s)])
            else:
                self._database.update(_GIVE, [(*facts, found.login)])
            if found.verb == RESET:
                self._database.update(_INITIAL, [(kept, until_s, found.login)])
                self._database.update(_LET_IN, [(found.login,)])
            self._database.many(_END_ALL, [(found.login,)])
            row = self._next("operator_change"), found.verb, found.login, *facts, number
            self._database.many(_APPROVED, [(*row, person, time_s)])
        return "" if found.verb == CHANGE else password

    def decline(self, number: int, because: str, person: str, time_s: int) -> None:
        """Say no to a proposal, which counts no more; whoever has made it may as well."""
        with self._database.transaction():
            no = declines.No(person, because, time_s)
            waits = number in {one.number for one in self.proposals()}
            login = declines.decline(self._database, declines.OPERATOR, _about(number), no)
            if not waits:
                raise NotAllowed(people.NO_PROPOSAL, "operator.decline", login, _about(number))

    def disable(self, login: str, person: str, time_s: int) -> None:
        """Let somebody in no more, from now on; a RESET that two say later lets them in.

        LAST_TWO: nobody could let anybody in any more, for that takes two.
        """
        self._alone(DISABLE, login, person, time_s)

    def unlock(self, login: str, person: str, time_s: int) -> None:
        """End a lock-out."""
        self._alone("unlock", login, person, time_s)

    def _alone(self, what: str, login: str, person: str, time_s: int) -> None:
        """What one administrator may do: it gives nobody anything."""
        verb = f"operator.{what}"
        with self._database.transaction():
            person = self._signed(verb, person, time_s, login)
            known = self._find(login)
            if known is None:
                raise NotAllowed(people.NO_OPERATOR, verb, person, login)
            if self._is_of_last_two(what, login):
                raise NotAllowed(people.LAST_TWO, verb, person, login)
            if what == DISABLE:
                self._database.update(_DISABLE, [(login,)])
                self._database.many(_END_ALL, [(login,)])
            else:
                self._database.update(_TRY, [(0, 0, login)])
            row = what, login, known.department, " ".join(known.roles), person, time_s
            self._database.many(_CHANGED, [(self._next("operator_change"), *row)])

    def _is_of_last_two(self, verb: str, login: str, roles: tuple[str, ...] = ()) -> bool:
        """Whether `verb` takes somebody from those who can let people in, and leaves too few.

        Who has not chosen a password is none of those that are left: it may be lost, or be over.
        """
        if verb not in (CHANGE, DISABLE) or people.ADMINISTRATOR in roles:
            return False
        found = [one for one in self.all() if one.is_active and people.ADMINISTRATOR in one.roles]
        left = [one for one in found if one.login != login and not one.initial_until_s]
        is_one = login in [one.login for one in found]
        return is_one and len(left) < people.ADMINISTRATORS_LEAST

    def _signed(self, verb: str, person: str, time_s: int, subject: str) -> str:
        """Who it is. Where nobody was founded no typed name lets anybody in, or keeps them out."""
        if not are_there(self._database):
            raise NotAllowed(people.NOT_FOUNDED, verb)
        return signed(self._database, verb, person, time_s, subject)

    # --- passwords and sessions ------------------------------------------------------------------

    def set_password(self, login: str, password: str, new: str, time_s: int) -> None:
        """Another password, by the one before or the first one; it ends all sessions."""
        if not passwords.is_good(new, login) or new == password:
            raise NotAllowed(people.WEAK_PASSWORD)
        kept = self._tried(login, password, time_s)
        changed = passwords.hashed(new)
        with self._database.transaction():
            self._check_unchanged(login, kept)
            self._database.update(_INITIAL, [(changed, 0, login)])
            self._database.update(_TRY, [(0, 0, login)])
            self._database.many(_END_ALL, [(login,)])

    def log_in(self, login: str, password: str, time_s: int) -> str:
        """The token of a new session: for its owner, and nowhere else to be found."""
        kept = self._tried(login, password, time_s)
        token = _TOKEN_MARK + secrets.token_urlsafe(_TOKEN_BYTES)
        with self._database.transaction():
            if self._check_unchanged(login, kept).initial_until_s:
                raise NotAllowed(people.INITIAL_PASSWORD)
            self._database.update(_TRY, [(0, 0, login)])
            self._database.many(_BEGIN, [(hash_of(token), login, time_s, time_s)])
            write_act(self._database, login, _LOG_IN, "", "", 0, time_s)
        return token

    def log_out(self, token: str) -> None:
        """The session is over. Again, or of a token that nobody has: nothing."""
        self._end(hash_of(token))

    def seen(self, person: Proven, time_s: int) -> None:
        """Whoever has logged in is there: a session ends when nobody was for IDLE_S.

        Written once a minute at most, so that looking at pages takes no turn to write.
        """
        since_s = time_s - SEEN_S
        if not list(self._database.rows(_WAS_SEEN, (person.token_hash, since_s))):
            return
        with self._database.transaction():
            self._database.many(_SEEN, [(time_s, person.token_hash, since_s)])

    def end(self, person: str) -> None:
        """The session of a proven name is over."""
        if isinstance(person, Proven):
            self._end(person.token_hash)

    def end_all(self) -> None:
        """Nobody is logged in any more."""
        with self._database.transaction():
            self._database.many(_END_EVERY, [(0,)])

    def disable_again(self, lost: Iterable[Row], time_s: int) -> tuple[list[str], list[str]]:
        """Disable whoever was disabled in books that are lost (rows of operator_change), and not
        let in again. The passwords of these books are older than that.

        (logins, those that are left: one of the last two here who can let people in).
        """
        newest: dict[str, Row] = {}
        number = 0
        for row in sorted(lost):
            number, verb, login = row[:3]
            if verb not in (CHANGE, "unlock"):
                newest[login] = row
        done: list[str] = []
        left: list[str] = []
        with self._database.transaction():
            number = max(number, self._next("operator_change") - 1)
            for login, (_number, verb, *_facts, person, _time_s) in sorted(newest.items()):
                known = self._find(login)
                if verb != DISABLE or known is None or not known.is_active:
                    continue
                if self._is_of_last_two(DISABLE, login):
                    left.append(login)
                    continue
                done.append(login)
                what = login, known.department, " ".join(known.roles), person, time_s
                self._database.update(_DISABLE, [(login,)])
                self._database.many(_END_ALL, [(login,)])
                self._database.many(_CHANGED, [(number + len(done), DISABLE, *what)])
                # Behind which nothing counts that was proposed before. It is somebody's of these
                # books: who was let in since is in none, and then it stands at who it is about.
                who = person if self._find(person) is not None else login
                write_act(self._database, who, _DISABLING, login, "", 0, time_s)
        return done, left

    def _end(self, token_hash: bytes) -> None:
        with self._database.transaction():
            self._database.many(_END, [(token_hash,)])

    def prove(self, token: str, time_s: int) -> Proven:
        """Who has logged in with this token; it is looked at again whenever it signs."""
        token_hash = hash_of(token)
        login, _department, _roles = session_of(self._database, token_hash, time_s)
        return Proven(login, token_hash)

    def roles_of(self, person: str) -> tuple[str, ...]:
        """As they are now; () for nobody."""
        known = self._find(person)
        return () if known is None or not known.is_active else known.roles

    def _tried(self, login: str, password: str, time_s: int) -> str:
        """The hash that `password` fits. The try is counted first; WRONG_LOGIN says no more."""
        with self._database.transaction():
            known, kept = self._find(login), self._kept(login)
            is_open = known is not None and known.is_active and known.locked_until_s <= time_s
            if known is not None and is_open:
                failed = known.failed + 1
                locked_until_s = time_s + LOCK_S if failed >= TRIES else 0
                self._database.update(_TRY, [(failed, locked_until_s, login)])
        is_right = passwords.fits(kept if is_open else passwords.NOBODY, password)
        if not is_right or known is None or not is_open:
            if known is not None and is_open and known.failed + 1 >= TRIES:
                self._note_locked(login, time_s)
            raise NotAllowed(people.WRONG_LOGIN)
        if 0 < known.initial_until_s <= time_s:
            raise NotAllowed(people.INITIAL_PASSWORD)
        return kept

    def _note_locked(self, login: str, time_s: int) -> None:
        with self._database.transaction():
            write_act(self._database, login, _LOG_IN, "", "", people.LOCKED, time_s)

    def _check_unchanged(self, login: str, kept: str) -> Operator:
        """The operator, whose password is still that: it was looked at outside of a transaction.

        A right password was counted as a try as well: the fifth in a row locks nobody out.
        """
        known = self._find(login)
        if known is None or not known.is_active or self._kept(login) != kept:
            raise NotAllowed(people.WRONG_LOGIN)
        return known

    def _find(self, login: str) -> Operator | None:
        for *facts, _kept in list(self._database.rows(_OF, (login,))):
            return _operator(tuple(facts))
        return None

    def _given(self, login: str) -> tuple[str, tuple[str, ...]]:
        """(department, roles) that two administrators have said last."""
        for department, roles in list(self._database.rows(_GIVEN, (login,))):
            return department, tuple(roles.split())
        return "", ()

    def _kept(self, login: str) -> str:
        for row in list(self._database.rows(_OF, (login,))):
            return row[-1]
        return passwords.NOBODY

    def _next(self, table: str) -> int:
        ((number,),) = self._database.rows(_NEXT.format(table))
        return number


def is_token(text: str) -> bool:
    """Whether it may be that of a session, and not one of a subsystem (ledger/api/clients.py)."""
    return text.startswith(_TOKEN_MARK)


def _about(number: int) -> str:
    """A proposal, as acts name it."""
    return f"proposal {number}"


def _operator(row: Row) -> Operator:
    login, department, roles, is_active, *rest = row
    return Operator(login, department, tuple(roles.split()), bool(is_active), *rest)


def _proposed(row: Row) -> Proposed:
    number, verb, login, department, roles, *said = row
    return Proposed(number, verb, login, department, tuple(roles.split()), *said)
