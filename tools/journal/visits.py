"""What a POS decided, customer by customer, as its records say it.

A visit is one card and one wish: it may be asked for a PIN, be wrong, try again, and pay. The same
grouping is made of a field journal and of the one that the simulator writes, so they compare.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from protocols.rules import clock, reasons
from protocols.wire import messages

# After these the same customer goes on.
ASKING = (reasons.PIN_NEEDED, reasons.PIN_WRONG, reasons.IDENTITY_CHECK)
_TOGETHER_MS = 90_000
_PROOF = messages.FLAG_PIN | messages.FLAG_IDENTITY | messages.FLAG_TRY | messages.FLAG_MEAL
Record = dict[str, Any]


@dataclass
class Visit:
    """A customer's records at a POS, in their order; `at_s` is when the first was written.

    `policy_epoch`: of the policy that was in force, as the last BOOT said; 0 if none did.
    """

    card_no: int
    at_s: float
    policy_epoch: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def intents(self) -> list[Record]:
        return [one for one in self.records if one["kind"] == messages.INTENT]

    @property
    def spend(self) -> Record | None:
        """The INTENT that takes money, if there is one."""
        return next((one for one in self.intents if not one["flags"] & messages.FLAG_TRY), None)

    @property
    def refusals(self) -> list[int]:
        found = [one for one in self.records if one["kind"] == messages.REFUSAL]
        return [one["reason"] for one in found]

    @property
    def amount_fen(self) -> int:
        spend = self.spend
        if spend is not None:
            return spend["amount_fen"]
        told = [one for one in self.records if one["kind"] == messages.REFUSAL]
        return told[-1]["amount_fen"] if told else 0

    def result(self, intent: Record) -> int | None:
        """That of the OUTCOME of an intent; None: there is none."""
        for one in self.records:
            if one["kind"] == messages.OUTCOME and one["intent_seq"] == intent["seq"]:
                return one["result"]
        return None

    def decisions(self) -> list[tuple[int, tuple[int, ...]]]:
        """(record number, what was decided) of each decision, without what differs by itself."""
        return [(one["seq"], found) for one in self.records if (found := _decided(one))]


def known_times(records: Sequence[Record], width_max_ms: int) -> dict[int, float]:
    """By boot: when it began (seconds since 1970), of boots in which the reader knew the time.

    A reader counts milliseconds of each boot exactly; of all its records in one the surest says
    when that began.
    """
    best: dict[int, tuple[int, float]] = {}
    for one in records:
        earliest_s, latest_s = one["earliest_s"], one["latest_s"]
        width_s = latest_s - earliest_s
        if not clock.is_known((earliest_s * 1000, latest_s * 1000), width_max_ms):
            continue
        began_s = (earliest_s + latest_s) / 2 - one["mono_ms"] / 1000
        best[one["boot_id"]] = min(best.get(one["boot_id"], (1 << 32, 0.0)), (width_s, began_s))
    return {boot: began_s for boot, (_width_s, began_s) in best.items()}


def visits_of(records: Iterable[Record], began_s: dict[int, float]) -> list[Visit]:
    """The visits, oldest first; records of boots that are not in `began_s` are passed over."""
    found: list[Visit] = []
    open_visit: Visit | None = None
    last: Record | None = None
    epoch = 0
    for one in records:
        if one["kind"] == messages.BOOT:
            epoch = one.get("policy_epoch", 0)
        card_no = _card_of(one, open_visit)
        if card_no is None or one["boot_id"] not in began_s:
            continue
        goes_on = open_visit is not None and last is not None and _goes_on(open_visit, last, one)
        if not goes_on or open_visit is None:
            at_s = began_s[one["boot_id"]] + one["mono_ms"] / 1000
            open_visit = Visit(card_no, at_s, epoch)
            found.append(open_visit)
        open_visit.records.append(one)
        last = one
    return found


def _card_of(one: Record, visit: Visit | None) -> int | None:
    """Whose record it is; None: of no customer with a card."""
    if one["kind"] in (messages.INTENT, messages.REFUSAL, messages.CAPTURE):
        return one["card_no"]
    if one["kind"] == messages.OUTCOME and visit is not None:
        is_own = any(one["intent_seq"] == intent["seq"] for intent in visit.intents)
        return visit.card_no if is_own else None
    return None


def _goes_on(visit: Visit, last: Record, one: Record) -> bool:
    """Whether this record is of the customer whose last record that is."""
    if one["kind"] == messages.OUTCOME:
        return True
    is_same = one["card_no"] == visit.card_no and one["boot_id"] == last["boot_id"]
    if not is_same or one["mono_ms"] - last["mono_ms"] > _TOGETHER_MS:
        return False
    if last["kind"] == messages.REFUSAL:
        return last["reason"] in ASKING
    return visit.spend is None


def _decided(one: Record) -> tuple[int, ...]:
    kind = one["kind"]
    if kind == messages.INTENT:
        return kind, one["amount_fen"], one["flags"] & _PROOF
    if kind == messages.REFUSAL:
        return kind, one["amount_fen"], one["reason"]
    if kind == messages.OUTCOME:
        return kind, one["result"]
    return (kind,)
