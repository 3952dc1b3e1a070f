"""Prints what a till makes of PINs, right and wrong; the same text in CPython and MicroPython.

Run by test_on_micropython.py, with the repository on the path. The card is a purse in memory with
the states and the verifier of protocols.card; till, recorder and journal are a reader's own.
"""

import binascii

from firmware.services.journal import Journal
from firmware.services.records import Recorder
from firmware.services.till import Till
from protocols.card import pin
from protocols.card.diversify import Cmac
from protocols.card.identity import Identity
from protocols.card.purse import PurseState, PurseView, state_after, state_with_tries
from protocols.wire import messages, seal
from tests.drivers.portable_card import board_aes
from tests.firmware.ring import PlainFlash

DAY = 20700
DEVICE = 1001
UIDS = (binascii.unhexlify("de3ac417"), binascii.unhexlify("04a1b2c3d4e5f6"))
POLICY = {
    "epoch": 1,
    "utc_offset_s": 28800,
    "amount_max_fen": 8000,
    "no_pin_max_fen": 5000,
    "since_pin_max_fen": 50000,
    "day_max_fen": 60000,
    "offline_max_fen": 6000,
    "clock_width_max_ms": 120000,
    "blind_max_fen": 2000,
    "pin_tries_max": 3,
    "split_window_s": 180,
    "map_stale_s": 0,
    "stale_max_fen": 0,
    "map_expired_s": 0,
    "offline_day_max_fen": 0,
    "offline_count_max": 0,
    "offline_sum_max_fen": 0,
    "offline_age_max_s": 0,
    "since_pin_count_max": 0,
    "staff_day_max_fen": 0,
    "student_day_max_fen": 0,
    "temporary_day_max_fen": 0,
    "floor_max_fen": 0,
}
DIGITS, WRONG = b"802613", b"802614"
# amount_fen, what is typed, whether the merchant says that it is the holder
SCRIPT = (
    (1250, None, False),
    (6000, None, False),
    (6000, b"12", False),
    (6000, WRONG, False),
    (6000, DIGITS, False),
    (6000, DIGITS, False),
    (7000, None, False),
    (7000, WRONG, False),
    (7000, WRONG, False),
    (7000, WRONG, False),
    (7000, DIGITS, False),
    (7000, None, True),
    (7000, None, True),
    (1250, None, False),
)


class Clock:
    """Knows the time."""

    def interval_ms(self, now_ms):
        start_ms = DAY * 86400000 + 14400000 + now_ms
        return start_ms, start_ms + 1000


class MemoryPurse:
    """A purse whose card never leaves."""

    card_proof = b""

    def __init__(self, aes, uid):
        self._aes, self._master = aes, Cmac(aes(bytes(range(16, 32))))
        self.uid, self.state = uid, PurseState(0, 40000)
        self._verifier = self._told(DIGITS)

    def _told(self, digits):
        return pin.verifier(self._master, self.uid, 4711, digits, self._aes)

    def read(self):
        return PurseView(self.uid, Identity(4711, 2, DAY - 300, DAY + 700, 1), self.state, None)

    read_again = read

    def debit(self, view, amount_fen, device, seq, time_s, *usage):
        self.state = state_after(view, amount_fen, device, seq, time_s, usage)
        return messages.COMMITTED

    def count_try(self, view, device, seq, time_s):
        self.state = state_with_tries(view, view.pin_tries + 1, device, seq, time_s)
        return messages.COMMITTED

    def holder_name(self):
        return b""

    def pin_verifier(self):
        return self._verifier

    def is_pin(self, view, pin_verifier, digits):
        return self._told(digits) == pin_verifier


def pay(till, purse, amount_fen, now_ms, digits=None, is_holder=False):
    """What the till says."""
    return till.spend(
        purse,
        lambda _view, _at_ms: (0, amount_fen, 0, 0),
        "mains",
        "online",
        now_ms,
        pin=digits,
        is_holder=is_holder,
    )


def show(journal, first):
    """The records from `first` on, and their seals."""
    for seq in range(first, journal.head_seq + 1):
        sealed = journal.record(seq)
        payload = seal.payload_of(sealed)
        fields = messages.decode_record(payload)
        print(seq, fields["kind"], fields.get("flags"), fields.get("reason"))
        print(binascii.hexlify(seal.tag_of(sealed)).decode())


def main():
    """Every line of the script on both lengths of UID; then the card is withheld."""
    aes = board_aes()
    for uid in UIDS:
        purse = MemoryPurse(aes, uid)
        journal = Journal(PlainFlash(4))
        journal.recover()
        recorder = Recorder(journal, DEVICE, bytes(range(32)), Clock())
        settings = {"device": DEVICE, "merchant_no": 71, "policy": POLICY}
        till = Till(recorder, Clock(), settings)
        now_ms = 0
        for amount_fen, typed, is_holder in SCRIPT:
            now_ms += 1000
            first = journal.head_seq + 1
            digits = None if typed is None else bytearray(typed)
            said = pay(till, purse, amount_fen, now_ms, digits, is_holder)
            state = purse.state
            print(said, digits, till.asked and till.asked["tries_left"])
            print(state.counter, state.balance_fen, state.pin_tries, state.since_pin_fen)
            show(journal, first)
        first = journal.head_seq + 1
        print(pay(till, purse, 7000, now_ms))
        till.capture(now_ms)
        print(pay(till, purse, 1250, now_ms))
        show(journal, first)
        print(binascii.hexlify(purse.pin_verifier()).decode(), recorder.kept(2))


if __name__ == "__main__":
    main()
