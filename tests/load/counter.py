"""A counter with its line to the card centre: the POS, real cards, the ledger's books and desk.

What stands between the two in a building (broker, agent, broker) is a line here, which loses,
doubles, holds back, changes and invents what is said, message by message.
"""

import functools
import random
import tempfile
from pathlib import Path

from adapters.aes import CIPHERS
from firmware.services.journal import Journal
from ledger.credit_desk import CreditDesk
from ledger.invariants import check
from ledger.relay_desk import RelayDesk
from ledger.store import LedgerStore
from protocols.card import purse_desfire
from protocols.card.identity import Identity
from protocols.wire import messages
from protocols.wire.errors import WireError
from simulator.cardbox_desfire import DesfireMasters, issue
from simulator.cardbox_desfire import truth as desfire_truth
from simulator.cards.desfire import Desfire
from tests.firmware.counter import (
    BALANCE_FEN,
    CARD_NO,
    CREDIT_KEY,
    DAY,
    DEVICE,
    DEVICE_KEY,
    MERCHANT,
    NOON_S,
    PURSE_KEY,
    SITE,
    Counter,
    Witness,
    _ReadOnly,
    card_no_of,
    new_card,
    truth,
)

LOAD_FEN = 5_000
CHIPS = ("classic", "desfire")
_UID7 = bytes.fromhex("04a1b2c3d4e5f6")


def a_card(chip, seed=0, torn="mixed", card_no=CARD_NO, balance_fen=BALANCE_FEN):
    """The card CARD_NO, or another, as the card centre makes it."""
    if chip == "classic":
        card = new_card(card_no, balance_fen, seed=seed)
    else:
        identity = Identity(card_no, 2, DAY - 300, DAY + 700, 1)
        masters = DesfireMasters.beside(PURSE_KEY, CREDIT_KEY)
        uid = _UID7[:-1] + bytes((_UID7[-1] + card_no - CARD_NO,))
        card = issue(uid, identity, balance_fen, masters, random.Random(seed))
    card.torn = torn
    return card


def view_of(card):
    """What really stands on a card."""
    return desfire_truth(card) if isinstance(card, Desfire) else truth(card)


@functools.cache
def _books(chip, loads, devices):
    """A file of books with one card and `loads` for it; made once, for a new one takes long."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        store = LedgerStore.open(str(path))
        store.register_merchant(MERCHANT)
        for device in devices:
            store.register_device(device, DEVICE_KEY, MERCHANT, SITE)
        store.issue_cards([(CARD_NO, BALANCE_FEN)])
        uid = _UID7 if chip == "desfire" else new_card().uid
        kind = messages.DESFIRE if chip == "desfire" else messages.CLASSIC
        store.know_chips([(CARD_NO, uid)], kind)
        for order in range(loads):
            store.top_ups.top_up(CARD_NO, LOAD_FEN, f"order-{order}")
        store.close()
        return path.read_bytes()


class Centre:
    """The card centre: books with one card and one load for it, and the desk. It can die."""

    def __init__(self, path, chip, loads=1, devices=(DEVICE,)):
        self.path = str(path)
        self.skew_s = 0
        self.clocks = []
        path.write_bytes(_books(chip, loads, tuple(devices)))
        self.boots = 0
        self.boot()

    def boot(self):
        """Begin with what is on the disk."""
        self.boots += 1
        self.store = LedgerStore.open(self.path)
        draw = random.Random(self.boots)
        self.credit = CreditDesk(
            self.store, CIPHERS, CREDIT_KEY, draw.randbytes, lambda: self.now_s
        )
        self.desk = RelayDesk(self.store, self.credit)

    @property
    def now_s(self):
        """The centre's clock goes with the windows', if it goes right."""
        return NOON_S + self.skew_s + max(clock.now_us for clock in self.clocks) // 1_000_000

    def die(self):
        self.store.close()
        self.boot()

    def book(self, *counters):
        """Everything in the journals is booked; the books hold."""
        for counter in counters:
            self.store.book([counter.sealed()])
        assert check(self.store) == []

    def money(self):
        """(purse, pending) of the card."""
        balances = self.store.balances()
        return balances["holder", CARD_NO], balances["pending", CARD_NO]


class Line:
    """One reader's, to the centre and back. `plan`: (direction, number) -> what happens to it."""

    stream = None  # nobody asks here where a reader stands

    def __init__(self, centre, device):
        self._centre = centre
        self._device = device
        self.online = True
        self.plan = {}
        self.said = {"up": [], "down": []}
        self.on_relay = None
        self._up, self._down, self._late = [], [], []
        self.refused = []  # what a reader said to what it heard
        self.unheard = 0  # what the centre refused

    def say(self, message_type, fields):
        assert message_type == messages.RELAY
        if not self.online:
            return False
        self._up += self._fate("up", fields["sealed"])
        return True

    def pump(self, now_ms):
        """Carry what is there; True if something came to the reader."""
        ups, self._up = self._up, []
        for sealed in ups:
            data = messages.encode_message(
                messages.RELAY, {"device": self._device, "sealed": sealed}
            )
            fields = messages.decode_message(data, (messages.RELAY,))
            try:
                answer = self._centre.desk.hear(SITE, self._device, fields["sealed"], now_ms)
            except WireError:
                self.unheard += 1
                continue
            if answer is not None:
                self._down += self._fate("down", answer)
        downs, self._down = self._down, []
        for sealed in downs:
            self._tell(sealed, now_ms)
        return bool(downs)

    def bring_late(self, now_ms):
        """What was held back arrives now."""
        late, self._late = self._late, []
        for direction, sealed in late:
            (self._up if direction == "up" else self._down).append(sealed)
        self.pump(now_ms)

    def _tell(self, sealed, now_ms):
        try:
            word = self.on_relay(sealed, now_ms)
        except WireError as error:
            word = str(error)
        if word:
            self.refused.append(word)

    def _fate(self, direction, sealed):
        said = self.said[direction]
        said.append(sealed)
        act = self.plan.get((direction, len(said) - 1))
        if act in ("away", "denied"):
            # The agent says that nobody will answer; "denied": somebody does, or has.
            unheard = self.said["up"][-1][-messages.UNHEARD_BYTES :]
            if direction == "down":
                return [sealed, unheard]
            self._down.append(unheard)
        if act == "late":
            self._late.append((direction, sealed))
        if act == "forged":
            middle = len(sealed) // 2
            sealed = sealed[:middle] + bytes((sealed[middle] ^ 1,)) + sealed[middle + 1 :]
        if act == "old" and len(said) > 1:
            return [said[-2]]
        return {"lost": [], "away": [], "late": [], "twice": [sealed, sealed]}.get(act, [sealed])


class _Watcher(Witness):
    """As the witness of the POS; a card may also change behind its CREDIT."""

    def look_at_cards(self):
        for card in self._counter.cards:
            has = _written(card)
            if has != self.written.get(card, has):
                last = self._counter.records()[-1]
                assert last["kind"] in (messages.INTENT, messages.CREDIT)
            self.written[card] = has

    def add(self, time_us, who, what, data=b""):
        if what == "display":
            self.texts.append(data.decode())
        elif what == "spi":
            self.look_at_cards()


def _written(card):
    """Something that is another as soon as the card has changed for good."""
    if isinstance(card, Desfire):
        return card.truth(purse_desfire.APPLICATION, purse_desfire.VALUE_FILE)
    return card.eeprom_writes


class Window(Counter):
    """One window of the canteen, with its line."""

    def __init__(self, centre, device=DEVICE, seed=0, loads=True, **policy):
        self.centre = centre
        self.line = None
        own = {"load_cards": 1} if loads else {}
        super().__init__(seed=seed, boot=False, device=device, own=own, **policy)
        self.witness = _Watcher(self)
        self.hardware.transcript = self.witness
        centre.clocks.append(self.clock)
        self.device = device
        self.boot()

    def boot(self, tell_time=True):
        self.line = None
        super().boot(tell_time)
        self.line = Line(self.centre, self.device)
        load = self.pos._load
        load._uplink = self.line
        self.line.on_relay = load.hear

    def run_ms(self, duration_ms):
        end_us = self.clock.now_us + duration_ms * 1000
        while True:
            due_ms = self.pos.step(self.ticks_us() // 1000)
            if self.line is not None and self.line.pump(self.ticks_us() // 1000):
                due_ms = self.ticks_us() // 1000
            wait_us = max(due_ms * 1000 - self.ticks_us(), 0)
            if self.clock.now_us + wait_us > end_us:
                self.clock.advance_to(end_us)
                return
            self.clock.advance_us(max(wait_us, 1000))

    def put(self, *cards):
        for card in cards:
            if card not in self.cards:
                self.cards.append(card)
            self.witness.written[card] = _written(card)
            self.hardware.put_card(card)

    def take(self, *cards):
        super().take(*cards)
        self.cards = [card for card in self.cards if card not in cards]

    def sealed(self):
        """All records in the journal, as they are sent."""
        journal = Journal(_ReadOnly(self.flash))
        journal.recover()
        return [journal.record(seq) for seq in range(1, journal.head_seq + 1)]

    def visit(self, card, amount="1.00", hold_ms=3_000):
        """Pay, and leave the card where it is for a while; the last that the lower line said."""
        self.key(amount.encode() + b"\r")
        self.put(card)
        shown = len(self.witness.texts)
        self.run_ms(hold_ms)
        self.take(card)
        self.run_ms(12_000)
        said = [text[3:-1] for text in self.witness.texts[shown:] if text[2] == "B"]
        return ["", *filter(None, said)][-1]


__all__ = ["BALANCE_FEN", "CARD_NO", "Centre", "Line", "Window", "a_card", "card_no_of", "view_of"]
