"""A campus whose readers have already been busy: chains of genuine sealed records to deliver.

Each device has cards of its own; every spend is an INTENT and its OUTCOME, and everything in it
adds up, so that the ledger books each of them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ledger.store import LedgerStore
from protocols.wire import messages, seal

SITE = "bench"
MERCHANT = 71
CARDS_PER_DEVICE = 20
OPENING_FEN, AMOUNT_FEN = 1_000_000, 850
_FIRST_DEVICE, _FIRST_CARD = 1001, 20_001


@dataclass
class Card:
    """What a card says of itself before the next debit."""

    card_no: int
    counter: int = 0
    balance_fen: int = OPENING_FEN
    last: tuple[int, int] = (0, 0)


class Device:
    """One reader: `records` (sealed) as they stand in its journal, from sequence 1."""

    def __init__(self, index: int, spends: int) -> None:
        self.device = _FIRST_DEVICE + index
        self.key = hashlib.sha256(b"bench device %d" % index).digest()
        self.records: list[bytes] = []
        first = _FIRST_CARD + index * CARDS_PER_DEVICE
        self.cards = [Card(first + i) for i in range(CARDS_PER_DEVICE)]
        for spend in range(spends):
            self._spend(self.cards[spend % CARDS_PER_DEVICE])

    def _spend(self, card: Card) -> None:
        after_fen = card.balance_fen - AMOUNT_FEN
        seq = self._write(
            messages.INTENT,
            card_no=card.card_no,
            counter=card.counter,
            amount_fen=AMOUNT_FEN,
            before_fen=card.balance_fen,
            after_fen=after_fen,
            merchant_no=MERCHANT,
            last_device=card.last[0],
            last_seq=card.last[1],
            flags=0,
        )
        self._write(
            messages.OUTCOME,
            intent_device=self.device,
            intent_seq=seq,
            result=messages.COMMITTED,
        )
        card.counter, card.balance_fen, card.last = card.counter + 1, after_fen, (self.device, seq)

    def _write(self, kind: int, **fields: int) -> int:
        seq = len(self.records) + 1
        head = {
            "kind": kind,
            "device": self.device,
            "seq": seq,
            "earliest_s": 1_790_000_000 + seq,
            "latest_s": 1_790_000_004 + seq,
            "boot_id": 7,
            "mono_ms": 600_000 + 1000 * seq,
        }
        before = seal.tag_of(self.records[-1]) if self.records else seal.CHAIN_START
        payload = messages.encode_record(head | fields)
        self.records.append(seal.seal(self.key, payload, before))
        return seq


@dataclass
class Campus:
    """Its devices, and how many spends they have recorded in all."""

    devices: list[Device]
    spends: int

    @classmethod
    def busy(cls, devices: int, spends_each: int) -> "Campus":
        """`devices` readers with `spends_each` spends; the same bytes every time."""
        return cls([Device(i, spends_each) for i in range(devices)], devices * spends_each)

    @property
    def records(self) -> int:
        """How many records there are in all."""
        return sum(len(device.records) for device in self.devices)

    def register(self, path: Path) -> None:
        """Make merchant, devices and cards known to the books in the file `path`."""
        store = LedgerStore.open(str(path))
        store.register_merchant(MERCHANT, "bench")
        store.register_devices((d.device, d.key, MERCHANT, SITE) for d in self.devices)
        store.issue_cards(
            (card.card_no, OPENING_FEN) for device in self.devices for card in device.cards
        )
        store.close()

    def forwards(self) -> list[bytes]:
        """All records as FORWARD messages, devices taking turns as they do at an agent."""
        queue = [
            sealed
            for at in range(0, max(len(d.records) for d in self.devices), 8)
            for device in self.devices
            for sealed in device.records[at : at + 8]
        ]
        made = []
        for number, at in enumerate(range(0, len(queue), messages.FORWARD_RECORDS_MAX)):
            records = queue[at : at + messages.FORWARD_RECORDS_MAX]
            fields = {"site": SITE, "number": number, "records": records}
            made.append(messages.encode_message(messages.FORWARD, fields))
        return made
