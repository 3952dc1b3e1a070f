"""Top-ups: money comes in through a channel, waits for its card, and is given to it once.

Rules of this file. A channel's order number stands for one top-up for all time: the same order
again changes nothing, with other facts it is refused. Whatever may put money on a card is noted on
the disk before it leaves this house. Whether a card carries a load is never concluded here from
silence: the card says so itself, to us or in a reader's record, or the load waits.
"""

import re
from dataclasses import dataclass

from ledger import chart, proposals
from ledger.cancels import NUMBER_MIN
from ledger.card_credit import Sold
from ledger.card_status import Cards
from ledger.declines import No
from ledger.dialect import Dialect
from ledger.entries import post_authorized
from ledger.evidence import State
from ledger.loads import Load, enter, loads_of, paid_in
from ledger.posting import post_loaded
from ledger.promises import HAS_ENDED, IS_PROMISED, WAS_TRIED, promise
from ledger.proposals import KINDS, TOPUP, Proposal
from ledger.signatures import WORD_CHARS_MAX, are_there, signed
from protocols.card.purse import AMOUNT_FEN_MAX, CARD_CENTRE
from protocols.rules.card_status import CLOSED

ORDER_CHARS_MAX = 64
# How the orders of lists begin (ledger/subsidies.py): a hand cannot say that it is a line of one.
OF_LISTS = "subsidy/"
_NUMBER_MAX = 0xFFFFFFFF
_ABOUT = re.compile(r"card (\d+): (\d+) fen(?:, credit (\d+))?")
_PENDING = chart.account(chart.PENDING, 0)
_BY_ORDER = "SELECT number, card_no, amount_fen FROM load WHERE order_id = ?"
# What was tried goes on being tried before anything else. The money of a cancelled sale waits for
# the card to show that it has gone beyond that sale, and while another step is known to have led
# away from there: a reader may have made the sale up. A DESFire tells us, of a Classic the reader.
# What is promised to the card is there; of the rest only what codes have left.
_NEXT = f"""
SELECT l.number, l.card_no, l.amount_fen, s.counter, s.device, s.seq FROM load l
LEFT JOIN cancel c ON c.number = l.number
LEFT JOIN intent s ON s.device = c.device AND s.seq = c.intent_seq
WHERE l.card_no = ? AND l.is_loaded = 0 AND COALESCE(s.counter, -1) < ? AND NOT {HAS_ENDED}
AND NOT EXISTS (
    SELECT 1 FROM intent r WHERE r.card_no = s.card_no AND r.counter = s.counter
    AND r.state = {int(State.COMMITTED)} AND (r.device, r.seq) <> (s.device, s.seq))
AND ({IS_PROMISED} OR l.amount_fen <= (
    SELECT a.balance_fen - a.floor_fen FROM account a WHERE a.id = {_PENDING} + l.card_no))
ORDER BY NOT {WAS_TRIED}, l.number LIMIT 1"""
# The first try of a load that is not on its card.
_UNPROMISED = f"""
SELECT l.number, l.card_no, l.amount_fen, a.balance_fen - a.floor_fen FROM load l
JOIN account a ON a.id = {_PENDING} + l.card_no
WHERE l.number = ? AND l.is_loaded = 0 AND NOT {IS_PROMISED}"""
_IS_OF_REPLACED = """
SELECT r.new_card FROM load l JOIN reissue r ON r.old_card = l.card_no WHERE l.number = ?"""
_HAS_ENDED = "SELECT 1 FROM load_end WHERE number = ?"
_SUCCESSOR = "SELECT new_card FROM reissue WHERE old_card = ?"
_HAS_NUMBER = "SELECT 1 FROM load WHERE number = ?"
_TOLD_OF = f"""
SELECT 1 FROM intent WHERE credit_no > 0 AND credit_no = ?
UNION ALL SELECT 1 FROM intent WHERE last_device = {CARD_CENTRE} AND last_seq = ?"""
_USED = "used numbers of credits"
_NUMBER = f"""
SELECT COALESCE(MAX(n), 0) + 1 FROM (
    SELECT MAX(number) AS n FROM load WHERE number < {NUMBER_MIN}
    UNION ALL SELECT total AS n FROM tally WHERE name = '{_USED}') AS used"""
_USE = "INSERT INTO tally VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET total = excluded.total"
# A try is over when somebody has seen the card at the next counter (with another name on it, or
# the load would be loaded), or it is known what else has led away from this one.
_OPEN_TRIES = f"""
SELECT DISTINCT t.counter FROM load_try t
WHERE t.number = ? AND NOT EXISTS (
    SELECT 1 FROM intent i WHERE i.card_no = ? AND (
        (i.counter = t.counter + 1 AND (i.last_device, i.last_seq) <> (0, 0))
        OR (i.counter = t.counter AND i.state = {int(State.COMMITTED)}
            AND i.credit_no <> t.number)))
ORDER BY t.counter"""


class TopUpRefused(Exception):
    """A top-up that cannot be booked; nothing was changed, and the text says why."""


class NotCovered(Exception):
    """A load may not be tried: payments by code have taken its money, its channel has it back, or
    another card has taken the place of its card. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Pending:
    """The load that is next for a card, and the card's counters at which it may have come on.

    `sold`: the cancelled sale whose money it is; None of a top-up.
    """

    load: Load
    tries: tuple[int, ...]
    sold: Sold | None = None


class TopUps:
    """The loads in the books of `database`. Every method is one transaction, or only reads.

    Raises StoreUnavailable of ledger.dialect: nothing changed, try again.
    """

    def __init__(self, database: Dialect) -> None:
        self._database = database

    def propose(
        self,
        card_no: int,
        amount_fen: int,
        order_id: str,
        person: str,
        time_s: int,
        number: int = 0,
    ) -> int:
        """`person` says what was paid in, for another one to book with the same facts (`top_up`).

        The number of the proposal. Raises TopUpRefused, NotAllowed.
        """
        _check(card_no, amount_fen, order_id, number)
        _check_by_hand(order_id)
        with self._database.transaction():
            if not are_there(self._database):
                raise TopUpRefused("these books have no operators: nobody proposes")
            about = _about(card_no, amount_fen, number)
            what = self._database, TOPUP, person, time_s, about, order_id
            proposal = proposals.propose(*what)
            booked(self._database, card_no, amount_fen, order_id, number)
            return proposal

    def top_up(
        self,
        card_no: int,
        amount_fen: int,
        order_id: str,
        number: int = 0,
        person: str | None = None,
        time_s: int = 0,
    ) -> int:
        """Book what a channel took in under its `order_id`; the number of the credit.

        Again, with the same facts: the same number, and nothing else. `number`: which it had in
        books that were lost (ledger/reentry.py), and only before readers tell of it; 0: the next.
        `person` books by hand what another one has proposed; None: nobody does.

        Raises TopUpRefused, NotAllowed.
        """
        _check(card_no, amount_fen, order_id, number)
        if person is not None:
            _check_by_hand(order_id)
        with self._database.transaction():
            if person is not None:
                about = _about(card_no, amount_fen, number)
                verb = KINDS[TOPUP].do
                who = signed(self._database, verb, person, time_s, about, order_id)
                what = self._database, TOPUP, who, about, order_id
                proposals.check(*what, TopUpRefused)
            known = booked(self._database, card_no, amount_fen, order_id, number)
            return known or pay_in(self._database, card_no, amount_fen, order_id, number)

    def waiting(self) -> list[Proposal]:
        """What was proposed and waits for another one to book it; `told_of` reads what it says."""
        return proposals.waiting(self._database, TOPUP)

    def decline(self, number: int, no: No) -> None:
        """Say no to the proposal of that number. Raises NotAllowed."""
        with self._database.transaction():
            proposals.decline(self._database, TOPUP, number, no)

    def next_of(self, card_no: int, counter: int) -> Pending | None:
        """What is next for a card that shows `counter`, of what is there; None if nothing is."""
        for number, *facts, at, device, seq in list(
            self._database.rows(_NEXT, (card_no, counter))
        ):
            tries = self._database.rows(_OPEN_TRIES, (number, card_no))
            sold = None if at is None else Sold(at, (device, seq))
            return Pending(Load(number, *facts), tuple(tried for (tried,) in tries), sold)
        return None

    def note_try(self, number: int, counter: int, device: int) -> None:
        """From now on credit `number` may come on its card, which stands at `counter`.

        Its money is kept for that, and no code can pay with it. Raises NotCovered.
        """
        with self._database.transaction():
            for (successor,) in list(self._database.rows(_IS_OF_REPLACED, (number,))):
                raise NotCovered(f"credit {number}: card {successor} is in its card's place")
            if list(self._database.rows(_HAS_ENDED, (number,))):
                raise NotCovered(f"credit {number}: its money went back, or on with its card")
            for *facts, free_fen in list(self._database.rows(_UNPROMISED, (number,))):
                load = Load(*facts)
                if load.amount_fen > free_fen:
                    text = f"credit {number} of {load.amount_fen} fen: {free_fen} are left"
                    raise NotCovered(text)
                promise(self._database, [load])
            self._database.many(
                "INSERT INTO load_try VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(number, counter, device)],
            )

    def note_carried(self, number: int, counter: int, balance_fen: int, mac: bytes) -> None:
        """The card has told us itself that it carries credit `number`: what it has now, and how.

        `mac` is that of its transaction, empty if it had happened before.
        """
        with self._database.transaction():
            self._database.many(
                "INSERT INTO load_proof VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [(number, counter, balance_fen, mac)],
            )
            load = loads_of(self._database, [number])[number]
            if not load.is_loaded:
                post_loaded(self._database, [load])


def _check(card_no: int, amount_fen: int, order_id: str, number: int) -> None:
    for what, given in (("card", card_no), ("credit", number)):
        if not 0 <= given <= _NUMBER_MAX:
            raise TopUpRefused(f"{given} is no number of a {what}: they are 0 to {_NUMBER_MAX}")
    if not 0 < amount_fen <= AMOUNT_FEN_MAX:
        raise TopUpRefused(f"{amount_fen} fen is not in 1..{AMOUNT_FEN_MAX}")
    if not 0 < len(order_id) <= ORDER_CHARS_MAX or not order_id.isprintable():
        raise TopUpRefused(f"an order number has 1 to {ORDER_CHARS_MAX} characters")


def _check_by_hand(order_id: str) -> None:
    """TopUpRefused for an order that a line of a list would pass for, and so not be paid in."""
    if order_id.startswith(OF_LISTS):
        raise TopUpRefused(f"an order number of {OF_LISTS}... is that of a line of a list")


def _about(card_no: int, amount_fen: int, number: int) -> str:
    """What the acts of both persons are about, so that they are about the same."""
    under = f", credit {number}" if number else ""
    return f"card {card_no}: {amount_fen} fen{under}"


def told_of(about: str) -> tuple[int, int, int] | None:
    """(card_no, amount_fen, number of the credit or 0) of what a proposal is about.

    None: it was cut short (proposals.CUT_SHORT), as books of before did with numbers that no card,
    sum or credit has. Where the end of one is missing, the others may be whole and mislead.
    """
    found = _ABOUT.fullmatch(about)
    if found is None or len(about) >= WORD_CHARS_MAX:
        return None
    card_no, amount_fen, number = found.groups(default="0")
    return int(card_no), int(amount_fen), int(number)


def booked(
    database: Dialect, card_no: int, amount_fen: int, order_id: str, number: int = 0
) -> int:
    """The number of the credit of an order that is booked with these facts; 0 of a new order.

    `number`: the one that it has to have, 0 for any. TopUpRefused for one with other facts.
    """
    for known, *facts in list(database.rows(_BY_ORDER, (order_id,))):
        if facts != [card_no, amount_fen] or number not in (0, known):
            raise TopUpRefused(f"order {order_id} is booked already, and differently")
        return known
    return 0


def pay_in(
    database: Dialect, card_no: int, amount_fen: int, order_id: str, number: int = 0
) -> int:
    """As TopUps.top_up of an order that is new, in a transaction of the caller."""
    sql = "SELECT 1 FROM card WHERE card_no = ?"
    if not list(database.rows(sql, (card_no,))):
        raise TopUpRefused(f"card {card_no} was never issued")
    for (successor,) in database.rows(_SUCCESSOR, (card_no,)):
        raise TopUpRefused(f"card {card_no} was replaced by card {successor}")
    if Cards(database).status(card_no) == CLOSED:
        raise TopUpRefused(f"card {card_no} is closed")
    following = next_number(database)
    if not 0 <= number < following:
        raise TopUpRefused(f"credit {number} has not been yet: the next one is {following}")
    if list(database.rows(_HAS_NUMBER, (number,))):
        raise TopUpRefused(f"credit {number} is another order's")
    if number and list(database.rows(_TOLD_OF, (number, number))):
        # What they said was booked without it, and is not booked anew: it would be given twice.
        raise TopUpRefused(f"credit {number}: readers have told of it, see case 337")
    load = Load(number or following, card_no, amount_fen)
    enter(database, [(load, order_id)])
    post_authorized(database, [paid_in(load)])
    return load.number


def next_number(database: Dialect) -> int:
    """A number for a credit that no cancellation has made."""
    ((number,),) = database.rows(_NUMBER)
    return number


def use_numbers(database: Dialect, last: int) -> None:
    """No new credit gets a number up to `last`. In a transaction of the caller."""
    database.many(_USE, [(_USED, last)])
