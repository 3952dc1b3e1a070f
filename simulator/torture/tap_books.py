"""What two journals and one card come to, once both readers have delivered.

The journals are booked twice over: in either order, each with everything delivered again. What
must hold then is in `judge`; nothing here believes what a reader says of itself.
"""

from __future__ import annotations

import copy
import functools
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from adapters.aes import CIPHERS
from ledger import card_proofs
from ledger.store import LedgerStore
from protocols.card import purse_desfire as layout
from protocols.card.personalise_desfire import RECORDS, decode_ring
from protocols.wire import messages, seal
from simulator import checkers
from simulator.cardbox import Chip, HeldCard
from simulator.cards.desfire import Desfire
from simulator.cards.mifare_classic import MifareClassic
from simulator.torture.tap_blows import StruckCard, StruckClassic
from simulator.torture.tap_window import (
    CARD_NO,
    DEVICE_KEY,
    ISSUED_FEN,
    KEYS,
    MERCHANT,
    Window,
    records_on,
)


@dataclass
class Books:
    """What came of it. `booked`: the spends in the ledger, (device, seq) -> (device, fen).

    `unresolved`: of which devices (once for each spend) the ledger does not know how it ended.
    """

    booked: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    told_elsewhere: int = 0
    unresolved: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def judge(windows: Sequence[Window], card: StruckCard) -> Books:
    """Book both journals and compare them with the card and with what people were shown.

    - the card was debited what the ledger booked, to the fen and to the number of debits;
    - whatever was shown as PAID is booked once; a green light came once for each;
    - whatever is booked was shown, or the card has told it to another reader;
    - both orders of delivery make the same books; nothing lies in suspense, nothing is refused;
    - the ledger's own invariants hold.
    """
    sealed = {window.device: tuple(records_on(window.flash)) for window in windows}
    state = tuple(card.blocks) if isinstance(card, StruckClassic) else json.dumps(card.snapshot())
    books = copy.deepcopy(_books_of(tuple(sealed.items()), card.uid, state))
    _compare_with_people(books, windows, _told_by_cards(sealed))
    return books


# One byte more before the cut, and it is the same records again: booked once, they are known.
@functools.lru_cache(maxsize=1024)
def _books_of(
    sealed: tuple[tuple[int, tuple[bytes, ...]], ...], uid: bytes, state: tuple[bytes, ...] | str
) -> Books:
    ledger, books = _booked(sealed)
    other, again = _booked(sealed[::-1])
    books.wrong += again.wrong
    if ledger.dump() != other.dump():
        books.wrong.append("the order of delivery makes other books")
    other.close()
    chip = _chip(uid, state)
    held = HeldCard("card", CARD_NO, chip, ISSUED_FEN)
    if isinstance(chip, Desfire):
        books.wrong += _unproven(ledger, chip)
    books.wrong += checkers.judge([held], KEYS, ledger, {}, Counter()).violations
    books.booked = {(device, seq): (device, fen) for device, seq, fen, _ in ledger.booked_ids()}
    open_spends = ledger.database.rows("SELECT device FROM intent WHERE state < 2")
    books.unresolved = [device for (device,) in open_spends]
    ledger.close()
    return books


def _unproven(ledger: LedgerStore, card: Desfire) -> Iterator[str]:
    """What the card has not signed as it was booked, and whether its rings say the same."""
    checked = card_proofs.check(ledger, CIPHERS, {CARD_NO: card.uid}, KEYS.desfire.transaction)
    for finding in checked.findings:
        # Settled at another reader, a debit has no proof: only the last one can be asked for.
        if finding.doubt is not card_proofs.Doubt.NO_PROOF:
            yield f"the card has not signed it: {finding}"
    credits_had = card.truth(layout.APPLICATION, layout.CREDITS_FILE)
    if credits_had:
        yield f"{credits_had[-1].hex()} in the ring of a card that was never credited"
    states = decode_ring(b"".join(card.truth(layout.APPLICATION, layout.STATE_FILE)))
    counters, newest = [state.counter for state in states], states[-1].counter
    if counters != list(range(max(newest - RECORDS + 1, 0), newest + 1)):
        yield f"the ring of states has the counters {counters}"


def _chip(uid: bytes, state: tuple[bytes, ...] | str) -> Chip:
    if not isinstance(state, str):
        return MifareClassic(uid, state)
    card = Desfire(uid, random.Random(0))
    card.restore(json.loads(state))
    return card


def _booked(sealed: Sequence[tuple[int, tuple[bytes, ...]]]) -> tuple[LedgerStore, Books]:
    """A ledger that was told everything, reader by reader, and then once more."""
    ledger, books = LedgerStore.open(":memory:"), Books()
    ledger.register_merchant(MERCHANT)
    ledger.register_devices((device, DEVICE_KEY, MERCHANT, "north") for device, _ in sealed)
    ledger.issue_card(CARD_NO, ISSUED_FEN)
    for _ in range(2):
        for answer in ledger.book([list(records) for _, records in sealed]):
            books.wrong += [f"refused: {refused}" for refused in answer.refused]
    books.wrong += [f"a case: {case}" for case in ledger.cases()]
    return ledger, books


def _told_by_cards(sealed: dict[int, tuple[bytes, ...]]) -> set[tuple[int, int]]:
    """The records that a card showed to the reader it was held to next."""
    records = [
        messages.decode_record(seal.payload_of(r)) for all_ in sealed.values() for r in all_
    ]
    intents = [record for record in records if record["kind"] == messages.INTENT]
    return {(intent["last_device"], intent["last_seq"]) for intent in intents}


def _compare_with_people(
    books: Books, windows: Sequence[Window], told_by_cards: set[tuple[int, int]]
) -> None:
    shown = set()
    for window in windows:
        witness, device = window.witness, window.device
        books.wrong += [f"{device}: {what}" for what in witness.seen_wrong]
        shown |= {(device, seq) for seq in witness.shown}
        for seq, times in Counter(witness.lit).items():
            if times > 1:
                books.wrong.append(f"{device}: record {seq} was shown as paid {times} times")
    for record_id in sorted(shown - set(books.booked)):
        books.wrong.append(f"{record_id} was shown as paid and is not booked")
    unseen = set(books.booked) - shown
    books.told_elsewhere = len(unseen & told_by_cards)
    for record_id in sorted(unseen - told_by_cards):
        books.wrong.append(f"{record_id} is booked, and nobody was told")
