"""A door with a scanner: its firmware and lock, phones, and the ledger's books and desk."""

import functools
import random
import tempfile
from pathlib import Path

from firmware.roles import code_door
from ledger.card_validity import Validity, know
from ledger.entry_desk import EntryDesk
from ledger.invariants import check
from ledger.phones import Phones
from ledger.relay_desk import RelayDesk
from ledger.store import LedgerStore
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_IDENTITY
from protocols.wire import messages
from simulator.chips.qr_scanner import QrScanner
from tests.firmware.counter import CARD_NO, DAY, DEVICE_KEY, NOON_S, SITE
from tests.firmware.entrance import DEVICE, STRANGER, Entrance
from tests.ledger.checkout import PROOF
from tests.load.counter import Line

CODE_KEY = bytes(range(32))
IN_OFFICE_HOURS = CARD_NO + 1  # its group may from 8 to 18
OFFSET_S = 28_800
WITH_PHONE = (CARD_NO, IN_OFFICE_HOURS, STRANGER)


@functools.cache
def _opened():
    """(the database of a centre with this door, the seed of each card's phone)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        store = LedgerStore.open(str(path))
        store.register_merchant(1)
        store.register_device(DEVICE, DEVICE_KEY, 1, SITE)
        store.register_device(DEVICE + 1, bytes(32), 1, SITE)
        store.access.add_door(DEVICE, "dorm", 5000, 0)
        store.issue_cards([(card_no, 0) for card_no in WITH_PHONE])
        know(store.database, [Validity(card, 2, DAY - 300, DAY + 700) for card in WITH_PHONE])
        phones = Phones(store.database, CODE_KEY, random.Random(0).randbytes)
        seeds = {card_no: phones.bind(card_no, PROOF, 1)[1] for card_no in WITH_PHONE}
        store.close()
        return path.read_bytes(), seeds


class DoorCentre:
    """The card centre, whose clock goes with that of its door if it goes right. It can die."""

    def __init__(self, path):
        database, self.seeds = _opened()
        Path(path).write_bytes(database)
        self.path = str(path)
        self.skew_s = 0
        self.clock = None
        self.boot()

    def boot(self):
        """Begin with what is on the disk."""
        self.store = LedgerStore.open(self.path)
        phones = Phones(self.store.database, CODE_KEY, random.Random(1).randbytes)
        interval_ms = lambda: (self.now_s * 1000, self.now_s * 1000)  # noqa: E731
        self.entries = EntryDesk(self.store, phones, interval_ms, OFFSET_S)
        relays = RelayDesk(self.store, self.entries)
        # By its own clock, not by that of a door, which begins anew with every boot.
        hear = relays.hear
        relays.hear = lambda *said: hear(*said[:-1], self.clock.now_us // 1000)
        self.desk = relays

    def die(self):
        self.store.close()
        self.boot()

    @property
    def now_s(self):
        return NOON_S + self.skew_s + self.clock.now_us // 1_000_000

    def code(self, card_no=CARD_NO, made_s=None, kind=CAMPUS_IDENTITY, seed=None, number=0):
        """What the phone shows now; another `number`, another code of the same second."""
        nonce = number.to_bytes(virtual_code.NONCE_BYTES, "big")
        seed = self.seeds[card_no] if seed is None else seed
        made_s = self.now_s if made_s is None else made_s
        return virtual_code.make(seed, kind, card_no, made_s, nonce)

    def unused(self):
        """(number, card_no) of the answers that no ENTRY has."""
        return [(one.number, one.card_no) for one in self.store.code_entries.unused(1 << 40)]


class Wire(Line):
    """As the uplink of a door: what was said is carried in its next step."""

    def step(self, now_ms):
        self.pump(now_ms)
        return now_ms + 1000


class CodeEntrance(Entrance):
    """One door with a scanner; `line` is its way to `centre`."""

    build = staticmethod(code_door.build)

    def __init__(self, centre, **own):
        self.centre = centre
        self.line = Wire(centre, DEVICE)
        super().__init__(boot=False, **own)
        centre.clock = self.clock
        self.hardware.scanner = QrScanner(self.clock, random.Random(DEVICE))
        self.boot()
        self.secured()

    def boot(self, cause=1, tell_time=True):
        super().boot(cause, tell_time)
        if self.device is not None:
            self.device._uplink = self.line
            self.line.on_relay = self.device.hear

    def show(self, code, hold_ms=800):
        """Hold a phone there for a while."""
        self.hardware.scanner.show(code)
        self.run_ms(hold_ms)
        self.hardware.scanner.show(None)
        return self.run_ms(100)

    def enters(self, code, hold_ms=800):
        """Whether a phone lets one in; back at the locked door afterwards."""
        grants = self.told().count(("grant", "granted"))
        self.show(code, hold_ms)
        is_let_in = self.told().count(("grant", "granted")) > grants
        self.run_ms(9_000)
        return is_let_in

    def numbers(self):
        """(card_no, reason, number) of each ENTRY, oldest first."""
        return [
            (each["card_no"], each["reason"], each.get("number", 0))
            for each in self.records(messages.ENTRY)
        ]

    def deliver(self):
        """Everything in its journal is booked; the books hold. The cases there are."""
        journal = self.device._recorder._journal
        sealed = [journal.record(seq) for seq in range(1, journal.head_seq + 1)]
        self.centre.store.book([[record for record in sealed if record]])
        assert check(self.centre.store) == []
        return self.centre.store.cases()
