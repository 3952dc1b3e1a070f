"""Card depth: frames go straight to the field, in the place of firmware/drivers/mfrc522.py.

Chip and bus are left out, which is most of what a simulated reader costs. What runs above them
(iso14443.py, mifare_classic.py, purse.py) stays the firmware itself, and the card is the same
model of silicon. Time is kept: a frame takes its time on the air, the card takes its own, and what
driver and bus take is in the constants below. So a card that is pulled away in the middle of a
debit tears here as well, and a collision collides.

What is not here: everything that can go wrong with the chip (BusFault is never raised).

The constants lie between median and mean of the frames of a purchase at register depth, measured
and printed, and the times of both depths beside each other, by
    python -m pytest -s tests/simulator/test_card_depth.py -k "constants or time"
"""

from __future__ import annotations

from dataclasses import replace

from firmware.drivers.iso14443 import Pcd
from firmware.drivers.mfrc522 import ERROR_COLLISION, ERROR_CRC, FIFO_BYTES, SILENCE
from protocols.rules import settings
from simulator.cards.field import ETU, US, Frame, Session, with_crc
from simulator.host.hardware import Hardware

SET_UP_US = 7_700  # reset, wake-up, registers, and the guard time of the cards
BEGIN_US = 142  # interrupts cleared, FIFO filled, command started, often a register changed
BEGIN_BYTE_US = 2  # SPI at 4 MHz
END_US = 104  # the pin is looked at, status and answer are read
FIELD_US = 32  # the carrier is switched: one register
FIELD_GUARD_US = 5_000
SILENCE_US = 271  # a timer tick, the next look at the pin, status, and the command ended

ERROR_PARITY, ERROR_OVERFLOW = 0x02, 0x10  # ErrorReg
_CRC_BITS = 16
_SHORTEST_BITS = 4  # the driver tells the chip to take anything shorter for noise
_FIFTH_BIT = 5 * ETU  # so much of an answer must be there before the time is up
_NONCE_BITS = 32
_PROOF_BITS = 64


def front_end(hardware: Hardware) -> Pcd:
    """What the POS polls for cards, at card depth; one for each boot."""
    return Pcd(CardPort(hardware))


class CardPort:
    """The antenna of `hardware` with the methods of firmware.drivers.mfrc522.Mfrc522 (see there).

    Only what Pcd, Classic and IsoDep use of it is here. The settings are those that the board of
    `hardware` would read, none if its store is empty.
    """

    version, is_known_version = 0x92, True
    faults = recoveries = pin_misses = 0

    def __init__(self, hardware: Hardware) -> None:
        self.tx = bytearray(FIFO_BYTES)
        self.rx = bytearray(FIFO_BYTES)
        self.errors = 0
        self.ticks_us, self.sleep_us = hardware.ticks_us, hardware.sleep_us
        own = settings.decode(hardware.nvs_get("settings")) if "settings" in hardware.nvs else {}
        self.rate_max = int(own.get("rfid_rate", 106) > 106)
        self.pause_us = own.get("rfid_pause_ms", 0) * 1000
        self._hardware = hardware
        self._clock = hardware.clock
        self._field = hardware.field
        self._session: Session | None = None
        self._sends_crc = self._checks_crc = False
        self._is_ready = False
        self._has_carrier = False
        self._rate = 0

    def ensure(self) -> bool:
        """Switch the carrier on, once a boot: True then."""
        if self._is_ready:
            return False
        self._switch(True)
        self._clock.advance_us(SET_UP_US)
        self._is_ready = True
        return True

    def set_field(self, on: bool) -> None:
        """Carrier on, and cards have had time to wake up in it, or off."""
        if on == self._has_carrier:
            return
        self._clock.advance_us(FIELD_US)
        self._switch(on)
        if on:
            self._clock.advance_us(FIELD_GUARD_US)

    def set_rate(self, rate: int) -> None:
        """Send and receive at 106 kbit/s (0) or 212 (1)."""
        self._rate = rate

    def set_crc(self, send: bool, receive: bool) -> None:
        """Whether CRC_A is appended to what is sent, and checked and stripped from the answer."""
        self._sends_crc, self._checks_crc = send, receive

    def transceive(
        self, length: int, _expected: int, timeout_us: int, framing: int = 0, _proof: bool = False
    ) -> int:
        """Send tx[:length]; returns the bits received into `rx`, or SILENCE.

        The driver's arguments: what is expected and to be proved only matters on a bus.
        """
        self._begin(length)
        data = bytes(self.tx[:length])
        if self._sends_crc:
            data = with_crc(data)
        nbits = 8 * len(data) - (-framing & 7)
        value = int.from_bytes(data, "little") & (1 << nbits) - 1
        answer = self._ask(Frame(value, nbits, self._session, self._rate), timeout_us)
        if answer is None:
            self._clock.advance_us(SILENCE_US)
            return SILENCE
        self._clock.advance_us(END_US)
        return self._deposit(answer, framing >> 4) or SILENCE

    def authenticate(self, length: int, timeout_us: int) -> bool:
        """Crypto1's three passes with tx[:length] = command, block, key (6), uid (4)."""
        self._begin(length)
        asked = bytes(self.tx[:length])
        old, self._session = self._session, None
        answer = self._ask(Frame.of(with_crc(asked[:2]), old), timeout_us)
        if answer is not None and _is_intact(answer, _NONCE_BITS, old):
            offered = Session(asked[2:8], asked[8:12], answer.data)
            challenge = self._hardware.random.getrandbits(32)
            token = (challenge ^ answer.value) << 32 | challenge
            answer = self._ask(Frame(token, _PROOF_BITS, offered), timeout_us)
            if answer is not None and _is_intact(answer, _NONCE_BITS, offered):
                if answer.data == bytes(byte ^ 0xFF for byte in offered.nonce):
                    self._session = offered
        self._clock.advance_us(END_US if self._session else SILENCE_US)
        return self._session is not None

    def stop_crypto(self) -> None:
        """Speak in the clear again."""
        self._session = None

    # -- one exchange -----------------------------------------------------------------------

    def _switch(self, on: bool) -> None:
        self._field.carrier(on, self._clock.now_us * US)
        self._has_carrier = on

    def _begin(self, length: int) -> None:
        self.errors = 0
        self._clock.advance_us(BEGIN_US + BEGIN_BYTE_US * length)

    def _ask(self, frame: Frame, timeout_us: int) -> Frame | None:
        """Send a frame; what is heard, whole or cut off, or None once the time is up."""
        heard = self._hear(frame, timeout_us)
        self._hardware.log("frame", frame.data + (heard.data if heard else b""))
        return heard

    def _hear(self, frame: Frame, timeout_us: int) -> Frame | None:
        free = self._clock.now_us * US + frame.duration
        self._pass_until(free)
        talks = self._field.send(frame, free)
        deadline = free + timeout_us * US
        for i, talk in enumerate(talks):
            if talk.start < free or talk.start + (_FIFTH_BIT >> self._rate) > deadline:
                continue
            self._pass_until(talk.start)
            heard = self._field.merge(talks[i:])
            if heard is None or heard.nbits < _SHORTEST_BITS or heard.rate != self._rate:
                continue
            free = talk.start + heard.duration
            self._pass_until(free)
            whole = self._field.cut(heard, talks[i:], talk.start)
            if whole is not None:
                return whole
        self._pass_until(deadline)
        return None

    def _pass_until(self, tick: int) -> None:
        """Time passes, and with it whatever people do with their cards."""
        self._clock.advance_to(-(-tick // US))

    def _deposit(self, frame: Frame, align: int) -> int:
        """Put an answer into `rx` from bit `align` of its first byte; how many bits then count."""
        if frame.cipher != self._session:
            frame = self._scramble(frame)
        value = frame.value
        if frame.collided:
            self.errors = ERROR_COLLISION
            value &= (frame.collided & -frame.collided) - 1
        elif frame.bad_parity:
            self.errors = ERROR_PARITY
        if self._rate:
            self.errors = 0  # only the CRC tells
        nbits = frame.nbits + align
        data = (value << align).to_bytes((nbits + 7) // 8, "little")
        if self._checks_crc:
            if nbits % 8 or len(data) < 2 or data != with_crc(data[:-2]):
                self.errors |= ERROR_CRC
            if nbits >= _CRC_BITS:
                data, nbits = data[:-2], nbits - _CRC_BITS
        if len(data) > FIFO_BYTES:
            self.errors |= ERROR_OVERFLOW
            data, nbits = data[:FIFO_BYTES], 8 * FIFO_BYTES
        self.rx[: len(data)] = data
        return nbits

    def _scramble(self, frame: Frame) -> Frame:
        """What right bits look like under the wrong key stream."""
        noise = self._hardware.random.getrandbits(frame.nbits)
        return replace(frame, value=frame.value ^ noise, bad_parity=frame.nbits >= 8)


def _is_intact(frame: Frame, nbits: int, session: Session | None) -> bool:
    is_clean = not frame.collided and not frame.bad_parity
    return frame.nbits == nbits and frame.cipher == session and is_clean
