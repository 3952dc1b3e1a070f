"""Lists: cards issued or closed many at a time, two signatures under a dry run (R12.2, R15.4).

Rules of this file. A dry run compares each line with the books and says what would be done, and
what contradicts. Its hash is over the list as it came and over what was said of each line, so a
list that was touched, or books that say something else by now, are another one. Two persons sign
that hash. Then each line is done once and whole, whatever stops between; one that the books
contradict by then is left, and told. Amounts are not signed: students eat until the last day, and
a refund is what is there when it is due (ledger/settlements.py).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ledger import chart, declines
from ledger.card_status import CardRefused, change_state, states_of
from ledger.dialect import Dialect
from ledger.holders import Holder, begin, card_of, check_word, holder_of, open_for
from ledger.lifecycle import (
    ABSENT,
    BATCH,
    CLERK,
    HAS_A_CARD,
    MONEY_IN_THE_AIR,
    NO_CARD,
    NO_EVIDENCE,
    ONE_PERSON,
    WRONG_STATE,
    Act,
)
from ledger.payouts import enter_payee
from ledger.signatures import TYPED, are_there, basis, signed, was_proven
from protocols.rules.card_status import CARD_NO_MAX
from protocols.rules.spending import STUDENT

SIGNATURES = 2
_BEFORE_OPENING = (ABSENT, "ordered", "issued")
_MAY_GRADUATE = ("active", "lost", "expired")
_BALANCE = "SELECT balance_fen FROM account WHERE id = ?"
_LINES = "SELECT line, card_no, reason FROM batch_line WHERE sha256 = ? ORDER BY line"
_DONE = "SELECT reason FROM batch_done WHERE sha256 = ? AND line = ?"
_BEGUN = "SELECT 1 FROM batch_done WHERE sha256 = ? LIMIT 1"
_SIGNED = "SELECT step, person FROM batch_approval WHERE sha256 = ? ORDER BY step"
_SIGN = "INSERT INTO batch_approval VALUES (?, ?, ?, ?)"
# Students of these departments whose time is over with that of the list.
_LEAVING = """
SELECT g.card_no FROM holding g JOIN holder h ON h.number = g.holder
JOIN card_validity v ON v.card_no = g.card_no
WHERE g.is_current = 1 AND h.kind = ? AND h.department = ? AND v.valid_to <= ?
ORDER BY g.card_no"""
_VALID_TO = "SELECT valid_to FROM card_validity WHERE card_no = ?"


@dataclass(frozen=True, slots=True)
class IssueLine:
    """Card `card_no` is made and opened for a person, valid from day to day."""

    line: int
    card_no: int
    holder: Holder
    valid_days: tuple[int, int]

    @property
    def person_no(self) -> str:
        return self.holder.person_no


@dataclass(frozen=True, slots=True)
class GraduationLine:
    """Card `card_no` of this person is closed; what is left goes to their own account."""

    line: int
    card_no: int
    person_no: str = field(repr=False)
    account_no: str = field(repr=False)
    name: str = field(repr=False)


Line = IssueLine | GraduationLine


@dataclass(frozen=True, slots=True)
class Finding:
    """What is said of a line: `reason` 0, it would be done; else a number and why not."""

    line: int
    card_no: int
    reason: int
    text: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A dry run. `missing`: cards of who leaves too, says the register, and is not in the list.

    `amount_fen`: what is on the cards that would be closed, and waits for them, as of now.
    """

    kind: str
    sha256: bytes
    findings: tuple[Finding, ...]
    missing: tuple[int, ...]
    amount_fen: int


class Batches:
    """The lists in the books of `database`. Every method is one transaction a line, or only reads.

    `lines` are those of one file and of one kind, `file_sha256` the hash of its bytes. Raises
    CardRefused: nothing was changed, and the text says why.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def dry_run(self, kind: str, lines: Sequence[Line], file_sha256: bytes) -> Plan:
        """What would happen; nothing does."""
        people = Counter(line.person_no for line in lines)
        cards = Counter(line.card_no for line in lines)
        findings = []
        for line in lines:
            if people[line.person_no] > 1 or cards[line.card_no] > 1:
                reason, text = HAS_A_CARD, "this person or card is in the list more than once"
            else:
                reason, text = self._judge(line)
            findings.append(Finding(line.line, line.card_no, reason, text))
        said = ((f.line, f.card_no, f.reason) for f in findings)
        sha256 = _digest(kind, file_sha256, said, basis(self._database))
        amount_fen = sum(self._amount_fen(f.card_no) for f in findings if not f.reason)
        missing = () if kind == "issue" else tuple(self._missing(lines))
        return Plan(kind, sha256, tuple(findings), missing, amount_fen)

    def signatures(self, sha256: bytes) -> list[str]:
        """Who has signed the dry run with this hash, in order."""
        return [person for _step, person in self._database.rows(_SIGNED, (sha256,))]

    def sign(
        self,
        kind: str,
        lines: Sequence[Line],
        file_sha256: bytes,
        sha256: bytes,
        person: str,
        time_s: int,
    ) -> int:
        """`person` signs the dry run with this hash; how many have. Again: nothing."""
        check_word("who signs", person)
        with self._database.transaction():
            before = self.signatures(sha256)
            is_first = not before or before[0] == person
            verb = "batch.sign" if is_first else "batch.approve"
            if self._has_typed(kind, sha256, before):
                raise _refused("a typed name has signed it: see another dry run", NO_EVIDENCE)
            person = signed(self._database, verb, person, time_s, kind, sha256.hex())
            if person in before:
                return len(before)
            if declines.declined(self._database, declines.BATCH, sha256.hex()):
                raise _refused(declines.TEXTS[declines.DECLINED], declines.DECLINED)
            if len(before) >= SIGNATURES:
                raise _refused("two persons have signed it already", ONE_PERSON)
            plan = self.dry_run(kind, lines, file_sha256)
            if plan.sha256 != sha256:
                text = "the list, or what the books say of it, is not what that hash is of"
                raise _refused(f"{text}: see another dry run", NO_EVIDENCE)
            if not before:
                self._database.many(
                    "INSERT INTO card_batch VALUES (?, ?, ?)", [(sha256, kind, time_s)]
                )
                self._database.many(
                    "INSERT INTO batch_line VALUES (?, ?, ?, ?)",
                    [(sha256, f.line, f.card_no, f.reason) for f in plan.findings],
                )
            self._database.many(_SIGN, [(sha256, len(before) + 1, person, time_s)])
            return len(before) + 1

    def decline(self, sha256: bytes, because: str, person: str, time_s: int) -> None:
        """Say no to a dry run that one person has signed: nobody signs this very one any more."""
        with self._database.transaction():
            no = declines.No(person, because, time_s)
            declines.decline(self._database, declines.BATCH, sha256.hex(), no)
            if len(self.signatures(sha256)) != 1:
                raise _refused("it does not wait for a second signature", ONE_PERSON)

    def run(
        self,
        kind: str,
        lines: Sequence[Line],
        file_sha256: bytes,
        sha256: bytes,
        person: str,
        time_s: int,
    ) -> list[Finding]:
        """Do what two persons have signed, line by line; what became of each line of the list.

        Stopped anywhere, it goes on when it is called again; done, it changes nothing.
        """
        check_word("who runs it", person)
        seen = list(self._database.rows(_LINES, (sha256,)))
        # What was begun while names were typed goes on as it was signed; else those count no more.
        is_begun = bool(list(self._database.rows(_BEGUN, (sha256,))))
        rests_on = {basis(self._database), *([TYPED] if is_begun else [])}
        if not seen or sha256 not in {_digest(kind, file_sha256, seen, one) for one in rests_on}:
            raise _refused("nobody has signed a dry run of this list with this hash", NO_EVIDENCE)
        if len(self.signatures(sha256)) < SIGNATURES:
            raise _refused("one person has signed it: it takes another one", ONE_PERSON)
        with self._database.transaction():
            signed(self._database, "batch.run", person, time_s, kind, sha256.hex())
        reasons = {line: reason for line, _card_no, reason in seen}
        act = Act(CLERK, BATCH, persons=SIGNATURES, person=person)
        return [self._do(line, sha256, reasons[line.line], act, time_s) for line in lines]

    # --- how -------------------------------------------------------------------------------------

    def _has_typed(self, kind: str, sha256: bytes, before: Sequence[str]) -> bool:
        """Whether one of these signatures is that of a typed name, in books with operators."""
        words = kind, sha256.hex()
        return are_there(self._database) and any(
            not was_proven(self._database, person, verb, *words)
            for verb, person in zip(("batch.sign", "batch.approve"), before, strict=False)
        )

    def _do(self, line: Line, sha256: bytes, seen: int, act: Act, time_s: int) -> Finding:
        if seen:
            return Finding(line.line, line.card_no, seen, "contradicted when it was signed")
        with self._database.transaction():
            for (reason,) in list(self._database.rows(_DONE, (sha256, line.line))):
                text = "is done" if not reason else "was left: the books had changed"
                return Finding(line.line, line.card_no, reason, text)
            reason, text = self._judge(line)
            if not reason:
                text = "is done"
                self._carry_out(line, act, time_s)
            row = sha256, line.line, reason, time_s
            self._database.many("INSERT INTO batch_done VALUES (?, ?, ?, ?)", [row])
        return Finding(line.line, line.card_no, reason, text)

    def _carry_out(self, line: Line, act: Act, time_s: int) -> None:
        database, card_no = self._database, line.card_no
        if isinstance(line, IssueLine):
            listed = Act(act.role, act.channel, "issue-list", act.persons, act.person)
            begin(database, "issue", card_no, time_s, listed)
            open_for(database, card_no, line.holder, line.valid_days, time_s, listed)
            return
        listed = Act(act.role, act.channel, "college-list", act.persons, act.person)
        payee = line.account_no, line.name, str(act.person)
        enter_payee(database, card_no, *payee, time_s)
        change_state(database, "close", card_no, time_s, listed)

    def _judge(self, line: Line) -> tuple[int, str]:
        """(0, what is to be done) or (reason, what contradicts) of one line, from the books."""
        if not 0 <= line.card_no <= CARD_NO_MAX:
            return NO_CARD, f"is no number of a card: they are 0 to {CARD_NO_MAX}"
        state = states_of(self._database, line.card_no)[-1]
        if isinstance(line, IssueLine):
            checks = self._against_issue(line, state)
            done = "make it and open it"
        else:
            checks = self._against_closing(line, state)
            done = "close it"
        return next(((reason, text) for is_so, reason, text in checks if is_so), (0, done))

    def _against_issue(self, line: IssueLine, state: str) -> list[tuple[bool, int, str]]:
        held = card_of(self._database, line.person_no)
        return [
            (state not in _BEFORE_OPENING, WRONG_STATE, f"is {state}"),
            (held is not None, HAS_A_CARD, f"its person has card {held}"),
        ]

    def _against_closing(self, line: GraduationLine, state: str) -> list[tuple[bool, int, str]]:
        holder = holder_of(self._database, line.card_no)
        purse_fen = self._balance_fen(chart.purse(line.card_no))
        reserved_fen = self._balance_fen(chart.reserved(line.card_no))
        return [
            (state == ABSENT, NO_CARD, "is not in the books"),
            (holder is None, HAS_A_CARD, "is nobody's, say the books"),
            (
                holder is not None and holder.person_no != line.person_no,
                HAS_A_CARD,
                "is another person's, say the books",
            ),
            (
                holder is not None and holder.kind != STUDENT,
                WRONG_STATE,
                "is no student's card",
            ),
            (state not in _MAY_GRADUATE, WRONG_STATE, f"is {state}"),
            (purse_fen < 0, MONEY_IN_THE_AIR, "is overdrawn: its holder owes that"),
            (reserved_fen > 0, MONEY_IN_THE_AIR, "has a payment by code that nothing has settled"),
        ]

    def _missing(self, lines: Iterable[Line]) -> list[int]:
        """Cards that end with those of the list, of the same departments, and are not in it."""
        listed = {line.card_no for line in lines if 0 <= line.card_no <= CARD_NO_MAX}
        last: dict[str, int] = {}
        for card_no in listed:
            holder = holder_of(self._database, card_no)
            for (valid_to,) in list(self._database.rows(_VALID_TO, (card_no,))):
                if holder is not None and holder.kind == STUDENT:
                    last[holder.department] = max(last.get(holder.department, 0), valid_to)
        found = set()
        for department, valid_to in last.items():
            rows = self._database.rows(_LEAVING, (STUDENT, department, valid_to))
            found |= {card_no for (card_no,) in rows}
        return sorted(found - listed)

    def _amount_fen(self, card_no: int) -> int:
        return sum(self._balance_fen(of(card_no)) for of in (chart.purse, chart.pending))

    def _balance_fen(self, account: int) -> int:
        for (balance_fen,) in list(self._database.rows(_BALANCE, (account,))):
            return balance_fen
        return 0


def _digest(
    kind: str, file_sha256: bytes, lines: Iterable[tuple[int, int, int]], resting_on: str
) -> bytes:
    said = "".join(f"{line} {card_no} {reason}\n" for line, card_no, reason in lines)
    return hashlib.sha256(f"{kind} {file_sha256.hex()}\n{said}{resting_on}".encode()).digest()


def _refused(text: str, reason: int) -> CardRefused:
    return CardRefused(f"{text} ({reason}, R15.4)", reason)
