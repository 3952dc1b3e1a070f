"""Readers as the ledger sees them: chains of sealed records, good ones and bad ones."""

import hashlib
from typing import Any

from ledger.store import LedgerStore
from protocols.wire import messages, seal

CANTEEN, KIOSK = 12, 13  # merchants
CARD, OTHER_CARD = 7, 8
OPENING_FEN = 10_000


class Reader:
    """One device: writes records in the order of its chain and remembers them."""

    def __init__(self, device: int, merchant_no: int = CANTEEN) -> None:
        self.device = device
        self.merchant_no = merchant_no
        self.key = hashlib.sha256(b"key of device %d" % device).digest()
        self.keys = [self.key]  # all it ever had
        self.records: list[bytes] = []
        self.tag = seal.CHAIN_START

    @property
    def seq(self) -> int:
        return len(self.records)

    def fork(self) -> "Reader":
        """A reader that ran on from this one's state: the same identity, its own future."""
        twin = Reader(self.device, self.merchant_no)
        twin.records = list(self.records)
        twin.tag = self.tag
        twin.key, twin.keys = self.key, list(self.keys)
        return twin

    def rotate(self) -> bytes:
        """From now on it seals under another key, which is returned."""
        self.key = hashlib.sha256(self.key).digest()
        self.keys.append(self.key)
        return self.key

    def write(self, kind: int, **fields: Any) -> bytes:
        return self.write_payload(self.payload(kind, **fields))

    def payload(self, kind: int, **fields: Any) -> bytes:
        head = {
            "kind": kind,
            "device": self.device,
            "seq": self.seq + 1,
            "earliest_s": 0,
            "latest_s": 0xFFFFFFFF,
            "boot_id": 1,
            "mono_ms": 1000 * self.seq,
        }
        return messages.encode_record(head | fields)

    def write_payload(self, payload: bytes) -> bytes:
        sealed = seal.seal(self.key, payload, self.tag)
        self.tag = seal.tag_of(sealed)
        self.records.append(sealed)
        return sealed

    def boot(self) -> bytes:
        return self.write(messages.BOOT, cause=1, firmware=1)

    def intent(
        self,
        card_no: int = CARD,
        counter: int = 1,
        amount_fen: int = 100,
        last: tuple[int, int] = (0, 0),
        **fields: Any,
    ) -> tuple[int, int]:
        """An INTENT; its record id."""
        before_fen = fields.pop("before_fen", OPENING_FEN)
        shape = {
            "card_no": card_no,
            "counter": counter,
            "amount_fen": amount_fen,
            "before_fen": before_fen,
            "after_fen": max(0, before_fen - amount_fen),
            "merchant_no": self.merchant_no,
            "last_device": last[0],
            "last_seq": last[1],
            "flags": 0,
        }
        self.write(messages.INTENT, **(shape | fields))
        return self.device, self.seq

    def credit(
        self,
        card_no: int = CARD,
        counter: int = 1,
        number: int = 1,
        amount_fen: int = 5_000,
        last: tuple[int, int] = (0, 0),
        **fields: Any,
    ) -> tuple[int, int]:
        """A CREDIT; its record id."""
        shape = {
            "card_no": card_no,
            "counter": counter,
            "number": number,
            "amount_fen": amount_fen,
            "before_fen": OPENING_FEN,
            "last_device": last[0],
            "last_seq": last[1],
        }
        self.write(messages.CREDIT, **(shape | fields))
        return self.device, self.seq

    def cancel(
        self, intent: tuple[int, int], card_no: int = CARD, amount_fen: int = 100
    ) -> tuple[int, int]:
        """A CANCEL; its record id."""
        self.write(
            messages.CANCEL,
            intent_device=intent[0],
            intent_seq=intent[1],
            card_no=card_no,
            amount_fen=amount_fen,
        )
        return self.device, self.seq

    def punch(self, card_no: int, earliest_s: int, latest_s: int | None = None) -> tuple[int, int]:
        """A PUNCH between two seconds (one, if it was known); its record id."""
        last_s = earliest_s + 1 if latest_s is None else latest_s
        self.write(messages.PUNCH, card_no=card_no, earliest_s=earliest_s, latest_s=last_s)
        return self.device, self.seq

    def code_sale(
        self, number: int, amount_fen: int = 100, result: int = messages.COMMITTED
    ) -> bytes:
        return self.write(messages.CODE_SALE, number=number, amount_fen=amount_fen, result=result)

    def aggregate(self, amount_fen: int = 100, **fields: Any) -> tuple[int, int]:
        """An AGGREGATE; its record id."""
        shape = {"amount_fen": amount_fen, "merchant_no": self.merchant_no}
        self.write(messages.AGGREGATE, **(shape | fields))
        return self.device, self.seq

    def outcome(self, intent: tuple[int, int], result: int = messages.COMMITTED) -> bytes:
        return self.write(
            messages.OUTCOME, intent_device=intent[0], intent_seq=intent[1], result=result
        )

    def spend(self, **fields: Any) -> tuple[int, int]:
        """An INTENT that is committed; its record id."""
        intent = self.intent(**fields)
        self.outcome(intent)
        return intent


def lost(key: bytes, device: int, seq: int, successor: bytes | None) -> bytes:
    """What a reader sends in place of its record `seq`; `successor`: the next one, sealed."""
    fields = {
        "kind": messages.LOST,
        "device": device,
        "seq": seq,
        "earliest_s": 0,
        "latest_s": 0xFFFFFFFF,
        "boot_id": 0,
        "mono_ms": 0,
        "next_sha256": hashlib.sha256(successor).digest() if successor else bytes(32),
    }
    return seal.seal(key, messages.encode_record(fields), messages.LOST_LABEL)


def forward(site: str, number: int, records: list[bytes]) -> bytes:
    return messages.encode_message(
        messages.FORWARD, {"site": site, "number": number, "records": records}
    )


def open_ledger(*readers: Reader, path: str = ":memory:") -> LedgerStore:
    """A ledger that knows two merchants, two cards and `readers` with all their keys."""
    store = LedgerStore.open(path)
    store.register_merchant(CANTEEN, "Canteen")
    store.register_merchant(KIOSK, "Kiosk")
    for reader in readers:
        store.register_device(reader.device, reader.keys[0], reader.merchant_no)
        for key in reader.keys[1:]:
            store.rotate_device_key(reader.device, key)
    store.issue_cards([(CARD, OPENING_FEN), (OTHER_CARD, OPENING_FEN)])
    return store
