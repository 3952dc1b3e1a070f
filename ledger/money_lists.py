"""Lists that move money: a dry run, its sum, two signatures under its hash, done once.

Rules of this file. What is signed is one list: its kind, name and lines, each with a card, an
amount and what the books say of it (0: it moves). Whoever signs states the sum, which stands on
their own paper; another sum is refused. The two signatures are two verbs of ledger/people.py. The
name is used up by the first list that is done under it. What the lists are of is said elsewhere:
ledger/subsidies.py, ledger/payouts.py. The hash has in it on what signatures rest
(ledger/signatures.py): what was signed by typed names is no list any more once the books have
operators, unless it was begun.
"""

from dataclasses import dataclass

from ledger import declines
from ledger.card_status import CardRefused
from ledger.dialect import Dialect
from ledger.holders import check_word
from ledger.lifecycle import NO_EVIDENCE, ONE_PERSON
from ledger.signatures import are_there, signed, was_proven

SUBSIDY, REFUND = "subsidy", "refund"
SIGNATURES = 2
# Why a line of a list is left, beside those of ledger/lifecycle.py.
TWICE = 480
BOOKED_DIFFERENTLY = 481
OTHER_SUM = 482
NAME_USED = 483
TEXTS = {
    TWICE: "this card stands in the list more than once",
    BOOKED_DIFFERENTLY: "a line of this list's name is booked already, with other facts",
    OTHER_SUM: "who signs has another sum on their paper than the list",
    NAME_USED: "another list was done under this name",
}
_SIGNED = "SELECT person FROM money_approval WHERE sha256 = ? ORDER BY step"
_KIND = "SELECT kind FROM money_list WHERE sha256 = ?"
_LIST = "INSERT INTO money_list VALUES (?, ?, ?, ?, ?, ?)"
_LINE = "INSERT INTO money_line VALUES (?, ?, ?, ?, ?)"
_SIGN = "INSERT INTO money_approval VALUES (?, ?, ?, ?)"
_DONE = "SELECT sha256 FROM money_run WHERE kind = ? AND name = ?"
_START = "INSERT INTO money_run VALUES (?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class MoneyList:
    """What a dry run has come to; `lines`: (line, card_no, amount_fen, reason), 0: it moves."""

    kind: str
    name: str
    sha256: bytes
    lines: tuple[tuple[int, int, int, int], ...]

    @property
    def amount_fen(self) -> int:
        """What would move."""
        return sum(amount_fen for _line, _card_no, amount_fen, reason in self.lines if not reason)


@dataclass(frozen=True, slots=True)
class Signature:
    """`person` signs the dry run with this hash, of which their paper has this sum."""

    sha256: bytes
    amount_fen: int
    person: str
    time_s: int


class MoneyLists:
    """Signatures and runs of lists; in transactions of the caller. CardRefused, NotAllowed."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def signatures(self, sha256: bytes) -> list[str]:
        """Who has signed the list with this hash, in order."""
        return [person for (person,) in self._database.rows(_SIGNED, (sha256,))]

    def sign(self, what: MoneyList, by: Signature) -> int:
        """Note a signature under `what`, as the books have it now; how many there are."""
        check_word("who signs", by.person)
        before = self.signatures(by.sha256)
        is_first = not before or before[0] == by.person
        verb = f"{what.kind}.{'sign' if is_first else 'approve'}"
        words = what.name, by.sha256.hex()
        if self._has_typed(what, by.sha256, before):
            raise _refused("a typed name has signed it: see another dry run", NO_EVIDENCE)
        person = signed(self._database, verb, by.person, by.time_s, *words)
        if person in before:
            return len(before)
        if declines.declined(self._database, what.kind, by.sha256.hex()):
            raise _refused(declines.TEXTS[declines.DECLINED], declines.DECLINED)
        if len(before) >= SIGNATURES:
            raise _refused("two persons have signed it already", ONE_PERSON)
        _check_same(what, by.sha256)
        self._check_name(what)
        if not what.amount_fen:
            raise _refused("nothing would move", NO_EVIDENCE)
        if what.amount_fen != by.amount_fen:
            raise _refused(TEXTS[OTHER_SUM], OTHER_SUM)
        if not before:
            row = what.sha256, what.kind, what.name, len(what.lines), what.amount_fen, by.time_s
            self._database.many(_LIST, [row])
            self._database.many(_LINE, [(what.sha256, *line) for line in what.lines])
        row = by.sha256, len(before) + 1, person, by.time_s
        self._database.many(_SIGN, [row])
        return len(before) + 1

    def decline(self, kind: str, sha256: bytes, no: declines.No) -> None:
        """Say no to a list that one person has signed: nobody signs this very one any more."""
        declines.decline(self._database, kind, sha256.hex(), no)
        kinds = [found for (found,) in self._database.rows(_KIND, (sha256,))]
        if len(self.signatures(sha256)) != 1 or kinds != [kind]:
            raise _refused("it does not wait for a second signature", ONE_PERSON)

    def start(self, what: MoneyList, sha256: bytes, person: str, time_s: int) -> None:
        """`person` does what two have signed; again: nothing."""
        check_word("who does it", person)
        _check_same(what, sha256)
        if self._check_name(what):
            return
        count = len(self.signatures(sha256))
        if count < SIGNATURES:
            said = ("nobody has signed it", "one person has signed it: it takes another one")
            raise _refused(said[count], ONE_PERSON)
        self._database.many(_START, [(what.kind, what.name, sha256, person, time_s)])

    def done(self, kind: str, name: str) -> bytes | None:
        """The hash of the list that was begun under a name; None if none was."""
        for (sha256,) in list(self._database.rows(_DONE, (kind, name))):
            return sha256
        return None

    def _has_typed(self, what: MoneyList, sha256: bytes, before: list[str]) -> bool:
        """Whether one of these signatures is that of a typed name, in books with operators."""
        verbs = f"{what.kind}.sign", f"{what.kind}.approve"
        words = what.name, sha256.hex()
        return are_there(self._database) and any(
            not was_proven(self._database, person, verb, *words)
            for verb, person in zip(verbs, before, strict=False)
        )

    def _check_name(self, what: MoneyList) -> bool:
        """Whether this very list was begun under its name; CardRefused if another one was."""
        sha256 = self.done(what.kind, what.name)
        if sha256 not in (None, what.sha256):
            raise _refused(f"{what.name}: {TEXTS[NAME_USED]}", NAME_USED)
        return sha256 is not None


def _check_same(what: MoneyList, sha256: bytes) -> None:
    if what.sha256 != sha256:
        text = "the list, or what the books say of it, is not what that hash is of"
        raise _refused(f"{text}: see another dry run", NO_EVIDENCE)


def _refused(text: str, reason: int) -> CardRefused:
    return CardRefused(f"{text} ({reason})", reason)
