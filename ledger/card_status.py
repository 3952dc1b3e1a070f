"""Which cards are lost, suspended or closed, and since when: every change, in its order, for good.

Rules of this file. A change has a number, the epoch, without gaps; none is ever taken back, what
comes later counts. A loss is reported by anybody at any time (R14.2a); only evidence shown in
person undoes it (R14.3), or a suspension (R15.2). A verb that has nothing left to do does nothing:
of two reports of one loss the first has the time that counts (R14.2b).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.dialect import Dialect
from protocols.rules.card_status import (
    ACTIVE,
    CARD_NO_MAX,
    CLOSED,
    LOST,
    SUSPENDED,
    change,
)

EVIDENCE_CHARS_MAX = 32
NAMES = {ACTIVE: "active", LOST: "lost", SUSPENDED: "suspended", CLOSED: "closed"}
CAPTURED = "capture"  # the cause of what a merchant has withheld (R19.4)
REISSUED = "reissue"  # and of what another card has taken the place of (R14.4a)
_BEFORE = -1  # what it was before it was lost


@dataclass(frozen=True, slots=True)
class Verb:
    """From one of `before` to `after`; `in_person`: the evidence that was shown has a name."""

    before: tuple[int, ...]
    after: int
    in_person: bool = False


VERBS = {
    "lose": Verb((ACTIVE, SUSPENDED), LOST),
    "unlose": Verb((LOST,), _BEFORE, in_person=True),
    "suspend": Verb((ACTIVE,), SUSPENDED),
    "resume": Verb((SUSPENDED,), ACTIVE, in_person=True),
    "close": Verb((ACTIVE, LOST, SUSPENDED), CLOSED),
}
_CHANGES = "SELECT status, time_s FROM card_change WHERE card_no = ? ORDER BY epoch"
_EPOCH = "SELECT COALESCE(MAX(epoch), 0) FROM card_change"
_INSERT = "INSERT INTO card_change VALUES (?, ?, ?, ?, ?, ?)"
_AFTER = "SELECT card_no, status FROM card_change WHERE epoch > ? ORDER BY epoch LIMIT ?"
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
_OF_CARDS = """
WITH k (number) AS (VALUES {keys})
SELECT card_no, status, time_s FROM k CROSS JOIN card_change WHERE card_no = number
ORDER BY card_no, epoch"""


class CardRefused(Exception):
    """A change of status that cannot be; nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class Loss:
    """From the report on, until it was undone (None: it was not); seconds since 1970."""

    from_s: int
    until_s: int | None = None

    def may_cover(self, earliest_s: int, latest_s: int) -> bool:
        """Whether something between these two may have happened while the card was lost."""
        return latest_s >= self.from_s and (self.until_s is None or earliest_s < self.until_s)


@dataclass(frozen=True, slots=True)
class Capture:
    """A merchant has withheld a card: what the reader's record says of it."""

    device: int
    seq: int
    card_no: int
    earliest_s: int
    latest_s: int


class Cards:
    """The status of each card in the books. Every method is one transaction, or only reads."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def epoch(self) -> int:
        """How many changes there were."""
        ((epoch,),) = self._database.rows(_EPOCH)
        return epoch

    def status(self, card_no: int) -> int:
        """ACTIVE, LOST, SUSPENDED or CLOSED; ACTIVE too of a card that was never issued."""
        return _statuses(self._database, card_no)[-1][0]

    def closed(self) -> set[int]:
        """Every card that is not active."""
        sql = (
            "SELECT card_no FROM card_change c WHERE status <> ? AND epoch ="
            " (SELECT MAX(epoch) FROM card_change WHERE card_no = c.card_no)"
        )
        return {card_no for (card_no,) in self._database.rows(sql, (ACTIVE,))}

    def history(self, card_no: int) -> list[tuple[int, int, int, str, str]]:
        """(epoch, status, time_s, cause, evidence) of each change of a card, in order."""
        sql = (
            "SELECT epoch, status, time_s, cause, evidence FROM card_change"
            " WHERE card_no = ? ORDER BY epoch"
        )
        return list(self._database.rows(sql, (card_no,)))

    def changes_after(self, epoch: int, count: int) -> bytes:
        """Up to `count` changes behind an epoch, as they go over the wire."""
        rows = self._database.rows(_AFTER, (epoch, count))
        return b"".join(change(card_no, status) for card_no, status in rows)

    def set(self, verb: str, card_no: int, time_s: int, evidence: str = "") -> int:
        """Do one of VERBS to a card at `time_s`; its new status. Raises CardRefused.

        `evidence`: one word for what was shown ("id-card"), never a number that stands on it.
        """
        check_evidence(verb, evidence, in_person=VERBS[verb].in_person)
        with self._database.transaction():
            return change_status(self._database, verb, card_no, time_s, evidence)


def change_status(database: Dialect, verb: str, card_no: int, time_s: int, evidence: str) -> int:
    """As Cards.set, in a transaction of the caller, who has checked the evidence."""
    what = VERBS[verb]
    if not list(database.rows(_IS_ISSUED, (card_no,))):
        raise CardRefused(f"card {card_no} was never issued")
    if card_no > CARD_NO_MAX:
        raise CardRefused(f"card {card_no}: the map ends at {CARD_NO_MAX}")
    statuses = [status for status, _time_s in _statuses(database, card_no)]
    if statuses[-1] == what.after:
        return what.after
    if statuses[-1] not in what.before:
        raise CardRefused(f"card {card_no} is {NAMES[statuses[-1]]}: cannot {verb} it")
    after = statuses[-2] if what.after == _BEFORE else what.after
    _add(database, card_no, after, verb, time_s, evidence)
    return after


def standing(database: Dialect, card_no: int) -> tuple[int, int]:
    """(status, since when) of a card; ACTIVE since 0 if nothing was ever said of it."""
    return _statuses(database, card_no)[-1]


def check_evidence(verb: str, evidence: str, *, in_person: bool) -> None:
    """CardRefused if something has to be shown and was not, or if `evidence` is not a word."""
    if in_person and not evidence:
        raise CardRefused(f"to {verb} a card takes evidence, shown in person")
    if len(evidence) > EVIDENCE_CHARS_MAX or not _is_word(evidence):
        text = f"evidence is one word of a-z and -, at most {EVIDENCE_CHARS_MAX} characters"
        raise CardRefused(text)


def close_replaced(database: Dialect, card_no: int, time_s: int, evidence: str) -> None:
    """Close a lost card for good, in the transaction that gives its place to another."""
    _add(database, card_no, CLOSED, REISSUED, time_s, evidence)


def suspend_captured(database: Dialect, captures: Iterable[Capture]) -> None:
    """Suspend cards that merchants have withheld, in the transaction that books their records.

    Not one that is lost, suspended or closed already, and not one that the card centre has dealt
    with since: its word is the younger one. Of a card that was never issued there is a case only.
    """
    for capture in captures:
        card_no = capture.card_no
        status, time_s = _statuses(database, card_no)[-1]
        is_ours = card_no <= CARD_NO_MAX and list(database.rows(_IS_ISSUED, (card_no,)))
        if status == ACTIVE and is_ours and capture.latest_s >= time_s:
            evidence = f"record {capture.device}/{capture.seq}"
            _add(database, card_no, SUSPENDED, CAPTURED, capture.earliest_s, evidence)


def losses_of(database: Dialect, card_nos: Iterable[int]) -> dict[int, list[Loss]]:
    """When each of these cards was lost; cards that never were are left out."""
    losses: dict[int, list[Loss]] = {}
    since: dict[int, int] = {}
    keys = ((card_no,) for card_no in set(card_nos))
    for card_no, status, time_s in database.rows_of(_OF_CARDS, keys):
        if status == LOST:
            since.setdefault(card_no, time_s)
        elif status != CLOSED and card_no in since:
            losses.setdefault(card_no, []).append(Loss(since.pop(card_no), time_s))
    for card_no, from_s in since.items():
        losses.setdefault(card_no, []).append(Loss(from_s))
    return losses


def _statuses(database: Dialect, card_no: int) -> list[tuple[int, int]]:
    """(status, time_s) of a card so far, in order; it begins as an active one."""
    return [(ACTIVE, 0), *((row[0], row[1]) for row in database.rows(_CHANGES, (card_no,)))]


def _add(
    database: Dialect, card_no: int, status: int, cause: str, time_s: int, evidence: str
) -> None:
    ((epoch,),) = database.rows(_EPOCH)
    database.many(_INSERT, [(epoch + 1, card_no, status, time_s, cause, evidence)])


def _is_word(evidence: str) -> bool:
    return all(char == "-" or "a" <= char <= "z" for char in evidence)
