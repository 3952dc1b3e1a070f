"""What was said between a desk and a card: recorded exchanges, without keys.

An exchange is a command and its answer. Its bytes are pairs of hexadecimal digits; bytes of a key
become two stars before anything is kept, so neither a screen nor a file ever holds them:

    frame  a frame on the air; CRC and parity are the chip's and do not appear
    auth   MFAuthent, which the chip does by itself: command, block, key, uid
    apdu   a command to a PC/SC reader or through ISO-DEP

What the bytes mean stands in tools.card.decode.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from firmware.drivers.mfrc522 import ERROR_COLLISION, SILENCE, Mfrc522
from tools.card.dump import HIDDEN, KEY_SPANS, replace_file
from tools.card.errors import BadInput

FORMAT, VERSION = "onecard card trace", 1
FRAME, AUTH, APDU = "frame", "auth", "apdu"
COLLIDED, DAMAGED = "collision", "damaged"

_AUTH_KEY = ((2, 8),)
_WRITE, _READ = "a0", "30"
_NIBBLE_BITS = 4
# DESFire commands that carry a new key (ChangeKey, ChangeKeyEV2, CreateTransactionMACFile): it is
# encrypted, but under a key that the factory has published.
_KEY_COMMANDS = ("c4", "c6", "ce")
_EVERYTHING = ((0, 1 << 16),)

Octets = tuple[str, ...]


def octets(data: bytes) -> Octets:
    """`data` as pairs of hexadecimal digits."""
    return tuple(f"{byte:02x}" for byte in data)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A command (`sent`) from `start_us`, and what was `heard` until `end_us`; None is silence.

    `*_bits` count what of the last byte counts; `note` is COLLIDED, DAMAGED or empty.
    """

    kind: str
    start_us: int
    end_us: int
    sent: Octets
    sent_bits: int
    heard: Octets | None
    heard_bits: int = 0
    note: str = ""


class Recorder:
    """Keeps exchanges, times counted from the first, keys starred out."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self._origin_us = 0
        self._writes_trailer = False
        self._chains_key = False

    def add(self, exchange: Exchange) -> None:
        """Keep `exchange`; one that was starred before stays as it is."""
        if not self.exchanges:
            self._origin_us = exchange.start_us
        self.exchanges.append(
            replace(
                self._starred(exchange),
                start_us=exchange.start_us - self._origin_us,
                end_us=exchange.end_us - self._origin_us,
            )
        )

    def _starred(self, exchange: Exchange) -> Exchange:
        sent, heard = exchange.sent, exchange.heard
        if exchange.kind == AUTH:
            return replace(exchange, sent=_star(sent, _AUTH_KEY))
        if exchange.kind == APDU:
            return _starred_apdu(exchange)
        if self._writes_trailer and len(sent) == 16:
            sent = _star(sent, KEY_SPANS)
        self._writes_trailer = False
        if len(sent) == 2 and sent[0] in (_WRITE, _READ) and _is_trailer(sent[1]):
            if sent[0] == _READ and heard is not None:
                heard = _star(heard, KEY_SPANS)
            self._writes_trailer = sent[0] == _WRITE and exchange.heard_bits == _NIBBLE_BITS
        return replace(exchange, sent=self._star_new_key(sent), heard=heard)

    def _star_new_key(self, sent: Octets) -> Octets:
        """Star what a DESFire command with a key carries, in all its I-blocks."""
        if len(sent) < 3 or HIDDEN in sent[0] or int(sent[0], 16) & 0xE2 != 0x02:
            return sent
        at = 2 if sent[1] == "90" else 1  # wrapped: 90 INS 00 00 Lc data
        starts = len(sent) > at + 1 and sent[at] in _KEY_COMMANDS
        if starts or self._chains_key:
            self._chains_key = bool(int(sent[0], 16) & 0x10)
            return _star(sent, ((at + 2 if starts else 1, len(sent)),))
        return sent


def _is_trailer(block: str) -> bool:
    return int(block, 16) % 4 == 3


def _starred_apdu(exchange: Exchange) -> Exchange:
    """PC/SC part 3: LOAD KEYS carries one, READ and UPDATE BINARY of a trailer two."""
    sent, heard = exchange.sent, exchange.heard
    if sent[:1] == ("90",) and sent[1:2] and sent[1] in _KEY_COMMANDS:
        return replace(exchange, sent=_star(sent, ((6, len(sent)),)))
    if sent[:1] != ("ff",) or len(sent) < 5:
        return exchange
    if sent[1] == "82":
        return replace(exchange, sent=_star(sent, ((5, len(sent)),)))
    if sent[1] == "d6" and _is_trailer(sent[3]):
        return replace(exchange, sent=(*sent[:5], *_star(sent[5:], KEY_SPANS)))
    if sent[1] == "b0" and _is_trailer(sent[3]) and heard is not None:
        return replace(exchange, heard=(*_star(heard[:-2], KEY_SPANS), *heard[-2:]))
    return exchange


def _star(data: Octets, spans: tuple[tuple[int, int], ...]) -> Octets:
    return tuple(
        HIDDEN if any(start <= at < end for start, end in spans) else octet
        for at, octet in enumerate(data)
    )


class TracedChip(Mfrc522):
    """The reader's own driver on `board`, every frame told to `recorder`."""

    def __init__(self, board: Any, recorder: Recorder) -> None:
        super().__init__(board)
        self._now_us: Callable[[], int] = board.ticks_us
        self._recorder = recorder

    def transceive(
        self,
        length: int,
        expected: int,
        timeout_us: int,
        framing: int = 0,
        proof: bool = False,
    ) -> int:
        """As the driver's; the frame is recorded, answered or not."""
        sent, last_bits = octets(bytes(self.tx[:length])), framing & 7
        start_us = self._now_us()
        bits = super().transceive(length, expected, timeout_us, framing, proof)
        heard = None if bits == SILENCE else octets(bytes(self.rx[: (bits + 7) // 8]))
        sent_bits = 8 * length - (8 - last_bits if last_bits else 0)
        note = self._note(bits)
        self._recorder.add(
            Exchange(FRAME, start_us, self._now_us(), sent, sent_bits, heard, max(bits, 0), note)
        )
        return bits

    def _note(self, bits: int) -> str:
        if self.errors & ERROR_COLLISION:
            return COLLIDED
        # Four bits of acknowledge have no CRC; that the chip misses one there says nothing.
        return DAMAGED if self.errors and bits != _NIBBLE_BITS else ""

    def authenticate(self, length: int, timeout_us: int) -> bool:
        """As the driver's; of the key nothing is kept."""
        sent = _star(octets(bytes(self.tx[:length])), _AUTH_KEY)
        start_us = self._now_us()
        done = super().authenticate(length, timeout_us)
        heard: Octets | None = () if done else None
        self._recorder.add(Exchange(AUTH, start_us, self._now_us(), sent, 8 * length, heard))
        return done


# ---------------------------------------------------------------- files


def save(path: Path, exchanges: list[Exchange]) -> None:
    """Write a trace file; OSError as it comes."""
    rows = [{**asdict(e), "sent": _joined(e.sent), "heard": _joined(e.heard)} for e in exchanges]
    text = json.dumps({"format": FORMAT, "version": VERSION, "exchanges": rows}, indent=1)
    replace_file(path, text + "\n", 0o644)


def load(path: Path) -> list[Exchange]:
    """The exchanges of a trace file, whoever wrote it: keys in it are starred. BadInput."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise BadInput(f"{path}: not JSON") from None
    head = (FORMAT, VERSION)
    if not isinstance(data, dict) or (data.get("format"), data.get("version")) != head:
        raise BadInput(f"{path}: not a trace of this version")
    recorder = Recorder()
    try:
        for exchange in _parsed(data["exchanges"]):
            recorder.add(exchange)
    except (KeyError, TypeError, ValueError):
        raise BadInput(f"{path}: exchange {len(recorder.exchanges)} is damaged") from None
    return recorder.exchanges


def _parsed(rows: list[dict[str, Any]]) -> Iterator[Exchange]:
    for row in rows:
        sent, heard = _split(row["sent"]), row["heard"]
        if row["kind"] not in (FRAME, AUTH, APDU) or not sent:
            raise ValueError("kind")
        yield Exchange(
            row["kind"],
            int(row["start_us"]),
            int(row["end_us"]),
            sent,
            int(row["sent_bits"]),
            None if heard is None else _split(heard),
            int(row["heard_bits"]),
            str(row["note"]),
        )


def _joined(data: Octets | None) -> str | None:
    return None if data is None else "".join(data)


def _split(text: str) -> Octets:
    """ValueError unless `text` is pairs of hexadecimal digits or of stars."""
    found = tuple(text[at : at + 2].lower() for at in range(0, len(text), 2))
    for octet in found:
        if octet != HIDDEN:
            bytes((int(octet, 16),)) if len(octet) == 2 else bytes.fromhex(octet)
    return found
