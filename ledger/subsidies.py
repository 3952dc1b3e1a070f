"""Subsidies: a list of cards and amounts, compared with the books, signed by two, booked once.

Rules of this file. Each line is a top-up whose order number is the list's name and the line, so
it is booked once, whatever stops between. A dry run says of each line what contradicts: a card
that is not in the books, has ended (and which card is in its place), is another person's, or
stands in the list twice. A line that the books contradict when its turn comes is left, and told.
A card that is lost or suspended gets its money: it waits for it, or goes on with its holder.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.card_status import states_of
from ledger.declines import No
from ledger.dialect import Dialect
from ledger.holders import check_word, holder_of
from ledger.lifecycle import ABSENT, DEAD, HAS_A_CARD, NO_CARD, WRONG_STATE
from ledger.money_lists import (
    BOOKED_DIFFERENTLY,
    SUBSIDY,
    TEXTS,
    TWICE,
    MoneyList,
    MoneyLists,
    Signature,
)
from ledger.reissues import Reissues
from ledger.signatures import TYPED, basis, signed
from ledger.topups import OF_LISTS, TopUpRefused, booked, pay_in

_ORDER = OF_LISTS + "{}/{}"
_NOT_YET = ("ordered", "issued")
_IS_DONE = "SELECT reason FROM subsidy_done WHERE sha256 = ? AND line = ?"
_DONE = "INSERT INTO subsidy_done VALUES (?, ?, ?, ?, ?)"
_SIGNED = """
SELECT line, card_no, amount_fen, reason FROM money_line WHERE sha256 = ? ORDER BY line"""
_BECAME = """
SELECT r.name, m.line, m.card_no, m.amount_fen, m.reason, d.reason, o.is_loaded,
    EXISTS (SELECT 1 FROM load_end e WHERE e.number = o.number)
FROM money_run r JOIN money_line m ON m.sha256 = r.sha256
LEFT JOIN subsidy_done d ON d.sha256 = m.sha256 AND d.line = m.line
LEFT JOIN load o ON o.number = d.number
WHERE r.kind = 'subsidy' AND r.name = ? ORDER BY m.line"""


@dataclass(frozen=True, slots=True)
class SubsidyLine:
    """`amount_fen` for card `card_no`, which is of `person_no`, says the list ("": nothing)."""

    line: int
    card_no: int
    person_no: str = field(repr=False)
    amount_fen: int


@dataclass(frozen=True, slots=True)
class LineFinding:
    """What is said of a line: `reason` 0, it is paid in; else a number and why not."""

    line: int
    card_no: int
    amount_fen: int
    reason: int
    text: str


@dataclass(frozen=True, slots=True)
class SubsidyPlan:
    """A dry run. `amount_fen`: the sum of what would be paid in."""

    sha256: bytes
    findings: tuple[LineFinding, ...]
    amount_fen: int


@dataclass(frozen=True, slots=True)
class Became:
    """Where the money of a list that was begun is; lines and fen of each.

    The sum of all four is that of the list as it came.
    """

    left: tuple[int, int]  # contradicted, when it was signed or when its turn came
    to_do: tuple[int, int]
    waiting: tuple[int, int]  # booked, and not on a card
    on_cards: tuple[int, int]  # or gone on to the card in its place


class Subsidies:
    """The lists in the books of `database`. Every method is one transaction a line, or only reads.

    `lines` are those of one file, `file_sha256` the hash of its bytes. Raises CardRefused: nothing
    was changed, and the text says why; and NotAllowed.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database
        self._lists = MoneyLists(database)

    def dry_run(self, name: str, lines: Sequence[SubsidyLine], file_sha256: bytes) -> SubsidyPlan:
        """What the list of this name would do; nothing does."""
        check_word("a list", name)
        cards = Counter(line.card_no for line in lines)
        findings = []
        for line in lines:
            reason, text = self._judge(name, line)
            if cards[line.card_no] > 1:
                reason, text = TWICE, TEXTS[TWICE]
            facts = line.line, line.card_no, line.amount_fen
            findings.append(LineFinding(*facts, reason, text))
        what = _list_of(name, findings, file_sha256, basis(self._database))
        return SubsidyPlan(what.sha256, tuple(findings), what.amount_fen)

    def signatures(self, sha256: bytes) -> list[str]:
        """Who has signed the dry run with this hash, in order."""
        return self._lists.signatures(sha256)

    def sign(
        self, name: str, lines: Sequence[SubsidyLine], file_sha256: bytes, by: Signature
    ) -> int:
        """Sign the dry run of that list; how many have. Again: nothing."""
        with self._database.transaction():
            plan = self.dry_run(name, lines, file_sha256)
            what = _list_of(name, plan.findings, file_sha256, basis(self._database))
            return self._lists.sign(what, by)

    def decline(self, sha256: bytes, no: No) -> None:
        """Say no to the dry run with this hash, which one person has signed."""
        with self._database.transaction():
            self._lists.decline(SUBSIDY, sha256, no)

    def run(
        self,
        name: str,
        lines: Sequence[SubsidyLine],
        file_sha256: bytes,
        sha256: bytes,
        person: str,
        time_s: int,
    ) -> list[LineFinding]:
        """Do what two persons have signed, line by line; what became of each line of the list.

        Stopped anywhere, it goes on when it is called again; done, it changes nothing.
        """
        with self._database.transaction():
            person = signed(self._database, "subsidy.run", person, time_s, name, sha256.hex())
            rows = list(self._database.rows(_SIGNED, (sha256,)))
            reasons = {line: reason for line, _card_no, _amount_fen, reason in rows}
            findings = [
                LineFinding(one.line, one.card_no, one.amount_fen, reasons.get(one.line, 0), "")
                for one in lines
            ]
            what = _list_of(name, findings, file_sha256, basis(self._database))
            before = _list_of(name, findings, file_sha256, TYPED)
            if self._lists.done(SUBSIDY, name) == before.sha256:
                what = before  # begun while names were typed: it goes on as it was signed
            self._lists.start(what, sha256, person, time_s)
        return [self._do(name, line, sha256, reasons[line.line], time_s) for line in lines]

    def became(self, name: str) -> Became | None:
        """Where the money of the list that was begun under a name is; None if none was."""
        sums: dict[str, tuple[int, int]] = {}
        rows = list(self._database.rows(_BECAME, (name,)))
        for _name, _line, _card_no, amount_fen, seen, done, is_loaded, has_ended in rows:
            if seen or done:
                place = "left"
            elif done is None:
                place = "to_do"
            else:
                place = "on_cards" if is_loaded or has_ended else "waiting"
            count, fen = sums.get(place, (0, 0))
            sums[place] = count + 1, fen + amount_fen
        if not rows:
            return None
        places = ("left", "to_do", "waiting", "on_cards")
        return Became(*(sums.get(place, (0, 0)) for place in places))

    # --- how -------------------------------------------------------------------------------------

    def _do(
        self, name: str, line: SubsidyLine, sha256: bytes, seen: int, time_s: int
    ) -> LineFinding:
        facts = line.line, line.card_no, line.amount_fen
        if seen:
            return LineFinding(*facts, seen, "contradicted when it was signed")
        with self._database.transaction():
            for (reason,) in list(self._database.rows(_IS_DONE, (sha256, line.line))):
                text = "was left: the books had changed" if reason else "is paid in"
                return LineFinding(*facts, reason, text)
            reason, text = self._judge(name, line)
            number = None if reason else self._pay_in(name, line)
            row = sha256, line.line, reason, number, time_s
            self._database.many(_DONE, [row])
        return LineFinding(*facts, reason, text if reason else "is paid in")

    def _pay_in(self, name: str, line: SubsidyLine) -> int:
        what = line.card_no, line.amount_fen, _ORDER.format(name, line.line)
        return booked(self._database, *what) or pay_in(self._database, *what)

    def _judge(self, name: str, line: SubsidyLine) -> tuple[int, str]:
        """(0, what is to be done) or (reason, what contradicts) of one line, from the books."""
        state = states_of(self._database, line.card_no)[-1]
        holder = holder_of(self._database, line.card_no)
        successor = Reissues(self._database).successor(line.card_no)
        ended = f"is {state}" if successor is None else f"was replaced by card {successor}"
        is_others = holder is not None and holder.person_no != line.person_no
        checks = [
            (state == ABSENT, NO_CARD, "is not in the books"),
            (state in _NOT_YET, WRONG_STATE, f"is {state}: nobody has it yet"),
            (state in DEAD, WRONG_STATE, ended),
            (
                bool(line.person_no) and holder is None,
                HAS_A_CARD,
                "is nobody's, say the books",
            ),
            (
                bool(line.person_no) and is_others,
                HAS_A_CARD,
                "is another person's, say the books",
            ),
            (self._is_other(name, line), BOOKED_DIFFERENTLY, TEXTS[BOOKED_DIFFERENTLY]),
        ]
        found = ((reason, text) for is_so, reason, text in checks if is_so)
        return next(found, (0, "pay it in"))

    def _is_other(self, name: str, line: SubsidyLine) -> bool:
        """Whether a line of this number and name is booked already, for another card or amount."""
        order = _ORDER.format(name, line.line)
        try:
            booked(self._database, line.card_no, line.amount_fen, order)
        except TopUpRefused:
            return True
        return False


def _list_of(
    name: str, findings: Sequence[LineFinding], file_sha256: bytes, resting_on: str
) -> MoneyList:
    """The hash is over the file as it came and over what was said of each line of it."""
    lines = tuple((one.line, one.card_no, one.amount_fen, one.reason) for one in findings)
    said = "".join(" ".join(map(str, line)) + "\n" for line in lines)
    head = f"{SUBSIDY} {name}\n{file_sha256.hex()}\n"
    sha256 = hashlib.sha256((head + said + resting_on).encode()).digest()
    return MoneyList(SUBSIDY, name, sha256, lines)
