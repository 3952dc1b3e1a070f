"""Behind a restore: what an audit has of credits and the books have not, entered again.

Readers have policies under epochs that the books have lost: new ones get epochs far above.

Rules of this file. Cards carry the numbers of credits. So each is entered under the number that it
had, with what is known of it: its order, that it was tried, or had come on its card, that its
channel has the money back. New ones get numbers far above, which no card carries, with an audit or
without. What cannot be entered changes nothing, and is named; so is what readers have told these
books of already.

A phone that was bound or ended since has no seed in these books, and the one before it would be
good again: cards with such a phone have none, until one is bound anew.

Carry-overs are left to a person. They hang on records that come again later: made before these,
one would take money along that was spent, and late spends would be held against the holder.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ledger import chart
from ledger.channel_topups import ChannelRefused, Order
from ledger.dialect import ConstraintBroken, Dialect
from ledger.store import LedgerStore
from ledger.topups import NotCovered, TopUpRefused, next_number, use_numbers
from ledger.transfers import CARRY_OVER, TOP_UP_LINE, Transfer
from protocols.card.purse import CARD_CENTRE

# More than are made between two backups: cards carry numbers that stand in no audit yet, and
# readers have policies.
NUMBERS_APART = 1_000_000
_REFUSED = (TopUpRefused, ChannelRefused, NotCovered, ConstraintBroken)
_IS_THERE = """
SELECT EXISTS (SELECT 1 FROM load WHERE number = ?)
    AND (? = 0 OR EXISTS (SELECT 1 FROM device WHERE device = ?))"""
_ORDER_OF = "SELECT channel, order_no FROM channel_topup WHERE number = ?"
_IS_ISSUED = "SELECT 1 FROM card WHERE card_no = ?"
_BOUND_TO = "SELECT binding FROM phone WHERE card_no = ?"
_END_PHONE = """
INSERT INTO phone VALUES (?, ?, ?) ON CONFLICT (card_no)
DO UPDATE SET binding = excluded.binding, sealed_seed = excluded.sealed_seed"""
_PROOF = "INSERT INTO phone_proof VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
_Lost = dict[str, list[list[Any]]]


@dataclass(frozen=True, slots=True)
class Left:
    """A credit that was not entered again, and why.

    Its card is suspended before somebody enters it: its tries in the audit are not entered with
    it, and the card may have it.
    """

    number: int
    card_no: int
    amount_fen: int
    why: str


def enter_again(store: LedgerStore, rows: Iterable[list[Any]]) -> tuple[int, list[Left]]:
    """(how many credits were entered, those that were not) of the audit's `rows` (audit.py)."""
    lost: _Lost = defaultdict(list)
    for table, *columns in rows:
        lost[table].append(columns)
    credits_lost = sorted(_credits(lost["transfer"]))
    used = max([next_number(store.database) - 1, *(move.seq for move in credits_lost)])
    with store.database.transaction():
        use_numbers(store.database, used + NUMBERS_APART)
        store.policies.use_epochs(NUMBERS_APART)
    left = list(_enter_credits(store, credits_lost, lost))
    _note_tries(store, lost)
    _give_back(store, lost)
    return len(credits_lost) - len(left), left


def end_phones(database: Dialect, rows: Iterable[list[Any]]) -> int:
    """Enter the bindings that only the audit has, without a phone; of how many cards."""
    lost = sorted(columns for table, *columns in rows if table == "phone_proof")
    ended: dict[int, int] = {}
    with database.transaction():
        for card_no, binding, *_facts in lost:
            known = [*database.rows(_BOUND_TO, (card_no,))]
            if list(database.rows(_IS_ISSUED, (card_no,))) and (binding,) > max(
                known, default=(0,)
            ):
                ended[card_no] = binding
        database.many(_END_PHONE, [(*one, b"") for one in ended.items()])
        database.many(_PROOF, [tuple(row) for row in lost if row[0] in ended])
    return len(ended)


def _credits(transfers: list[list[Any]]) -> Iterator[Transfer]:
    for columns in transfers:
        move = Transfer(*columns)
        if move.device == CARD_CENTRE and move.line == TOP_UP_LINE:
            yield move


def _enter_credits(
    store: LedgerStore, credits_lost: list[Transfer], lost: _Lost
) -> Iterator[Left]:
    orders = {number: order_id for number, _card, _fen, order_id in lost["load"]}
    channels = {row[2]: row for row in lost["channel_topup"]}
    for move in credits_lost:
        number, card_no, amount_fen = move.seq, chart.owner(move.credit_account), move.amount_fen
        try:
            if move.kind == CARRY_OVER:
                raise TopUpRefused("carried over from another card")
            if number in channels:
                channel, order_no, _number, reference, paid_s, heard_s = channels[number]
                order = Order(channel, order_no, card_no, amount_fen, reference, paid_s)
                store.channel_top_ups.book(order, heard_s, number)
            elif number in orders:
                store.top_ups.top_up(card_no, amount_fen, orders[number], number)
            else:
                raise TopUpRefused("its order is not in the audit")
        except _REFUSED as error:
            yield Left(number, card_no, amount_fen, str(error))


def _note_tries(store: LedgerStore, lost: _Lost) -> None:
    """What may be on a card already, or is: or the card would be given it once more."""
    steps = [
        (number, device, store.top_ups.note_try, (number, counter, device))
        for number, counter, device in lost["load_try"]
    ]
    steps += [
        (number, 0, store.top_ups.note_carried, (number, *told, bytes.fromhex(mac)))
        for number, *told, mac in lost["load_proof"]
    ]
    for number, device, note, what in steps:
        ((is_there,),) = store.database.rows(_IS_THERE, (number, device, device))
        if is_there:
            _tried(note, *what)


def _give_back(store: LedgerStore, lost: _Lost) -> None:
    for number, cancelled_s in lost["topup_cancel"]:
        for channel, order_no in list(store.database.rows(_ORDER_OF, (number,))):
            _tried(store.channel_top_ups.cancel, channel, order_no, cancelled_s)
    for channel, order_no, voided_s in lost["topup_void"]:
        _tried(store.channel_top_ups.cancel, channel, order_no, voided_s)


def _tried(step: Any, *what: Any) -> None:
    """What is refused stays among the rows that are missing."""
    try:
        step(*what)
    except _REFUSED:
        return
