"""What each account must come to: kept beside the books, from what happened, never from them.

Rules of this file. It knows what the books can only infer: whether a torn tap has debited its
card. But it says a spend is told only when records have been delivered that tell of it: its own
INTENT, and with it the OUTCOME or the card's next step. Of a lost card the day of delivery decides
who bears what (ledger/late.py says the rule; it is said here once more, in few lines).
"""

from collections import Counter
from dataclasses import dataclass, field

from ledger import reasons
from simulator.chains import Card

Account = tuple[str, int]  # the kind and the owner, named as LedgerStore.balances does
BANK = "clearing", 0
SPENT_WHILE_LOST = "loss", reasons.SPENT_WHILE_LOST
LATE_SPEND = "loss", reasons.LATE_SPEND
FROZEN_S = 72 * 3600  # R14.4b


@dataclass(slots=True)
class Held:
    """A card in somebody's hand. `suspect_fen`: told, of after its loss, and borne by nobody."""

    card: Card
    torn: "Step | None" = None  # the last tap, if it had no outcome and took money
    lost_s: int = 0
    is_replaced: bool = False
    is_carried: bool = False
    suspect_fen: int = 0

    @property
    def purse(self) -> Account:
        return "holder", self.card.card_no

    @property
    def pending(self) -> Account:
        return "pending", self.card.card_no


@dataclass(slots=True)
class Step:
    """A step of a card. `tells_of` is the torn tap before it, which it settles.

    A load has a `credit_fen`, a debit an `amount_fen` and a merchant; a tap that took nothing has
    none of them.
    """

    held: Held
    merchant_no: int = 0
    amount_fen: int = 0
    credit_fen: int = 0
    has_outcome: bool = True
    is_of_after: bool = False
    day: int = 0  # since 1 September
    tells_of: "Step | None" = None
    record: tuple[int, int] = (0, 0)  # of a spend: its INTENT
    is_told: bool = False
    next_is_told: bool = False
    is_booked: bool = False


@dataclass
class Truth:
    """Balances in fen by account: credits minus debits, as in the books.

    `sales`: what merchants sold, by (merchant, day), as far as it was told; `late`: of that what
    was booked on a later day than `today` was then, (merchant, day, fen) by record.
    """

    fen: Counter[Account] = field(default_factory=Counter)
    sales: Counter[tuple[int, int]] = field(default_factory=Counter)
    late: dict[tuple[int, int], tuple[int, int, int]] = field(default_factory=dict)
    today: int = 0

    def move(self, debit: Account, credit: Account, amount_fen: int) -> None:
        self.fen[debit] -= amount_fen
        self.fen[credit] += amount_fen

    def paid_in(self, held: Held, amount_fen: int) -> None:
        """A top-up or a subsidy waits for its card."""
        self.move(BANK, held.pending, amount_fen)

    def told(self, step: Step) -> None:
        """The records of a step are in the books."""
        step.is_told = True
        if step.credit_fen:
            self.move(step.held.pending, step.held.purse, step.credit_fen)
        elif step.has_outcome or step.next_is_told:
            self._spend(step)
        before = step.tells_of
        if before is not None:
            before.next_is_told = True
            if before.is_told:
                self._spend(before)

    def replaced(self, held: Held) -> None:
        """Another card has its place: the card centre bears what was spent since its loss."""
        held.is_replaced = True
        self._bear(held)

    def carried(self, olds: list[Held], new: Held, now_s: int) -> int:
        """What is left of the cards in whose place `new` is goes to it; how much that is."""
        sum_fen = 0
        for old in olds:
            is_due = now_s - old.lost_s >= FROZEN_S
            purse_fen = max(self.fen[old.purse], 0) if is_due else 0
            old.is_carried = old.is_carried or purse_fen > 0
            for account, left_fen in (old.purse, purse_fen), (old.pending, self.fen[old.pending]):
                self.move(account, new.pending, left_fen)
                sum_fen += left_fen
        return sum_fen

    def _spend(self, step: Step) -> None:
        if step.is_booked or not step.amount_fen:
            return
        step.is_booked = True
        held = step.held
        self.move(held.purse, ("merchant", step.merchant_no), step.amount_fen)
        self.sales[step.merchant_no, step.day] += step.amount_fen
        if step.day < self.today:
            self.late[step.record] = step.merchant_no, step.day, step.amount_fen
        if step.is_of_after:
            held.suspect_fen += step.amount_fen
            if held.is_replaced:
                self._bear(held)
        elif held.is_carried:
            lacking_fen = min(step.amount_fen, max(-self.fen[held.purse], 0))
            self.move(LATE_SPEND, held.purse, lacking_fen)

    def _bear(self, held: Held) -> None:
        self.move(SPENT_WHILE_LOST, held.purse, held.suspect_fen)
        held.suspect_fen = 0

    def differences(self, balances: dict[Account, int]) -> list[tuple[Account, int, int]]:
        """(account, in the books, in truth) of each account that is not equal to the fen."""
        accounts = sorted(balances.keys() | self.fen.keys())
        pairs = ((account, balances.get(account, 0), self.fen[account]) for account in accounts)
        return [pair for pair in pairs if pair[1] != pair[2]]
