"""Split charges: what a card paid one merchant in quick succession is one purchase (R19.1).

Rules of this file. The amount that is held against the limit without PIN is the sum of a window:
the charge itself and all earlier ones of the same card at the same merchant that are no more than
`window_s` away. One function forms that sum, for a POS over its ring of recent charges and for the
ledger over what is booked. Where the clock leaves a doubt, each side takes its safe one: the POS
counts what may be inside the window, because all it does is ask for the PIN; the ledger reports
such a case as possible, and as sure only where every clock within its interval says so, because a
report accuses somebody.

A charge that was paid with the PIN is no part of a purchase without it, and ends it: the holder
was there; so does one for which the merchant confirmed who the holder is. A counted PIN try (an
INTENT of nothing) is no charge, and a cancelled one is none any more. A charge counts from its
INTENT on; what is not yet known to be unpaid counts as paid.
Two POS of one merchant do not hear of each other: only the ledger sees across them.
"""

from array import array

from protocols.wire import messages

# Where the curve of tools/bench/split.py bends: nearly all who split at once or let others go
# between, within the declared budget of honest ones. Beyond it each cheat more costs several.
WINDOW_S = 180
# A queue that moves at one card in three seconds for as long as the window, and no more than 2 kB.
ROOM = 64
# Of an INTENT's flags: the holder was there, by the PIN or because the merchant looked (R19.3).
HOLDER = messages.FLAG_PIN | messages.FLAG_IDENTITY
# The sequence of a charge that has no record yet: later than all that have one.
NOT_YET = 0xFFFFFFFF
_U32 = 0xFFFFFFFF

# A charge is a tuple of integers.
DEVICE, SEQ, CARD_NO, MERCHANT_NO, AMOUNT_FEN = 0, 1, 2, 3, 4
EARLIEST_S, LATEST_S, BOOT_ID, MONO_S, FLAGS = 5, 6, 7, 8, 9


def charge_of(intent):
    """The charge that an INTENT (its fields by name) stands for."""
    return (
        intent["device"],
        intent["seq"],
        intent["card_no"],
        intent["merchant_no"],
        intent["amount_fen"],
        intent["earliest_s"],
        intent["latest_s"],
        intent["boot_id"],
        min(intent["mono_ms"] // 1000, _U32),
        intent["flags"],
    )


def is_before(one, other):
    """Whether a charge surely came before another."""
    if one[DEVICE] == other[DEVICE]:
        return one[SEQ] < other[SEQ]
    return one[LATEST_S] < other[EARLIEST_S]


def apart_s(one, other):
    """(least, most) seconds that may lie between two charges.

    Within one boot of one reader its monotonic clock counts: no receipt moves that one.
    """
    if one[DEVICE] == other[DEVICE] and one[BOOT_ID] == other[BOOT_ID]:
        between_s = abs(one[MONO_S] - other[MONO_S])
        return max(between_s - 1, 0), between_s + 1
    forth_s = other[EARLIEST_S] - one[LATEST_S]
    back_s = one[EARLIEST_S] - other[LATEST_S]
    return max(forth_s, back_s, 0), max(-forth_s, -back_s)


def possibly_with(charge, charges, window_s):
    """Those of `charges` that may be one purchase with `charge` and not after it."""
    return _purchase(charge, charges, window_s, False)


def surely_with(charge, charges, window_s):
    """Those of `charges` that are one purchase with `charge` and before it, whatever the clock."""
    return _purchase(charge, charges, window_s, True)


def purchase_fen(charge, charges, window_s):
    """What counts against the limit without PIN when `charge` is taken: it and what went before.

    `charges` are those of the ring or of the books, in any order; others than this card's at this
    merchant are passed over, and so is `charge` itself.
    """
    total_fen = charge[AMOUNT_FEN]
    for other in possibly_with(charge, charges, window_s):
        total_fen += other[AMOUNT_FEN]
    return total_fen


def evidence(charges, window_s, limit_fen):
    """Purchases without PIN that were split below the limit, from booked charges in any order.

    A list of (card_no, merchant_no, is_sure, total_fen, charges in order of time): each charge is
    within the limit, their sum is above it. What is part of another finding is left out. The work
    grows with the square of what one card paid one merchant: ledger/splits.py asks for each run of
    charges that lie near each other.
    """
    groups = {}
    for charge in charges:
        # Above the limit only what ends a purchase: the holder was there.
        if 0 < charge[AMOUNT_FEN] <= limit_fen or charge[FLAGS] & HOLDER:
            groups.setdefault((charge[CARD_NO], charge[MERCHANT_NO]), {})[charge[:2]] = charge
    found = []
    for group in sorted(groups):
        taken = sorted(groups[group].values(), key=_moment)
        for is_sure, parts in _largest(_splits(taken, window_s, limit_fen)):
            found.append((group[0], group[1], is_sure, _total_fen(parts), tuple(parts)))
    return found


def _splits(taken, window_s, limit_fen):
    """(is_sure, charges) of each purchase above the limit, by its last charge."""
    for last in taken:
        if last[FLAGS] & HOLDER:
            continue
        for is_sure in (True, False):
            parts = _purchase(last, taken, window_s, is_sure) + [last]
            if _total_fen(parts) > limit_fen:
                yield is_sure, sorted(parts, key=_moment)
                break


def _largest(splits):
    """Without those that tell nothing which another does not tell, and as surely."""
    kept = []
    # Sure ones and large ones first, so that nothing kept is part of what comes after it.
    for is_sure, parts in sorted(splits, key=lambda split: (not split[0], -len(split[1]))):
        if not any(all(part in known for part in parts) for _, known in kept):
            kept.append((is_sure, parts))
    kept.sort(key=lambda split: [_moment(part) for part in split[1]])
    return kept


def _purchase(charge, charges, window_s, must_be_sure):
    own = [other for other in charges if _is_of(charge, other)]
    pins = [other for other in own if other[FLAGS] & HOLDER]
    return [
        other
        for other in own
        if not other[FLAGS] & HOLDER
        and _is_within(charge, other, window_s, must_be_sure)
        and not any(_is_ended(other, pin, charge, must_be_sure) for pin in pins)
    ]


def _is_of(charge, other):
    return (
        other[CARD_NO] == charge[CARD_NO]
        and other[MERCHANT_NO] == charge[MERCHANT_NO]
        and other[:2] != charge[:2]
        and other[AMOUNT_FEN] > 0
    )


def _is_within(charge, other, window_s, must_be_sure):
    least_s, most_s = apart_s(other, charge)
    if must_be_sure:
        return most_s <= window_s and is_before(other, charge)
    return least_s <= window_s and not is_before(charge, other)


def _is_ended(other, pin, charge, is_doubt_enough):
    """Whether the holder gave the PIN after `other` and before `charge`; or only may have."""
    if is_doubt_enough:
        return not is_before(pin, other) and not is_before(charge, pin)
    return is_before(other, pin) and is_before(pin, charge)


def _moment(charge):
    return (charge[EARLIEST_S], charge[LATEST_S], charge[DEVICE], charge[SEQ])


def _total_fen(charges):
    return sum([charge[AMOUNT_FEN] for charge in charges])


class Recent:
    """The last charges of one POS for its merchant; a ring of fixed size, integers only."""

    # What is kept of a charge; device and merchant are those of the ring.
    _KEPT = (SEQ, CARD_NO, AMOUNT_FEN, EARLIEST_S, LATEST_S, BOOT_ID, MONO_S, FLAGS)

    def __init__(self, device, merchant_no, room=ROOM):
        self._device = device
        self._merchant_no = merchant_no
        self._room = room
        self._numbers = array("I", bytes(4 * room * len(self._KEPT)))
        self._noted = 0

    def note(self, charge):
        """Remember a charge, whose INTENT is written; the oldest one makes room."""
        at = self._noted % self._room * len(self._KEPT)
        for place, field in enumerate(self._KEPT):
            self._numbers[at + place] = charge[field]
        self._noted += 1

    def undo(self, seq):
        """Forget the charge of the INTENT `seq`: it was not committed, or is cancelled."""
        width = len(self._KEPT)
        for at in range(0, len(self._numbers), width):
            if self._numbers[at] == seq:
                self._numbers[at + 2] = 0

    def of(self, card_no):
        """The charges of a card that took money, or may have."""
        width = len(self._KEPT)
        for at in range(0, min(self._noted, self._room) * width, width):
            seq, card, amount_fen = self._numbers[at : at + 3]
            if card == card_no and amount_fen:
                times = tuple(self._numbers[at + 3 : at + width])
                yield (self._device, seq, card, self._merchant_no, amount_fen) + times

    def purchase_fen(self, charge, window_s):
        """What counts against the limit without PIN when `charge` is taken here."""
        return purchase_fen(charge, self.of(charge[CARD_NO]), window_s)

    def take_up(self, records):
        """After a boot: remember what the journal still holds.

        `records` are the fields of its records, oldest first; other kinds are passed over. What is
        gone from the journal has been booked: the ledger sees it.
        """
        for record in records:
            kind = record["kind"]
            if kind == messages.INTENT and record["flags"] & messages.FLAG_TRY:
                continue  # a try takes nothing
            if kind == messages.INTENT and record["merchant_no"] == self._merchant_no:
                if record["device"] == self._device:
                    self.note(charge_of(record))
            elif kind == messages.OUTCOME and record["result"] == messages.NOT_COMMITTED:
                if record["intent_device"] == self._device:
                    self.undo(record["intent_seq"])
            elif kind == messages.CANCEL:
                self.undo(record["intent_seq"])
