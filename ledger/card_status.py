"""Which cards are lost, suspended or closed, and since when: every change, in its order, for good.

Rules of this file. A change has a number, the epoch, without gaps; none is ever taken back, what
comes later counts. What may follow on what, and who may say so, is in ledger/lifecycle.py: here it
is written down. A verb that has nothing left to do does nothing: of two reports of one loss the
first has the time that counts (R14.2b).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ledger import late
from ledger.dialect import Dialect
from ledger.lifecycle import (
    ABSENT,
    AND,
    BATCH,
    CENTRE,
    COUNTER,
    DEAD,
    MAP_STATUS,
    NO_EVIDENCE,
    READER,
    RECORD,
    RULES,
    SAME,
    WRONG_STATE,
    Act,
    Answer,
    answer,
    states_after,
)
from ledger.people import ENTERED_BY
from ledger.signatures import Proven, signed
from protocols.rules.card_status import (
    ACTIVE,
    CARD_NO_MAX,
    CLOSED,
    LOST,
    SUSPENDED,
    change,
)

EVIDENCE_CHARS_MAX = 64
NAMES = {ACTIVE: "active", LOST: "lost", SUSPENDED: "suspended", CLOSED: "closed"}
CAPTURED = "capture"  # the cause of what a merchant has withheld (R19.4)
# What is said of one card and needs no other card, holder or day.
VERBS = ("lose", "unlose", "suspend", "resume", "freeze", "unfreeze", "terminate", "close")
_ENDINGS = ("terminate", "close")  # and none in its place
_CHANGES = "SELECT cause, time_s FROM card_change WHERE card_no = ? ORDER BY epoch"
_EPOCH = "SELECT COALESCE(MAX(epoch), 0) FROM card_change"
_INSERT = "INSERT INTO card_change VALUES (?, ?, ?, ?, ?, ?)"
_INSERT_ACT = "INSERT INTO card_act VALUES (?, ?, ?, ?)"
_END_HOLDING = "UPDATE holding SET is_current = 0 WHERE card_no = ? AND is_current = 1"
# The virtual card ends with it (R14b.1): its seed is gone, and the number of the binding used up.
_END_PHONE = """
UPDATE phone SET binding = binding + 1, sealed_seed = ?
WHERE card_no = ? AND length(sealed_seed) > 0"""
_NO_SEED = b""
_AFTER = "SELECT card_no, status FROM card_change WHERE epoch > ? ORDER BY epoch LIMIT ?"
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
_OF_CARDS = """
WITH k (number) AS (VALUES {keys})
SELECT card_no, status, time_s FROM k CROSS JOIN card_change WHERE card_no = number
ORDER BY card_no, epoch"""


class CardRefused(Exception):
    """What cannot be done to a card; nothing was changed, and the text says why.

    `reason`: its number of ledger.lifecycle; 0 for what was only said wrongly.
    """

    def __init__(self, text: str, reason: int = 0) -> None:
        super().__init__(text)
        self.reason = reason


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
        return standing(self._database, card_no)[0]

    def state(self, card_no: int) -> str:
        """One of ledger.lifecycle.STATES."""
        return states_of(self._database, card_no)[-1]

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

    def set(
        self, verb: str, card_no: int, time_s: int, evidence: str = "", by: Act = CENTRE
    ) -> int:
        """Do one of VERBS to a card at `time_s`; its new status. Raises CardRefused.

        `evidence`: one word for what was shown ("id-card"), never a number that stands on it.
        `by`: who says it and where; without, a clerk of the card centre in person.
        """
        if verb not in VERBS:
            raise ValueError(f"{verb} is not said of a card alone")
        _check_word(evidence)
        with self._database.transaction():
            act = replace(by, evidence=evidence)
            return change_status(self._database, verb, card_no, time_s, act)


def change_status(database: Dialect, verb: str, card_no: int, time_s: int, act: Act) -> int:
    """As Cards.set, in a transaction of the caller; any verb of the table."""
    return MAP_STATUS[change_state(database, verb, card_no, time_s, act)]


def change_state(database: Dialect, verb: str, card_no: int, time_s: int, act: Act) -> str:
    """That, and the state it has come to."""
    act = entered(database, verb, card_no, time_s, act)
    said = judged(database, verb, card_no, act)
    if said.is_new and RULES[verb].after != SAME:
        note(database, card_no, said.state, verb, time_s, act)
        if verb in _ENDINGS:
            late.bear_ended(database, card_no)
    return said.state


def entered(database: Dialect, verb: str, card_no: int, time_s: int, act: Act) -> Act:
    """The act with the name of whoever enters it, who may: see ledger/signatures.py. NotAllowed.

    What a reader, the calendar, a phone or a machine says is nobody's at a desk.
    """
    is_at_desk = act.role in ENTERED_BY and act.channel in (COUNTER, BATCH)
    if not is_at_desk and not isinstance(act.person, Proven):
        return act
    among = ENTERED_BY.get(act.role, ())
    words = f"card {card_no}", act.evidence
    person = signed(database, f"card.{verb}", act.person, time_s, *words, among=among)
    return replace(act, person=person)


def judged(database: Dialect, verb: str, card_no: int, act: Act) -> Answer:
    """What the table answers, and that is yes. Raises CardRefused."""
    said = answer(states_of(database, card_no), verb, act)
    if said.reason:
        raise CardRefused(f"card {card_no} {said.because}", said.reason)
    if card_no > CARD_NO_MAX:
        raise CardRefused(f"card {card_no}: the map ends at {CARD_NO_MAX}")
    return said


def standing(database: Dialect, card_no: int) -> tuple[int, int]:
    """(status, since when) of a card; ACTIVE since 0 if nothing was ever said of it."""
    sql = "SELECT status, time_s FROM card_change WHERE card_no = ? ORDER BY epoch DESC LIMIT 1"
    for status, time_s in list(database.rows(sql, (card_no,))):
        return status, time_s
    return ACTIVE, 0


def states_of(database: Dialect, card_no: int) -> list[str]:
    """The states that a card has gone through, of ledger.lifecycle; [ABSENT] if there is none."""
    if not list(database.rows(_IS_ISSUED, (card_no,))):
        return [ABSENT]
    return states_after(cause for cause, _time_s in database.rows(_CHANGES, (card_no,)))


def check_state(database: Dialect, card_no: int, among: tuple[str, ...]) -> None:
    """CardRefused unless a card is in one of these states, of those whose money ends (R15)."""
    state = states_of(database, card_no)[-1]
    if state not in among:
        raise CardRefused(f"card {card_no} is {state} ({WRONG_STATE}, R15)", WRONG_STATE)


def check_evidence(verb: str, evidence: str) -> None:
    """CardRefused if something has to be shown and was not, or if `evidence` is not a word."""
    if RULES[verb].evidence and not evidence:
        raise CardRefused(f"to {verb} a card takes evidence, shown in person", NO_EVIDENCE)
    _check_word(evidence)


def _check_word(evidence: str) -> None:
    if len(evidence) > EVIDENCE_CHARS_MAX or not _is_word(evidence):
        text = f"evidence is words of a-z and - with a +, at most {EVIDENCE_CHARS_MAX} characters"
        raise CardRefused(text)


def suspend_captured(database: Dialect, captures: Iterable[Capture]) -> None:
    """Suspend cards that merchants have withheld, in the transaction that books their records.

    Not one that is lost, suspended or closed already, and not one that the card centre has dealt
    with since: its word is the younger one. Of a card that was never issued there is a case only.
    """
    for capture in captures:
        card_no = capture.card_no
        _status, time_s = standing(database, card_no)
        act = Act(READER, RECORD, f"record {capture.device}/{capture.seq}")
        said = answer(states_of(database, card_no), CAPTURED, act)
        if said.is_new and card_no <= CARD_NO_MAX and capture.latest_s >= time_s:
            note(database, card_no, said.state, CAPTURED, capture.earliest_s, act)


def changes_of(database: Dialect, card_nos: Iterable[int]) -> dict[int, list[tuple[int, int]]]:
    """(status, time_s) of all that was said about each of these cards, in its order.

    Most cards are as they were issued; they are left out.
    """
    changes: dict[int, list[tuple[int, int]]] = {}
    keys = ((card_no,) for card_no in set(card_nos))
    for card_no, status, time_s in database.rows_of(_OF_CARDS, keys):
        changes.setdefault(card_no, []).append((status, time_s))
    return changes


def losses_of(changes: Mapping[int, Iterable[tuple[int, int]]]) -> dict[int, list[Loss]]:
    """When each card of `changes_of` was lost; cards that never were are left out."""
    losses: dict[int, list[Loss]] = {}
    for card_no, said in changes.items():
        from_s = None
        for status, time_s in said:
            if status == LOST:
                from_s = time_s if from_s is None else from_s
            elif status != CLOSED and from_s is not None:
                losses.setdefault(card_no, []).append(Loss(from_s, time_s))
                from_s = None
        if from_s is not None:
            losses.setdefault(card_no, []).append(Loss(from_s))
    return losses


def note(database: Dialect, card_no: int, state: str, cause: str, time_s: int, act: Act) -> None:
    """Write down what the table has answered; a card that ends is nobody's, nor is its phone."""
    ((epoch,),) = database.rows(_EPOCH)
    row = epoch + 1, card_no, MAP_STATUS[state], time_s, cause, act.evidence
    database.many(_INSERT, [row])
    database.many(_INSERT_ACT, [(epoch + 1, act.role, act.channel, act.person)])
    if state in DEAD:
        database.many(_END_HOLDING, [(card_no,)])
        database.many(_END_PHONE, [(_NO_SEED, card_no)])


def _is_word(evidence: str) -> bool:
    return all(char in ("-", AND) or "a" <= char <= "z" for char in evidence)
