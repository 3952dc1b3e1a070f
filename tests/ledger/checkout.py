"""A ledger that phones pay at: its desk, its books, its clock, and readers that ask it."""

import random

from ledger.code_desk import ASK_MS_MIN, CodeDesk
from ledger.code_sales import CodePolicy
from ledger.invariants import check
from ledger.phones import Phones, Proof
from ledger.relay_desk import RelayDesk
from ledger.store import LedgerStore
from protocols.card import virtual_code
from protocols.rules.scan_codes import CAMPUS_PAYMENT
from protocols.wire import messages, seal
from tests.ledger.readers import CARD, open_ledger

SITE, NOW_S, PAID_IN_FEN = "campus", 1_795_600_000, 5_000
CODE_KEY = bytes(range(32))
PROOF = Proof("id-card", "wang")  # of somebody whose number is in no book
POLICY = CodePolicy(sale_max_fen=3_000, day_max_fen=6_000)


class Checkout:
    """CARD has a phone and PAID_IN_FEN waiting; `error_ms` is how unsure the ledger's clock is."""

    def __init__(self, *readers, path=":memory:", paid_in_fen=PAID_IN_FEN, policy=POLICY, seed=0):
        self.path = path
        self.policy = policy
        self.now_ms = NOW_S * 1000
        self.error_ms = 0
        self._draw = random.Random(seed)
        open_ledger(*readers, path=path).close() if path != ":memory:" else None
        self.store = open_ledger(*readers) if path == ":memory:" else None
        self.boot()
        if paid_in_fen:
            self.store.top_ups.top_up(CARD, paid_in_fen, "order-1")
        self.seed = self.phones.bind(CARD, PROOF, 1)[1]

    def boot(self):
        """Begin again with what is on the disk."""
        if self.path != ":memory:":
            if self.store is not None:
                self.store.close()
            self.store = LedgerStore.open(self.path)
        self.phones = Phones(self.store.database, CODE_KEY, self._draw.randbytes)
        interval_ms = lambda: (self.now_ms - self.error_ms, self.now_ms + self.error_ms)  # noqa: E731
        self.desk = CodeDesk(self.store, self.phones, self.policy, interval_ms)
        self.relays = RelayDesk(self.store, self.desk)

    @property
    def now_s(self):
        return self.now_ms // 1000

    def code(self, seed=None, card=CARD, made_s=None, kind=CAMPUS_PAYMENT):
        """What the phone shows now: another one each time."""
        made_s = self.now_s if made_s is None else made_s
        nonce = self._draw.randbytes(virtual_code.NONCE_BYTES)
        return virtual_code.make(seed or self.seed, kind, card, made_s, nonce)

    def asked(self, reader, code=None, amount_fen=100, seq=None, nonce=None):
        """What a reader asks, as the fields of a PAY_ASK."""
        return {
            "nonce": nonce or self._draw.randbytes(8),
            "code": code or self.code(),
            "amount_fen": amount_fen,
            "seq": reader.seq + 1 if seq is None else seq,
        }

    def say(self, reader, fields, key=None, site=SITE):
        """What the reader says, and the fields of the PAY_ANSWER it hears; None: nothing."""
        relay_key = seal.derive(key or reader.key, messages.RELAY_LABEL)
        payload = messages.encode_relayed(messages.PAY_ASK, fields)
        said = seal.seal(relay_key, payload, messages.RELAY_UP)
        self.now_ms += ASK_MS_MIN
        answer = self.relays.hear(site, reader.device, said, self.now_ms)
        if answer is None:
            return None
        opened = seal.unseal(relay_key, answer, messages.RELAY_DOWN)
        heard = messages.decode_relayed(opened, (messages.PAY_ANSWER,))
        assert heard.pop("nonce") == fields["nonce"]
        assert heard.pop("kind") == messages.PAY_ANSWER
        return heard

    def ask(self, reader, **fields):
        return self.say(reader, self.asked(reader, **fields))

    def book(self, *readers):
        """Everything of `readers` is booked; the books hold."""
        for reader in readers:
            self.store.book([reader.records])
        assert check(self.store) == []

    def money(self, card_no=CARD):
        """(pending, reserved) of a card."""
        balances = self.store.balances()
        return balances.get(("pending", card_no), 0), balances.get(("reserved", card_no), 0)
