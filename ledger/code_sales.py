"""Payments by code in the books: reserved once, and settled by a person if need be.

Rules of this file. An ask is judged, its code burned and its money reserved in one transaction.
The same ask again has the same answer. Only money that waits for the card can be reserved, and of
that nothing that was promised to the card (ledger/topups.py, note_try): the floor of the pending
account says how much that is, and the database keeps it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ledger import card_validity, chart, proposals
from ledger.card_status import Cards
from ledger.declines import No
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.proposals import CODE, KINDS, Proposal
from ledger.reservations import Reservation, Settled
from ledger.signatures import are_there, signed
from protocols.card import virtual_code
from protocols.rules import clock, reasons, validity
from protocols.rules.card_status import ACTIVE, LOST
from protocols.rules.scan_codes import CAMPUS_PAYMENT

_FLOOR_FEN = 0
_DAY_S = 86400
_TAKEN = """
SELECT 1 FROM reservation WHERE device = ? AND seq = ?
UNION ALL SELECT 1 FROM acquirer_order WHERE device = ? AND seq = ?"""
_AT = """
SELECT nonce, code, amount_fen, number, balance_fen FROM reservation
WHERE device = ? AND seq = ?"""
_HEAD = "SELECT head_seq FROM device WHERE device = ?"
_USED = "SELECT 1 FROM reservation WHERE code = ?"
_NUMBER = """
SELECT COALESCE(MAX(number), 0) + 1 FROM (
    SELECT MAX(number) AS number FROM reservation
    UNION ALL SELECT MAX(number) FROM acquirer_order) AS taken"""
_DAY_TOTAL = f"""
SELECT COALESCE(SUM(amount_fen), 0) FROM reservation
WHERE card_no = ? AND asked_s >= ? AND state <> {int(Settled.VOID)}"""
_FREE = "SELECT balance_fen - floor_fen FROM account WHERE id = ?"
_INSERT = """
INSERT INTO reservation
    (number, device, seq, nonce, code, card_no, amount_fen, balance_fen, asked_s)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_OPEN_ACCOUNT = (
    "INSERT INTO account (id, kind, owner, floor_fen) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_BY_NUMBER = """
SELECT number, device, seq, card_no, amount_fen, state FROM reservation WHERE number = ?"""
_MERCHANT = """
SELECT d.merchant_no, EXISTS (SELECT 1 FROM merchant m WHERE m.merchant_no = d.merchant_no)
FROM device d WHERE d.device = ?"""
_DECIDE = "UPDATE reservation SET state = ?, by_person = 1 WHERE number = ?"
_OPEN_SINCE = f"""
SELECT r.device, d.site, d.merchant_no, r.number, r.seq, r.amount_fen, r.asked_s,
    r.seq <= d.head_seq
FROM reservation r JOIN device d ON d.device = r.device
WHERE r.state = {int(Settled.OPEN)} AND r.asked_s < ?
ORDER BY r.device, r.seq"""
_FACTS = """
SELECT device, seq, amount_fen, asked_s FROM reservation WHERE number = ?
UNION ALL SELECT device, seq, amount_fen, asked_s FROM acquirer_order WHERE number = ?"""


class SettleRefused(Exception):
    """A reservation that a person cannot settle; nothing was changed, and the text says why."""


@dataclass(frozen=True, slots=True)
class CodePolicy:
    """What codes may pay, without a PIN: one sale, and a card's calendar day (local time)."""

    sale_max_fen: int
    day_max_fen: int
    utc_offset_s: int = 28800


@dataclass(frozen=True, slots=True)
class Ask:
    """What a reader asks: may the holder of `code` (38 bytes) pay `amount_fen`?

    `seq` is the number of the record that will tell what became of it.
    """

    device: int
    nonce: bytes
    code: bytes
    amount_fen: int
    seq: int


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` 0: yes, as reservation `number`. `balance_fen`: what codes can still pay."""

    reason: int
    number: int = 0
    balance_fen: int = 0


@dataclass(frozen=True, slots=True)
class OpenSale:
    """A reservation that nothing has settled. `is_mute`: its record tells nothing."""

    device: int
    site: str
    merchant_no: int
    number: int
    seq: int
    amount_fen: int
    asked_s: int
    is_mute: bool


@dataclass(frozen=True, slots=True)
class OpenFacts:
    """Payment `number` of `amount_fen` waits for record (device, seq), or did."""

    number: int
    device: int
    seq: int
    amount_fen: int
    asked_s: int


class CodeSales:
    """The reservations in the books of `database`. Every method is one transaction, or only reads.

    Raises StoreUnavailable of ledger.dialect: nothing changed, try again.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def ask(
        self,
        ask: Ask,
        seed_of: Callable[[int], bytes | None],
        interval_ms: tuple[int, int],
        policy: CodePolicy,
    ) -> Answer:
        """Judge an ask of a registered reader; if it is approved, its money is reserved.

        seed_of(card_no) is the seed of the card's phone, or None; `interval_ms` the ledger's clock
        as (earliest, latest) in ms since 1970.
        """
        code = virtual_code.parse(ask.code)
        if code is None:
            return Answer(reasons.CODE_UNKNOWN)
        with self._database.transaction():
            known = self._known(ask, code)
            if known is not None:
                return known
            reason = virtual_code.verify(
                code, CAMPUS_PAYMENT, seed_of(code.card), interval_ms, _Burned(self._database)
            )
            if reason == reasons.APPROVED and not place_of(self._database, ask):
                reason = reasons.ASK_LEDGER
            if reason != reasons.APPROVED:
                return Answer(reason)
            earliest_s, _latest_s = clock.seconds(interval_ms)
            free_fen = self._free_fen(code.card)
            reason = self._card_reason(code.card, interval_ms, policy)
            if reason == reasons.APPROVED:
                reason = self._money_reason(ask, code.card, free_fen, earliest_s, policy)
            if reason == reasons.BALANCE_SHORT:
                return Answer(reason, balance_fen=max(free_fen, 0))
            if reason != reasons.APPROVED:
                return Answer(reason)
            return self._reserve(ask, code, free_fen - ask.amount_fen, earliest_s)

    def _known(self, ask: Ask, code: virtual_code.VirtualCode) -> Answer | None:
        """What this very ask was answered before."""
        for nonce, burned, amount_fen, *answer in self._database.rows(_AT, (ask.device, ask.seq)):
            if (nonce, burned, amount_fen) == (ask.nonce, code.number, ask.amount_fen):
                return Answer(reasons.APPROVED, *answer)
        return None

    def _card_reason(self, card_no: int, interval_ms: tuple[int, int], policy: CodePolicy) -> int:
        """A virtual card is used while its card is, on the days of its card (R14b.1, R13)."""
        status = Cards(self._database).status(card_no)
        if status != ACTIVE:
            return reasons.CARD_LOST - LOST + status
        days = card_validity.of(self._database, card_no)
        if days is None:
            return reasons.APPROVED
        # The code's own life is shorter than any doubt of this clock.
        width_ms = interval_ms[1] - interval_ms[0]
        doubt = {"utc_offset_s": policy.utc_offset_s, "clock_width_max_ms": width_ms}
        return validity.reason(days, interval_ms, doubt)

    def _money_reason(
        self, ask: Ask, card_no: int, free_fen: int, now_s: int, policy: CodePolicy
    ) -> int:
        day = clock.day(now_s, policy.utc_offset_s)
        since_s = day * _DAY_S - policy.utc_offset_s
        ((day_fen,),) = self._database.rows(_DAY_TOTAL, (card_no, since_s))
        checks = (
            (ask.amount_fen <= 0, reasons.BAD_AMOUNT),
            (ask.amount_fen > policy.sale_max_fen, reasons.OVER_SPEND_LIMIT),
            (day_fen + ask.amount_fen > policy.day_max_fen, reasons.OVER_DAY_LIMIT),
            (ask.amount_fen > free_fen, reasons.BALANCE_SHORT),
        )
        return next((reason for refused, reason in checks if refused), reasons.APPROVED)

    def _free_fen(self, card_no: int) -> int:
        """What waits for a card and is not promised to it."""
        for (free_fen,) in self._database.rows(_FREE, (chart.pending(card_no),)):
            return free_fen
        return 0

    def _reserve(
        self, ask: Ask, code: virtual_code.VirtualCode, balance_fen: int, asked_s: int
    ) -> Answer:
        number = free_number(self._database)
        reservation = Reservation(number, ask.device, ask.seq, code.card, ask.amount_fen)
        asked = number, ask.device, ask.seq, ask.nonce, code.number, code.card, ask.amount_fen
        self._database.many(_INSERT, [(*asked, balance_fen, asked_s)])
        account = chart.reserved(code.card), chart.RESERVED, code.card, _FLOOR_FEN
        self._database.many(_OPEN_ACCOUNT, [account])
        post_authorized(self._database, [reservation.reserve()])
        return Answer(reasons.APPROVED, number, balance_fen)

    # --- what nothing settles ------------------------------------------------------------------

    def open_since(self, before_s: int) -> list[OpenSale]:
        """What was reserved before that second (UTC) and is not settled, by reader."""
        rows = self._database.rows(_OPEN_SINCE, (before_s,))
        return [OpenSale(*facts, is_mute=bool(mute)) for *facts, mute in rows]

    def waiting(self) -> list[Proposal]:
        """What was proposed of a payment by any code, and waits for another one to settle it."""
        return proposals.waiting(self._database, CODE)

    def facts(self, proposal: Proposal) -> OpenFacts:
        """Of the payment that a proposal is about."""
        found = self.payment(int(proposal.about.rpartition(" ")[2]))
        assert found is not None, "it is in the books as long as its proposal waits"
        return found

    def payment(self, number: int) -> OpenFacts | None:
        """Of a payment by any code, settled or not; None: there is none."""
        for found in list(self._database.rows(_FACTS, (number, number))):
            return OpenFacts(number, *found)
        return None

    def decline(self, number: int, no: No) -> None:
        """Say no to the proposal of that number, of a payment by any code. Raises NotAllowed."""
        with self._database.transaction():
            proposals.decline(self._database, CODE, number, no)

    def propose(self, number: int, state: Settled, person: str, time_s: int) -> int:
        """`person` says what became of reservation `number`, for another one to settle it so.

        The number of the proposal. Raises SettleRefused, NotAllowed.
        """
        with self._database.transaction():
            rows = list(self._database.rows(_BY_NUMBER, (number,)))
            known = rows[0][-1] if rows else None
            what = f"reservation {number}", known
            return propose(self._database, what, state, person, time_s)

    def settle(
        self, number: int, state: Settled, person: str = "", time_s: int = 0
    ) -> Reservation:
        """`person` settles reservation `number`, SOLD or VOID, as another one has proposed.

        Again, with the same state: nothing. Raises SettleRefused, NotAllowed.
        """
        with self._database.transaction():
            words = f"reservation {number}", state.name.lower()
            sign(self._database, person, time_s, *words)
            for *facts, known in list(self._database.rows(_BY_NUMBER, (number,))):
                reservation = Reservation(*facts, state=Settled(known))
                if reservation.state is state:
                    return reservation
                if reservation.state is not Settled.OPEN or state is Settled.OPEN:
                    text = f"reservation {number} is settled: {reservation.state.name.lower()}"
                    raise SettleRefused(text)
                transfer = reservation.give_back()
                if state is Settled.SOLD:
                    transfer = reservation.sell(payable_of(self._database, reservation.device))
                self._database.many(_DECIDE, [(int(state), number)])
                post_authorized(self._database, [transfer])
                return replace(reservation, state=state)
        raise SettleRefused(f"there is no reservation {number}")


def propose(
    database: Dialect, what: tuple[str, int | None], state: Settled, person: str, time_s: int
) -> int:
    """The first of the two persons who settle something, by its act, in a caller's transaction.

    `what`: what it is called, and how it stands in the books (None: it is not there; what is
    signed in advance would be settled by one). The proposal's number. SettleRefused, NotAllowed.
    """
    name, known = what
    if not are_there(database):
        raise SettleRefused("these books have no operators: nobody proposes")
    if known is None:
        raise SettleRefused(f"there is no {name}")
    if known != Settled.OPEN:
        raise SettleRefused(f"{name} is settled: {Settled(known).name.lower()}")
    if state is Settled.OPEN:
        raise SettleRefused(f"{name} is open already")
    return proposals.propose(database, CODE, person, time_s, name, state.name.lower())


def sign(database: Dialect, person: str, time_s: int, name: str, said: str) -> None:
    """The second of them, as the first one has proposed it last. SettleRefused, NotAllowed."""
    who = signed(database, KINDS[CODE].do, person, time_s, name, said)
    proposals.check(database, CODE, who, name, said, SettleRefused)


def place_of(database: Dialect, ask: Ask) -> bool:
    """Whether the record that will decide an ask is still to come, and decides nothing else."""
    place = ask.device, ask.seq
    ((head_seq,),) = database.rows(_HEAD, (ask.device,))
    return ask.seq > head_seq and not list(database.rows(_TAKEN, (*place, *place)))


def free_number(database: Dialect) -> int:
    """The number of the next payment by code, of whatever code it is."""
    ((number,),) = database.rows(_NUMBER)
    return number


def payable_of(database: Dialect, device: int) -> int:
    """The account of a reader's merchant. Raises SettleRefused."""
    for merchant_no, is_known in database.rows(_MERCHANT, (device,)):
        if is_known:
            return chart.payable(merchant_no)
    raise SettleRefused(f"the merchant of reader {device} is not registered")


class _Burned:
    """The codes that were approved, as virtual_code.verify asks for them: kept for all time."""

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def __contains__(self, number: bytes) -> bool:
        return bool(list(self._database.rows(_USED, (number,))))
