"""A MIFARE Classic 1K as silicon behaves, per MF1S50 data sheet and ISO/IEC 14443-3.

Crypto1 is stood for by a `Session`: two ends that share one understand each other, everybody else
hears noise. Access conditions, value blocks, the transfer buffer and torn EEPROM writes are real.
"""

import random
from collections.abc import Sequence

from simulator.cards.field import (
    FDT_BIT_0,
    FDT_BIT_1,
    US,
    Answer,
    Frame,
    Session,
    crc_a,
    with_crc,
)
from simulator.cards.uid import (
    REQA,
    SAK_UID_INCOMPLETE,
    SHORT_FRAME_BITS,
    WUPA,
    anticollide,
    atqa,
    cascade_levels,
    is_select,
)

BLOCKS = 64
BLOCK_BYTES = 16
EEPROM_WRITE_US = 4_500
FACTORY_KEY = b"\xff" * 6
TRANSPORT_ACCESS = bytes.fromhex("ff078069")

IDLE, READY, ACTIVE, HALT = "idle", "ready", "active", "halt"
ACK = 0xA
NAK_NOT_ALLOWED, NAK_CRC = 0x4, 0x5  # 0x0 and 0x1 while the transfer buffer is valid

READ, WRITE, INCREMENT, DECREMENT = "read", "write", "increment", "decrement"
NEITHER, A, B, BOTH = "", "A", "B", "AB"
# C1 C2 C3 of a data block: who may do what. Decrement stands for transfer and restore as well.
DATA_ACCESS = {
    0b000: {READ: BOTH, WRITE: BOTH, INCREMENT: BOTH, DECREMENT: BOTH},
    0b010: {READ: BOTH, WRITE: NEITHER, INCREMENT: NEITHER, DECREMENT: NEITHER},
    0b100: {READ: BOTH, WRITE: B, INCREMENT: NEITHER, DECREMENT: NEITHER},
    0b110: {READ: BOTH, WRITE: B, INCREMENT: B, DECREMENT: BOTH},
    0b001: {READ: BOTH, WRITE: NEITHER, INCREMENT: NEITHER, DECREMENT: BOTH},
    0b011: {READ: B, WRITE: B, INCREMENT: NEITHER, DECREMENT: NEITHER},
    0b101: {READ: B, WRITE: NEITHER, INCREMENT: NEITHER, DECREMENT: NEITHER},
    0b111: {READ: NEITHER, WRITE: NEITHER, INCREMENT: NEITHER, DECREMENT: NEITHER},
}
# C1 C2 C3 of a trailer: who writes key A, reads access, writes access, reads key B, writes key B.
TRAILER_ACCESS = {
    0b000: (A, A, NEITHER, A, A),
    0b010: (NEITHER, A, NEITHER, A, NEITHER),
    0b100: (B, BOTH, NEITHER, NEITHER, B),
    0b110: (NEITHER, BOTH, NEITHER, NEITHER, NEITHER),
    0b001: (A, A, A, A, A),
    0b011: (B, BOTH, B, NEITHER, B),
    0b101: (NEITHER, BOTH, B, NEITHER, NEITHER),
    0b111: (NEITHER, BOTH, NEITHER, NEITHER, NEITHER),
}


def access_conditions(trailer: bytes) -> tuple[int, ...] | None:
    """Return C1C2C3 of blocks 0..3 of a sector; None when bits and inverses disagree."""
    b6, b7, b8 = trailer[6:9]
    if (b6 & 15) ^ (b7 >> 4) != 15 or (b6 >> 4) ^ (b8 & 15) != 15 or (b7 & 15) ^ (b8 >> 4) != 15:
        return None
    c1, c2, c3 = b7 >> 4, b8 & 15, b8 >> 4
    return tuple((c1 >> n & 1) << 2 | (c2 >> n & 1) << 1 | c3 >> n & 1 for n in range(4))


def value_of(block: bytes) -> int | None:
    """Return the signed value of a well-formed value block, else None."""
    value, inverse, again = block[0:4], block[4:8], block[8:12]
    address = block[12]
    same = value == again and all(a ^ b == 0xFF for a, b in zip(value, inverse, strict=True))
    if not same or block[12:16] != bytes((address, address ^ 0xFF) * 2):
        return None
    return int.from_bytes(value, "little", signed=True)


def value_block(value: int, address: int) -> bytes:
    """Return the 16 bytes that hold the signed `value`."""
    raw = value.to_bytes(4, "little", signed=True)
    return raw + bytes(b ^ 0xFF for b in raw) + raw + bytes((address, address ^ 0xFF) * 2)


def factory_blocks(uid: bytes) -> list[bytes]:
    """Return the 64 blocks of a new card: zeros, factory keys, transport access bits."""
    trailer = FACTORY_KEY + TRANSPORT_ACCESS + FACTORY_KEY
    blocks = [trailer if n % 4 == 3 else bytes(BLOCK_BYTES) for n in range(BLOCKS)]
    head = uid + bytes((uid[0] ^ uid[1] ^ uid[2] ^ uid[3],)) if len(uid) == 4 else uid
    blocks[0] = (head + b"\x08\x04\x00").ljust(BLOCK_BYTES, b"\x62")
    return blocks


class MifareClassic:
    """One card: `uid` of 4 or 7 bytes, 64 `blocks` (factory state when None), faults from `rng`.

    `torn` says what a write interrupted by loss of the field leaves behind: "mixed" (each bit that
    should change did or did not), "old", "new", or "erased" (any bit may have fallen to 0).
    `keeps_transfer` says whether the transfer buffer survives authenticating another sector.
    """

    def __init__(
        self, uid: bytes, blocks: Sequence[bytes] | None = None, rng: random.Random | None = None
    ) -> None:
        if len(uid) not in (4, 7):
            raise ValueError(f"uid of {len(uid)} bytes")
        self.uid = bytes(uid)
        self.blocks = [bytes(b) for b in (factory_blocks(uid) if blocks is None else blocks)]
        if [len(block) for block in self.blocks] != [BLOCK_BYTES] * BLOCKS:
            raise ValueError("64 blocks of 16 bytes needed")
        self.in_field = False
        self.torn = "mixed"
        self.keeps_transfer = True
        self.eeprom_writes = 0
        self.torn_writes = 0
        self._rng = rng if rng is not None else random.Random(int.from_bytes(uid, "big"))
        self._levels = cascade_levels(self.uid)
        self._programming: tuple[int, bytes] | None = None
        self._busy_until = 0
        self._reset()

    @property
    def image(self) -> bytes:
        """The 1024 bytes of the EEPROM; a write under way shows as done until it is torn."""
        return b"".join(self.blocks)

    @property
    def state(self) -> str:
        """IDLE, READY, ACTIVE or HALT."""
        return self._state

    def power_up(self) -> None:
        """Start from reset."""
        self._reset()

    def power_down(self, now: int) -> None:
        """Lose the field at tick `now`; a write not finished by then is torn."""
        if self._programming is not None and now < self._busy_until:
            number, old = self._programming
            self.blocks[number] = self._tear(old, self.blocks[number])
            self.torn_writes += 1
        self._programming = None
        self._reset()

    def hear(self, frame: Frame, now: int) -> Answer | None:
        """Take one command frame that ended at tick `now`; None is silence."""
        if now < self._busy_until or frame.rate:
            return None
        if frame.cipher != self._session:
            proof = self._awaited[1] if self._awaited and self._awaited[0] == "proof" else None
            if proof is None or frame.cipher != proof:
                return self._fall()
        reply = self._react(frame, now)
        if reply is None:
            return None
        last_bit = frame.value >> frame.nbits - 1 & 1
        delay = FDT_BIT_1 if last_bit else FDT_BIT_0
        return Answer(delay + max(0, self._busy_until - now), reply)

    def _reset(self) -> None:
        self._state = IDLE
        self._from_halt = False
        self._level = 0
        self._busy_until = 0
        self._end_session()

    def _end_session(self) -> None:
        self._session: Session | None = None
        self._sector = -1
        self._key_name = ""
        self._awaited: tuple | None = None
        self._transfer: bytes | None = None

    def _fall(self) -> None:
        """Any unexpected frame sends the card back to where it was woken from."""
        if self._state in (READY, ACTIVE):
            self._state = HALT if self._from_halt else IDLE
        self._end_session()

    def _react(self, frame: Frame, now: int) -> Frame | None:
        if frame.nbits == SHORT_FRAME_BITS:
            return self._wake(frame.value)
        if self._state == READY:
            return self._select(frame)
        if self._state == ACTIVE:
            return self._serve(frame, now)
        return None

    def _wake(self, command: int) -> Frame | None:
        if self._state in (READY, ACTIVE):
            return self._fall()
        if command == WUPA or (command == REQA and self._state == IDLE):
            self._from_halt = self._state == HALT
            self._state, self._level = READY, 0
            return Frame.of(atqa(self.uid))
        return None

    def _select(self, frame: Frame) -> Frame | None:
        part = self._levels[self._level]
        if is_select(frame, self._level, part):
            return self._chosen()
        return anticollide(frame, self._level, part) or self._fall()

    def _chosen(self) -> Frame:
        self._level += 1
        if self._level < len(self._levels):
            return Frame.of(with_crc(bytes((SAK_UID_INCOMPLETE,))))
        self._state = ACTIVE
        return Frame.of(with_crc(b"\x08"))

    def _serve(self, frame: Frame, now: int) -> Frame | None:
        awaited, self._awaited = self._awaited, None
        if awaited is not None and awaited[0] == "proof":
            return self._prove(frame, *awaited[1:])
        raw = frame.data
        if frame.nbits % 8 or len(raw) < 3 or frame.bad_parity or crc_a(raw[:-2]) != _tail(raw):
            return self._nak(NAK_CRC)
        body = raw[:-2]
        if awaited is not None:
            return awaited[0](self, body, awaited[1], now)
        command = COMMANDS.get(body[0])
        if command is None or len(body) != 2:
            return self._nak(NAK_NOT_ALLOWED)
        return command(self, body[0], body[1], now)

    def _halt(self, _command: int, parameter: int, _now: int) -> Frame | None:
        if parameter:
            return self._nak(NAK_NOT_ALLOWED)
        self._state = HALT
        self._end_session()
        return None

    def _challenge(self, command: int, number: int, _now: int) -> Frame | None:
        if number >= BLOCKS:
            return self._nak(NAK_NOT_ALLOWED)
        trailer = self.blocks[number | 3]
        key_name = A if command == 0x60 else B
        key = trailer[:6] if key_name == A else trailer[10:]
        nonce = self._rng.randbytes(4)
        if not self.keeps_transfer:
            self._transfer = None
        self._awaited = "proof", Session(key, self.uid[-4:], nonce), number // 4, key_name
        return Frame.of(nonce, self._session)

    def _prove(self, frame: Frame, session: Session, sector: int, key_name: str) -> Frame | None:
        nonce = int.from_bytes(session.nonce, "little")
        answered = frame.value >> 32 ^ frame.value & 0xFFFFFFFF
        if frame.nbits != 64 or frame.cipher != session or answered != nonce:
            return self._fall()
        self._session, self._sector, self._key_name = session, sector, key_name
        return Frame.of(bytes(byte ^ 0xFF for byte in session.nonce), session)

    def _read(self, _command: int, number: int, _now: int) -> Frame | None:
        if not self._may(READ, number):
            return self._nak(NAK_NOT_ALLOWED)
        return Frame.of(with_crc(self._visible(number)), self._session)

    def _visible(self, number: int) -> bytes:
        block = self.blocks[number]
        if number % 4 != 3:
            return block
        _, read_access, _, read_b, _ = self._trailer_rights(block)
        access = block[6:10] if self._key_name in read_access else bytes(4)
        return bytes(6) + access + (block[10:] if self._key_name in read_b else bytes(6))

    @staticmethod
    def _trailer_rights(trailer: bytes) -> tuple[str, ...]:
        conditions = access_conditions(trailer)
        return (NEITHER,) * 5 if conditions is None else TRAILER_ACCESS[conditions[3]]

    def _write(self, _command: int, number: int, _now: int) -> Frame | None:
        if not self._may(WRITE, number):
            return self._nak(NAK_NOT_ALLOWED)
        self._awaited = MifareClassic._write_data, number
        return self._nibble(ACK)

    def _write_data(self, body: bytes, number: int, now: int) -> Frame | None:
        if len(body) != BLOCK_BYTES:
            return self._nak(NAK_NOT_ALLOWED)
        if number % 4 == 3:
            body = self._trailer_after(number, body)
        return self._program(number, body, now)

    def _trailer_after(self, number: int, wanted: bytes) -> bytes:
        """Only the parts of a trailer that this key may write change."""
        old = self.blocks[number]
        write_a, _, write_access, _, write_b = self._trailer_rights(old)
        key = self._key_name
        return (
            (wanted if key in write_a else old)[:6]
            + (wanted if key in write_access else old)[6:10]
            + (wanted if key in write_b else old)[10:]
        )

    def _value(self, command: int, number: int, _now: int) -> Frame | None:
        need = INCREMENT if command == 0xC1 else DECREMENT
        if not self._may(need, number) or value_of(self.blocks[number]) is None:
            return self._nak(NAK_NOT_ALLOWED)
        self._awaited = MifareClassic._operand, (command, number)
        return self._nibble(ACK)

    def _operand(self, body: bytes, what: tuple[int, int], _now: int) -> Frame | None:
        """The second part of a value operation is answered by silence when all is well."""
        command, number = what
        value = value_of(self.blocks[number])
        if len(body) != 4 or value is None:
            return self._nak(NAK_NOT_ALLOWED)
        operand = int.from_bytes(body, "little") & 0x7FFFFFFF
        value += {0xC0: -operand, 0xC1: operand, 0xC2: 0}[command]
        if not -(1 << 31) <= value < 1 << 31:
            return self._nak(NAK_NOT_ALLOWED)
        self._transfer = value_block(value, self.blocks[number][12])
        return None

    def _store(self, _command: int, number: int, now: int) -> Frame | None:
        if self._transfer is None or not self._may(DECREMENT, number):
            return self._nak(NAK_NOT_ALLOWED)
        return self._program(number, self._transfer, now)

    def _may(self, action: str, number: int) -> bool:
        """Ask the access bits of the block, with the key this session was opened with."""
        if number >= BLOCKS or number // 4 != self._sector:
            return False
        trailer = self.blocks[number | 3]
        conditions = access_conditions(trailer)
        if conditions is None or (number == 0 and action != READ):
            return False
        rights = TRAILER_ACCESS[conditions[3]]
        if self._key_name == B and rights[3]:
            return False  # a key B that can be read is data, not a key
        if number % 4 != 3:
            return self._key_name in DATA_ACCESS[conditions[number % 4]][action]
        if action == READ:
            return self._key_name in rights[1]
        return action == WRITE and any(self._key_name in rights[part] for part in (0, 2, 4))

    def _program(self, number: int, new: bytes, now: int) -> Frame:
        self._programming = number, self.blocks[number]
        self.blocks[number] = new
        self.eeprom_writes += 1
        self._busy_until = now + EEPROM_WRITE_US * US
        return self._nibble(ACK)

    def _tear(self, old: bytes, new: bytes) -> bytes:
        if self.torn in ("old", "new"):
            return old if self.torn == "old" else new
        before, after = int.from_bytes(old, "big"), int.from_bytes(new, "big")
        chosen = self._rng.getrandbits(8 * BLOCK_BYTES)
        if self.torn == "erased":
            return (before & chosen).to_bytes(BLOCK_BYTES, "big")
        return (before ^ (before ^ after) & chosen).to_bytes(BLOCK_BYTES, "big")

    def _nibble(self, code: int) -> Frame:
        return Frame(code, 4, self._session)

    def _nak(self, code: int) -> Frame:
        """Refuse with a 4-bit code and drop the session; the card must be woken again."""
        frame = self._nibble(code if self._transfer is None else code - 4)
        self._fall()
        return frame


COMMANDS = {
    0x50: MifareClassic._halt,
    0x60: MifareClassic._challenge,
    0x61: MifareClassic._challenge,
    0x30: MifareClassic._read,
    0xA0: MifareClassic._write,
    0xC0: MifareClassic._value,
    0xC1: MifareClassic._value,
    0xC2: MifareClassic._value,
    0xB0: MifareClassic._store,
}


def _tail(raw: bytes) -> int:
    return int.from_bytes(raw[-2:], "little")
