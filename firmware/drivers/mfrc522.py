"""MFRC522: one frame out, one frame in, over a bus on which each transaction is dear.

Rules of this file:

- One frame costs five SPI transactions: clear the interrupts, fill the FIFO, start the command,
  start sending, then read every status register and the expected answer at once.
- CRC_A is made and checked by the chip. The timer ends every wait: it is set per command, and the
  IRQ pin tells about it; a board without the wire, or with a dead one, is polled instead. Until
  the answer is whole its FIFO is left alone, so polling costs a frame one transaction or more.
- Every status read carries TxControl and so proves that the chip is still the one that was set
  up; every poll for a card reads back the whole configuration. A chip that was reset behind our
  back, or a MISO stuck at either level, shows at the next frame, raises BusFault and is set up
  anew by the next `ensure`.
- Nothing here allocates while no card answers.

Register facts: MFRC522 data sheet rev. 3.9, sections 9.3 and 10.3.
"""

from firmware.drivers.mfrc522_bus import FIFO_BYTES, STATUS_BYTES, Registers, reading

# Registers.
_COMMAND, _COM_IEN, _DIV_IEN, _COM_IRQ, _ERROR, _STATUS2 = 0x01, 0x02, 0x03, 0x04, 0x06, 0x08
_FIFO_DATA, _FIFO_LEVEL, _CONTROL, _BIT_FRAMING, _COLL = 0x09, 0x0A, 0x0C, 0x0D, 0x0E
_MODE, _TX_MODE, _RX_MODE, _TX_CONTROL, _TX_ASK = 0x11, 0x12, 0x13, 0x14, 0x15
_MOD_WIDTH, _RF_CFG, _T_MODE, _T_PRESCALER = 0x24, 0x26, 0x2A, 0x2B
_T_RELOAD_HIGH, _T_RELOAD_LOW, _VERSION = 0x2C, 0x2D, 0x37

# CommandReg.
_IDLE = 0x00
_SOFT_RESET = 0x0F
_POWER_DOWN = 0x10

# ComIrqReg; written without bit 7, the marked bits are cleared.
_IRQ_ALL = 0x7F
_IRQ_SET = 0x80
_IRQ_RX = 0x20
_IRQ_IDLE = 0x10
_IRQ_TIMER = 0x01

# ErrorReg, as `errors` shows it after a frame.
ERROR_COLLISION = 0x08
ERROR_CRC = 0x04
_ERROR_RECEPTION = 0x1F  # overflow, collision, CRC, parity, protocol
_ERROR_RECEPTION_FAST = 0x14  # above 106 kbit/s the other flags mean nothing

_FLUSH_FIFO = 0x80
_START_SEND = 0x80
_CRYPTO1_ON = 0x08
_CRC_ENABLE = 0x80
_SPEED_SHIFT = 4
_SPEED = 0x70
_IGNORE_SHORT = 0x08  # RxNoErr: fewer than 4 bits are noise, the receiver goes on listening
_ANTENNA_ON = 0x83
_ANTENNA_OFF = 0x80

SILENCE = -1

# 1695 / 13.56 MHz = 125 us exactly: one register byte then covers 125 us to 32 ms.
_TICK_US = 125
_PRESCALER = 847
_TICKS_MAX = 0x10000

# Nothing can end while the bytes we wait for are on the air: 9 bits of 9.44 us each. Afterwards
# the pin is looked at every 50 us, or when a 64th part more of a long wait has passed.
_BYTE_US = 85
_WAIT_STEP_US = 50
_WAIT_STEP_SHIFT = 6
_POLL_STEP_US = 200
# A full frame is on the air for 6 ms in each direction; the chip's own timer counts only silence.
_FRAME_US = 13000
_RESET_US = 100
_WAKE_UP_US = 1000
_WAKE_UP_TRIES = 50
_FIELD_GUARD_US = 5000
_PIN_MISSES_MAX = 3

# NXP 0.0, 1.0, 2.0 and Fudan FM17522; others work as a rule and are only reported.
KNOWN_VERSIONS = (0x90, 0x91, 0x92, 0x88)
_NO_CHIP = (0x00, 0xFF)

_RATE_106 = 106
_GAIN_DEFAULT = 4  # 33 dB
_GAIN_MAX = 7  # 48 dB
_GAIN_SHIFT = 4
_RF_CFG_RESERVED = 0x08  # reads as it was after the reset

# Length of the pauses that carry bits, in carrier cycles less one, at each rate.
_PAUSE_106, _PAUSE_212 = 0x26, 0x15
_PAUSES = (_PAUSE_106, _PAUSE_212)

# What is clocked out in each frame: _COM_IRQ, _ERROR, _STATUS2, _FIFO_LEVEL, _CONTROL, _TX_CONTROL
# to be read, _FIFO_DATA to be read, _IRQ_ALL into _COM_IRQ, a command into _COMMAND.
_STATUS = b"\x88\x8c\x90\x94\x98\xa8"
_FROM_FIFO = b"\x92"
_CLEAR_IRQ = b"\x08\x7f"
_TO_TRANSCEIVE, _TO_AUTHENT = b"\x02\x0c", b"\x02\x0e"
_AT_IRQ, _AT_ERROR, _AT_STATUS2, _AT_LEVEL, _AT_CONTROL, _AT_TX_CONTROL = 1, 2, 3, 4, 5, 6

# Register -> value after set-up, in the order of writing; the antenna comes last.
_SET_UP = (
    (_TX_MODE, 0x00),
    (_RX_MODE, _IGNORE_SHORT),
    (_T_MODE, 0x80 | _PRESCALER >> 8),  # the timer starts by itself when a frame has been sent
    (_T_PRESCALER, _PRESCALER & 0xFF),
    (_T_RELOAD_HIGH, 0x00),
    (_T_RELOAD_LOW, 0x00),
    (_TX_ASK, 0x40),  # 100 % ASK
    (_MOD_WIDTH, _PAUSE_106),
    (_MODE, 0x3D),  # CRC preset 6363h, send only into a running field
    (_RF_CFG, 0),  # the board's gain
    (_DIV_IEN, 0x80),  # IRQ pin drives both levels
    (_COM_IEN, 0x80 | _IRQ_RX | _IRQ_IDLE | _IRQ_TIMER),  # low is active
    (_TX_CONTROL, _ANTENNA_ON),
)
_PROOF = reading([register for register, _ in _SET_UP])[:-1]


class BusFault(Exception):
    """The chip does not answer as a set-up MFRC522 does: dead bus, reset, no power."""


class Mfrc522(Registers):
    """The chip on `board.rfid`; the bus is first touched by `ensure`.

    `board` gives rfid.exchange(out, into), rfid.irq() (0 = active, None = not wired),
    rfid.reset(level), ticks_us(), sleep_us(us) and settings, all optional: "rfid_gain" (0..7,
    18 to 48 dB, data sheet table of RxGain), "rfid_rate" (106 or 212 kbit/s, the fastest that may
    be agreed on with a card) and "rfid_pause_ms" (how long an empty field may stay dark).

    Frames: put the command into `tx`, call `transceive`, find the answer in `rx`.
    Counters for health reports: `faults` (BusFault seen), `recoveries` (set up again after one),
    `pin_misses` (interrupts the pin did not tell). `version` is VersionReg, 0 before `ensure`;
    `rate_max` and `pause_us` are settings, `ticks_us` and `sleep_us` the board's.
    """

    def __init__(self, board):
        super().__init__(board.rfid.exchange, len(_PROOF))
        self._irq = board.rfid.irq
        self._reset = board.rfid.reset
        self.ticks_us = board.ticks_us
        self.sleep_us = board.sleep_us
        settings = board.settings
        self._gain = min(settings.get("rfid_gain", _GAIN_DEFAULT), _GAIN_MAX)
        self.rate_max = 1 if settings.get("rfid_rate", _RATE_106) > _RATE_106 else 0
        self.pause_us = settings.get("rfid_pause_ms", 0) * 1000
        self.version = 0
        self.faults = 0
        self.recoveries = 0
        self.pin_misses = 0
        self.errors = 0
        self._rate = 0
        self._timeout_us = -1  # what the timer is set for
        self._pin_trusted = True
        self._is_polled = False
        self._missed_in_a_row = 0
        self._fifo_dirty = True
        self._out3 = bytearray((_BIT_FRAMING << 1, 0, 0))
        self._in3 = bytearray(3)

    # -- health -----------------------------------------------------------------------------

    @property
    def is_known_version(self):
        """False for clones of a version nobody has told us about (and before `ensure`)."""
        return self.version in KNOWN_VERSIONS

    def ensure(self):
        """Set the chip up if it is not: True if that was needed; BusFault if there is no chip."""
        if self._ready:
            return False
        self.reset()
        for register, value in _SET_UP:
            if register == _RF_CFG:
                value = self._gain << _GAIN_SHIFT | _RF_CFG_RESERVED
            self._set(register, value)
        self.write(_COLL, 0x00)  # bits after a collision read as 0
        self._fifo_dirty = True
        if not self.is_set_up():
            self._fault("registers do not keep their values")
        self.sleep_us(_FIELD_GUARD_US)
        self._ready = True
        if self.faults:
            self.recoveries += 1
        return True

    def reset(self):
        """The chip as it wakes up, not set up, the field dark; BusFault if none wakes up."""
        self._ready = False
        self._rate = 0
        self._timeout_us = -1
        self._reset(0)
        self.sleep_us(_RESET_US)
        self._reset(1)
        self.sleep_us(_WAKE_UP_US)
        self.write(_COMMAND, _SOFT_RESET)  # for boards that do not wire the pin
        self._await_wake_up()
        self.version = self.read(_VERSION)
        if self.version in _NO_CHIP:
            self._fault("no chip: VersionReg {:#x}".format(self.version))

    def is_set_up(self):
        """Whether every configuration register still holds what we wrote; one transaction."""
        out, into = self._reading(0, True)
        self._exchange(out, into)
        return self._is_proof(STATUS_BYTES)

    def _is_proof(self, at):
        told, values = self._in, self._values
        for address in _PROOF:
            if told[at] != values[address >> 1 & 0x3F]:
                return False
            at += 1
        return True

    def _await_wake_up(self):
        for _ in range(_WAKE_UP_TRIES):
            self.sleep_us(_WAKE_UP_US)
            if not self.read(_COMMAND) & _POWER_DOWN:
                return
        self._fault("the chip does not wake up")

    def _fault(self, detail):
        self._ready = False
        self.faults += 1
        raise BusFault(detail)

    # -- frames -----------------------------------------------------------------------------

    def set_crc(self, send, receive):
        """Whether the chip appends CRC_A to what it sends, and checks and strips what it gets."""
        values = self._values
        value = self._rate << _SPEED_SHIFT | (_CRC_ENABLE if send else 0)
        if values[_TX_MODE] != value:
            self._set(_TX_MODE, value)
        value = self._rate << _SPEED_SHIFT | (_CRC_ENABLE if receive else 0) | _IGNORE_SHORT
        if values[_RX_MODE] != value:
            self._set(_RX_MODE, value)

    def set_rate(self, rate):
        """Send and receive at 106 kbit/s (0) or 212 (1), which the chip only does with CRC."""
        self._rate = rate
        speed = rate << _SPEED_SHIFT
        for register, value in (
            (_MOD_WIDTH, _PAUSES[rate]),
            (_TX_MODE, self._values[_TX_MODE] & ~_SPEED & 0xFF | speed),
            (_RX_MODE, self._values[_RX_MODE] & ~_SPEED & 0xFF | speed),
        ):
            if self._values[register] != value:
                self._set(register, value)

    def set_field(self, on):
        """Carrier on, and cards have had time to wake up in it, or off; one transaction if new."""
        value = _ANTENNA_ON if on else _ANTENNA_OFF
        if self._values[_TX_CONTROL] != value:
            self._set(_TX_CONTROL, value)
            if on:
                self.sleep_us(_FIELD_GUARD_US)

    def transceive(self, length, expected, timeout_us, framing=0, proof=False):
        """Send tx[:length]; returns the bits received into `rx`, or SILENCE.

        `expected`: bytes the answer is likely to have (0..64); more are fetched, at the price of a
        transaction. `timeout_us`: from the end of the command to the begin of the answer.
        `framing`: bits of the last byte to send (0 = all) | 16 * bit of rx[0] where the answer
        begins. `proof`: read back the configuration as well. `errors` is ErrorReg afterwards; with
        an error the count of bits says nothing. BusFault when the chip is not ours any more.
        """
        self._start(length, timeout_us, _TO_TRANSCEIVE)
        # StartSend up and down again in one transaction: left up, it would start the next frame
        # as soon as its command is written, on chips that take it for a level.
        out = self._out3
        out[1] = _START_SEND | framing
        out[2] = framing
        self._exchange(out, self._in3)
        self.sleep_us(_BYTE_US * (length + expected) >> self._rate)
        irq = self._told_soon(expected, proof) or self._wait(timeout_us, expected, _IRQ_RX, proof)
        if proof and irq and not self._is_proof(STATUS_BYTES + expected):
            self._fault("configuration lost")
        if not irq & _IRQ_RX:
            self.write(_COMMAND, _IDLE)  # a late answer must not end up in the next frame
            self._fifo_dirty = self._in[_AT_LEVEL] != 0
            return SILENCE
        return self._collect(expected)

    def authenticate(self, length, timeout_us):
        """MFAuthent with tx[:length] = command, block, key (6), uid (4); True when it succeeded.

        Crypto1 stays on until `stop_crypto`.
        """
        self._start(length, timeout_us, _TO_AUTHENT)
        irq = self._wait(timeout_us, 0, _IRQ_IDLE, False)
        if irq & _IRQ_IDLE and self._in[_AT_STATUS2] & _CRYPTO1_ON:
            self._fifo_dirty = self._in[_AT_LEVEL] != 0
            return True
        self.write(_COMMAND, _IDLE)
        return False

    def stop_crypto(self):
        """Speak in the clear again."""
        self.write(_COMMAND, _IDLE)  # broken off, MFAuthent would still switch Crypto1 on
        self.write(_STATUS2, 0)

    def _start(self, length, timeout_us, command):
        if not self._ready:
            raise BusFault("not set up")
        self.errors = 0
        if self._fifo_dirty:
            self.write(_COMMAND, _IDLE)  # if a frame was broken off before it was sent
            self.write(_FIFO_LEVEL, _FLUSH_FIFO)
        self._fifo_dirty = True  # until this one has ended as it should
        if timeout_us != self._timeout_us:
            self._set_timer(timeout_us)
        exchange, into = self._exchange, self._in2
        exchange(_CLEAR_IRQ, into)
        # A pin that is active now would tell of an answer that has not come.
        self._is_polled = not self._pin_trusted or self._irq() == 0
        pair = self._views.get(length)
        if pair is None:
            pair = self._keep(length, memoryview(self._fill)[: length + 1])
        exchange(pair[0], pair[1])
        exchange(command, into)

    def _set_timer(self, timeout_us):
        self._timeout_us = -1  # should a write be broken off
        ticks = min(timeout_us // _TICK_US, _TICKS_MAX - 1)
        for register, value in ((_T_RELOAD_HIGH, ticks >> 8), (_T_RELOAD_LOW, ticks & 0xFF)):
            if self._values[register] != value:
                self._set(register, value)
        self._timeout_us = timeout_us

    def _told_soon(self, expected, proof):
        """ComIrqReg, as of _wait, if the pin tells within a step; else 0. So most frames end."""
        if self._is_polled:
            return 0
        if self._irq() != 0:
            self.sleep_us(_WAIT_STEP_US)
            if self._irq() != 0:
                return 0
        self._missed_in_a_row = 0
        return self._read_status(expected, proof) & (_IRQ_RX | _IRQ_TIMER)

    def _wait(self, timeout_us, expected, wanted, proof):
        """Sleep until `wanted` or the timer: ComIrqReg, the status in `_in`; 0 if neither came."""
        begin_us = self.ticks_us()
        deadline_us = begin_us + timeout_us + _FRAME_US
        while True:
            told = self._await_pin(begin_us, deadline_us)
            irq = self._read_status(expected, proof) if told else self._read_status(0, False)
            if irq & (wanted | _IRQ_TIMER):
                if told:
                    self._missed_in_a_row = 0
                    return irq
                self._judge_pin()
                # Only now: a byte read out of the FIFO while others come in would be lost.
                return self._read_status(expected, proof)
            if self.ticks_us() >= deadline_us:
                return self._give_up()
            if irq & _IRQ_RX:  # MFAuthent has got the card's first token: more is to come
                self.write(_COM_IRQ, _IRQ_RX)
            elif told:
                waited_us = self.ticks_us() - begin_us
                self.sleep_us(max(_WAIT_STEP_US, waited_us >> _WAIT_STEP_SHIFT))

    def _read_status(self, expected, proof):
        """ComIrqReg, with the other registers, FIFO bytes and proof in `_in`; BusFault."""
        # Lengths to be filled in are positive there.
        pair = self._views.get(~expected) if not proof else None
        if pair is None:
            pair = self._reading(expected, proof)
        into = self._in
        self._exchange(pair[0], pair[1])
        irq = into[_AT_IRQ]
        # ComIrqReg bit 7 always reads 0: a bus stuck at 1 shows here, one stuck at 0 behind.
        if irq & _IRQ_SET or into[_AT_TX_CONTROL] != _ANTENNA_ON:
            self._fault("chip reset or bus dead")
        return irq

    def _reading(self, expected, proof):
        """Buffers (out, into) that read _STATUS, `expected` FIFO bytes, and the proof."""
        key = ~expected - 2 * FIFO_BYTES if proof else ~expected
        tail = _PROOF if proof else b""
        return self._views.get(key) or self._keep(
            key, _STATUS + _FROM_FIFO * expected + tail + b"\x00"
        )

    def _give_up(self):
        """0 for no interrupt, as of a reception that never ended; BusFault for lost settings."""
        if not self.is_set_up():
            self._fault("configuration lost")
        self._in[_AT_LEVEL] = 1  # whatever the FIFO holds is to be thrown away
        return 0

    def _await_pin(self, begin_us, deadline_us):
        """True when the IRQ pin went active; False after a poll step or at the deadline."""
        if self._is_polled:
            self.sleep_us(max(_POLL_STEP_US, self.ticks_us() - begin_us >> _WAIT_STEP_SHIFT))
            return False
        irq = self._irq
        while irq() != 0:
            now_us = self.ticks_us()
            if now_us >= deadline_us:
                return False
            self.sleep_us(max(_WAIT_STEP_US, now_us - begin_us >> _WAIT_STEP_SHIFT))
        return True

    def _judge_pin(self):
        """An interrupt has come that the pin did not tell, or was not asked for."""
        if self._is_polled:
            self._missed_in_a_row = 0
            return
        self.pin_misses += 1
        self._missed_in_a_row += 1
        self._pin_trusted = self._missed_in_a_row < _PIN_MISSES_MAX

    def _collect(self, expected):
        """Bits of the answer; brings the rest of the FIFO if more came than `expected`."""
        status = self._in
        level, last_bits = status[_AT_LEVEL], status[_AT_CONTROL] & 7
        self.errors = status[_AT_ERROR] & (
            _ERROR_RECEPTION_FAST if self._rate else _ERROR_RECEPTION
        )
        if level > expected:
            if level > FIFO_BYTES:
                self.errors |= ERROR_CRC
                return 0
            self._bring(expected, level)
        self._fifo_dirty = False
        return level * 8 - (8 - last_bits) if last_bits and level else level * 8

    def _bring(self, at, level):
        """The FIFO's bytes from `at` on, behind those that are in `rx` already."""
        # The first byte of a transaction is no data and would cover the last one we have; the
        # last one proves that what lies between came from a chip.
        out = reading([_FIFO_DATA] * (level - at) + [_TX_CONTROL])
        at += STATUS_BYTES - 1
        kept, end = self._in[at], STATUS_BYTES + level
        self._exchange(out, memoryview(self._in)[at : end + 1])
        if self._in[end] != _ANTENNA_ON:
            self._fault("chip reset or bus dead")
        self._in[at] = kept
