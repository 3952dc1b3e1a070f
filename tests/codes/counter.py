"""A window with a scanner: the POS, its scanner, phones, and the ledger's books and desks."""

import functools
import random
import tempfile
from pathlib import Path

from firmware.roles import code_pos
from ledger.acquirer_client import HttpAcquirer
from ledger.acquirer_desk import AcquirerDesk
from ledger.code_desk import CodeDesk
from ledger.code_sales import CodePolicy
from ledger.invariants import check
from ledger.phones import Phones
from ledger.relay_desk import RelayDesk
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_PAYMENT
from protocols.wire import messages
from simulator.chips.qr_scanner import QrScanner
from tests.firmware.counter import CARD_NO, DEVICE, MERCHANT
from tests.ledger.acquiring import AtOnce
from tests.ledger.checkout import PROOF
from tests.load.counter import LOAD_FEN, Centre
from tests.load.counter import _Watcher as Watcher
from tests.load.test_cancel import Booth

SALE_FEN = 1250
WAITING_FEN = LOAD_FEN  # for CARD_NO, at the beginning
CODE_KEY = bytes(range(32))
POLICY = CodePolicy(sale_max_fen=3_000, day_max_fen=6_000)


@functools.cache
def _opened(devices):
    """(the database of a centre with these readers, the seed of the one phone that is bound)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        centre = Centre(path, "classic", devices=devices)
        draw = random.Random(0)
        seed = Phones(centre.store.database, CODE_KEY, draw.randbytes).bind(CARD_NO, PROOF, 1)[1]
        centre.store.close()
        return path.read_bytes(), seed


class CodeCentre(Centre):
    """The card centre, with one phone bound; `acquirer`: the Way to one, if it has one."""

    def __init__(self, path, devices=(DEVICE,), acquirer=None):
        database, self.seed = _opened(devices)
        Path(path).write_bytes(database)
        self.path = str(path)
        self.skew_s = self.boots = 0
        self.clocks = []
        self.way = acquirer
        self.boot()

    def boot(self):
        super().boot()
        books = self.store.acquirer_orders, self.store.acquirer_statements
        self.pool = AtOnce()
        self.acquirer = None
        if self.way is not None:
            client = HttpAcquirer(self.way)
            self.acquirer = AcquirerDesk(*books, client, self.pool, lambda: self.now_s)
        phones = Phones(self.store.database, CODE_KEY, random.Random(self.boots).randbytes)
        self.codes = CodeDesk(
            self.store,
            phones,
            POLICY,
            lambda: (self.now_s * 1000, self.now_s * 1000),
            self.acquirer,
        )
        relays = RelayDesk(self.store, self.credit, self.codes)
        # By its own clock, not by that of a window, which begins anew with every boot.
        relays.hear = lambda *said, hear=relays.hear: self._hear(hear, said)
        self.desk = relays

    def _hear(self, hear, said):
        self.step_acquirer()
        return hear(*said[:-1], self.now_ms)

    def step_acquirer(self):
        """What the acquirer was asked is answered, and what it is to be told is said."""
        if self.acquirer is not None:
            self.acquirer.step(self.now_ms)
            self.pool.run()
            self.acquirer.step(self.now_ms)

    @property
    def now_ms(self):
        return max(clock.now_us for clock in self.clocks) // 1000

    def code(self, made_s=None, kind=CAMPUS_PAYMENT, seed=None, number=0):
        """What the phone shows now; another `number`, another code of the same second."""
        made_s = self.now_s if made_s is None else made_s
        nonce = number.to_bytes(virtual_code.NONCE_BYTES, "big")
        return virtual_code.make(seed or self.seed, kind, CARD_NO, made_s, nonce)

    def settled(self, sold, *windows):
        """All is delivered: so many sales by code are the merchant's, the rest waits; no case."""
        for window in windows:
            window.deliver()
        store = self.store
        assert check(store) == []
        balances = store.balances()
        assert balances["pending", CARD_NO] == WAITING_FEN - sold * SALE_FEN
        assert balances.get(("reserved", CARD_NO), 0) == 0
        assert balances.get(("merchant", MERCHANT), 0) == sold * SALE_FEN
        assert store.cases() == []


class CodeWatcher(Watcher):
    """Whenever PAID is shown, what says so stands on flash."""

    def add(self, time_us, who, what, data=b""):
        super().add(time_us, who, what, data)
        if what == "beep":
            self.beeps.append((time_us // 1000, data))
        if what == "display" and b"PAID 1" in data and b"LAST" not in data:
            last = self._counter.records(messages.CODE_SALE, messages.OUTCOME)[-1]
            assert last["result"] == messages.COMMITTED


class CodeWindow(Booth):
    """One window. `show` holds a phone before its scanner."""

    build = staticmethod(code_pos.build)

    def boot(self, tell_time=True):
        if self.hardware.scanner is None:
            self.hardware.scanner = QrScanner(self.clock, random.Random(self.device))
            self.witness = self.hardware.transcript = CodeWatcher(self)
        super().boot(tell_time)
        codes, load = self.pos._codes, self.pos._load
        codes._uplink = self.line
        codes._others = load.hear
        self.line.on_relay = codes.hear
        self.run_ms(2_000)  # the scanner is set up

    def arm(self, amount="12.50"):
        """An order of SALE_FEN, and the scanner looks."""
        self.key(amount.encode() + b"\r")
        self.run_ms(300)

    def show(self, code, hold_ms=800):
        """Hold a code there for a while."""
        self.hardware.scanner.show(code)
        self.run_ms(hold_ms)
        self.hardware.scanner.show(None)

    def pay(self, code, hold_ms=800):
        """An order and a phone; what the display says then."""
        self.arm()
        self.show(code, hold_ms)
        return self.shown

    def sales(self):
        """(number, result) of each CODE_SALE, oldest first."""
        return [(sale["number"], sale["result"]) for sale in self.records(messages.CODE_SALE)]
