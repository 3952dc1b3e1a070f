"""The NXP MFRC522 at register level, behind its SPI pins, with an antenna in a `Field`.

The chip lives in the ticks of `simulator.cards.field`; whatever is due happens, in order, the next
time the host touches it. A host that breaks the data sheet is not stopped but written down in
`violations`, which a test asserts to be empty.
"""

from dataclasses import replace

from simulator.cards.field import ETU, FC, US, Frame, Session, Talk, crc_a, with_crc
from simulator.chips import mfrc522_registers as reg
from simulator.chips.mfrc522_core import (
    OFF,
    RECEIVING,
    RX_WAIT,
    SENDING,
    WAIT_SEND,
    WAKE_RESET,
    WAKE_SOFT,
    Core,
)
from simulator.chips.mfrc522_self_test import SELF_TEST_BYTES, SELF_TEST_RESULTS

CRC_BYTE = 16 * FC  # the coprocessor is faster than any bus
FIFTH_BIT = 5 * ETU  # the timer stops after a start bit and four data bits
SHORTEST_BITS = 4  # RxNoErr ignores anything shorter
AUTHENT_BYTES = 12
MEMORY_BYTES = 25
SELF_TEST = 1_000 * US  # assumed: the data sheet gives no time
FRESH_ERRORS = reg.COLL_ERR | reg.CRC_ERR | reg.PARITY_ERR | reg.PROTOCOL_ERR


class Mfrc522(Core):
    """One chip on `clock` with its antenna in `field`.

    The bus seam is `exchange`, `irq` and `reset_pin`; the rest is for tests. `call_us` is what one
    SPI transaction costs the host beside the bits. Counters: `transactions`, `bytes_moved`.
    Hooks: `before_exchange(k)` runs before transaction k, `on_exchange(out, into)` after each.
    Faults: `miso` stuck at 0x00 or 0xFF, `version`, `timer_dead`, `is_clone` (a self test of its
    own), `brown_out()`; what happens on the air is the field's. Open questions of the silicon are
    switches: `collision_counts_align` says whether CollPos counts the RxAlign bits.
    """

    collision_counts_align = True
    is_clone = False
    _memory = bytes(MEMORY_BYTES)
    _auth: tuple[bytes, bytes, Session | None]
    _offered: Session | None

    # ---------------------------------------------------------------- commands

    def _write_command(self, value: int) -> None:
        down = bool(value & 0x10)
        if self._soft_down and not down:
            self._awake_at = self._t + WAKE_RESET
        self._soft_down = down
        self._carry()
        command = value & 0x0F
        if command == reg.NO_CHANGE:
            return
        self._epoch += 1
        self._modem = OFF
        self._command = command
        if command == reg.IDLE:
            return
        self._regs[reg.ERROR] &= reg.TEMP_ERR
        begin = COMMANDS.get(command)
        if begin is None:
            self.violations.append(f"unknown command {command:x}")
            self._finish()
        else:
            begin(self)

    def _finish(self) -> None:
        """End the command from inside, which, unlike Idle from the host, is an interrupt."""
        self._epoch += 1
        self._modem = OFF
        self._command = reg.IDLE
        self._raise(reg.IDLE_IRQ)

    def _begin_mem(self) -> None:
        if self._fifo:
            data = self._drain()[:MEMORY_BYTES]
            self._memory = data + self._memory[len(data) :]
        else:
            self._push(self._memory)
        self._finish()

    def _begin_random_id(self) -> None:
        self._memory = self._rng.randbytes(10) + self._memory[10:]
        self._finish()

    def _begin_calc_crc(self) -> None:
        if self._is_self_test():
            self._at(SELF_TEST, self._end_self_test, self._drain())
            return
        if self._regs[reg.MODE] & 0x80:
            self.violations.append("MSBFirst is not modelled")
        self._crc = reg.CRC_PRESETS[self._regs[reg.MODE] & 3]
        self._feed_crc()

    def _is_self_test(self) -> bool:
        return self._regs[reg.AUTO_TEST] & 15 == reg.SELF_TEST

    def _end_self_test(self, seed: bytes) -> None:
        """Fill the FIFO with what the data sheet says, if all was done as it says."""
        self._is_tested = True
        result = SELF_TEST_RESULTS.get(self.version)
        if result is None or self.is_clone or seed != bytes(1) or any(self._memory):
            result = bytes(1) + self._rng.randbytes(SELF_TEST_BYTES - 1)
        self._push(result)

    def _feed_crc(self) -> None:
        data = self._drain()
        if data:
            self._crc = crc_a(data, self._crc)
            self._at(len(data) * CRC_BYTE, self._show_crc, self._crc)

    def _show_crc(self, crc: int) -> None:
        self._regs[reg.CRC_RESULT_HI], self._regs[reg.CRC_RESULT_LO] = divmod(crc, 256)
        self._regs[reg.DIV_IRQ] |= reg.CRC_IRQ

    def _begin_soft_reset(self) -> None:
        self._power_on_reset(WAKE_SOFT)

    def _begin_transmit(self) -> None:
        self._send_fifo()

    def _begin_receive(self) -> None:
        self._modem = RX_WAIT
        self._listen()

    def _begin_transceive(self) -> None:
        self._modem = WAIT_SEND
        if self._regs[reg.BIT_FRAMING] & 0x80:
            self._send_fifo()

    def _write_bit_framing(self, value: int) -> None:
        if not value & 0x80 or self._command != reg.TRANSCEIVE:
            return
        if self._modem != WAIT_SEND:
            self.violations.append("StartSend while a frame or its answer is under way")
        if self._modem in (WAIT_SEND, RX_WAIT):
            self._epoch += 1
            self._send_fifo()

    def _fifo_written(self) -> None:
        if self._command == reg.CALC_CRC and not self._is_self_test():
            self._feed_crc()
        elif self._command == reg.AUTHENT:
            self._ask_nonce()

    # ---------------------------------------------------------------- sending

    def _send_fifo(self) -> None:
        data = self._drain()
        last_bits = self._regs[reg.BIT_FRAMING] & 7
        if not data:
            self.violations.append("transmission of an empty FIFO")
            self._modem = RX_WAIT
            return
        if self._is_tested:
            self.violations.append("a frame after a self test, without a reset")
        if self._regs[reg.MF_RX] & 0x10:
            self.violations.append("ParityDisable is not modelled")
        if self._regs[reg.TX_MODE] & 0x80:
            if last_bits:
                self.violations.append("TxCRCEn with TxLastBits")
            crc = crc_a(data, reg.CRC_PRESETS[self._regs[reg.MODE] & 3])
            data += crc.to_bytes(2, "little")
        elif self._regs[reg.TX_MODE] & 0x70:
            self.violations.append("no TxCRCEn above 106 kbit/s")
        nbits = 8 * len(data) - (8 - last_bits if last_bits else 0)
        value = int.from_bytes(data, "little") & (1 << nbits) - 1
        self._send(Frame(value, nbits, self._session, self._regs[reg.TX_MODE] >> 4 & 7))

    def _send(self, frame: Frame) -> None:
        self._modem = SENDING
        self._air = []
        self._at(frame.duration, self._sent, frame)

    def _sent(self, frame: Frame) -> None:
        if self._command != reg.AUTHENT:
            self._raise(reg.TX_IRQ)
        # Less than 100 % modulation is no type A pause, nor is one of another rate's length.
        if self._regs[reg.TX_ASK] & 0x40 and self._regs[reg.MOD_WIDTH] in reg.PAUSES[frame.rate]:
            self._air = self.field.send(frame, self._t)
        if self._regs[reg.T_MODE] & 0x80:
            self._start_timer()
        if self._command == reg.TRANSMIT:
            self._finish()
        else:
            self._modem = RX_WAIT
            self._listen()

    # ---------------------------------------------------------------- receiving

    def _listen(self) -> None:
        for i, talk in enumerate(self._air):
            if talk.start >= self._t:
                self._at(talk.start - self._t, self._hear, self._air[i:])

    def _hear(self, talks: list[Talk]) -> None:
        rx_mode = self._regs[reg.RX_MODE]
        if self._modem != RX_WAIT or self._regs[reg.COMMAND] & 0x20:
            return
        frame = self.field.merge(talks)
        if frame is None or frame.rate != rx_mode >> 4 & 7:
            return
        if rx_mode & 0x08 and frame.nbits < SHORTEST_BITS:
            return
        self._regs[reg.ERROR] &= ~FRESH_ERRORS
        self._regs[reg.COLL] = self._regs[reg.COLL] & 0x80 | 0x20
        self._modem = RECEIVING
        if frame.nbits >= SHORTEST_BITS:
            self._at(FIFTH_BIT >> frame.rate, self._fifth_bit, talks)
        self._at(frame.duration, self._heard, frame, talks)

    def _fifth_bit(self, talks: list[Talk]) -> None:
        multiple = self._regs[reg.RX_MODE] & 0x04
        if multiple:
            self.violations.append("RxMultiple is not modelled")
        elif self._regs[reg.T_MODE] & 0x80 and any(map(self.field.is_speaking, talks)):
            self._stop_timer()

    def _heard(self, frame: Frame, talks: list[Talk]) -> None:
        whole = self.field.cut(frame, talks, self._t - frame.duration)
        self._modem = RX_WAIT if whole is None else WAIT_SEND
        if whole is None:
            return
        if self._command == reg.AUTHENT:
            self._prove(whole)
            return
        self._deposit(whole if whole.cipher == self._session else self._scramble(whole))
        if self._command == reg.RECEIVE:
            self._finish()

    def _scramble(self, frame: Frame) -> Frame:
        """What the right bits look like under the wrong key stream."""
        noise = self._rng.getrandbits(frame.nbits)
        return replace(frame, value=frame.value ^ noise, bad_parity=frame.nbits >= 8)

    def _deposit(self, frame: Frame) -> None:
        value, errors = frame.value, 0
        align = self._regs[reg.BIT_FRAMING] >> 4 & 7
        if frame.collided:
            errors = reg.COLL_ERR
            value = self._note_collision(frame, align)
        elif frame.bad_parity:
            errors = reg.PARITY_ERR
        if frame.nbits < SHORTEST_BITS:
            errors |= reg.PROTOCOL_ERR
        total = frame.nbits + align
        data = (value << align).to_bytes((total + 7) // 8, "little")
        if self._regs[reg.RX_MODE] & 0x80:
            data, is_right = self._check_crc(data, total)
            errors |= 0 if is_right else reg.CRC_ERR
        elif frame.rate:
            self.violations.append("no RxCRCEn above 106 kbit/s")
        if frame.rate:  # where only the CRC tells, and two other flags may stand as they like
            errors = errors & reg.CRC_ERR | self._rng.getrandbits(2)
        self._regs[reg.CONTROL] = 0x10 | total % 8
        self._push(data)
        if errors:
            self._fail(errors)
        if data or not self._regs[reg.RX_MODE] & 0x08:
            self._raise(reg.RX_IRQ)

    def _check_crc(self, data: bytes, nbits: int) -> tuple[bytes, bool]:
        """Strip the CRC; a 4-bit acknowledge has none, so it stays and counts as wrong."""
        if nbits < 16:
            return data, False
        preset = reg.CRC_PRESETS[self._regs[reg.MODE] & 3]
        crc = crc_a(data[:-2], preset)
        return data[:-2], nbits % 8 == 0 and data[-2:] == crc.to_bytes(2, "little")

    def _note_collision(self, frame: Frame, align: int) -> int:
        first = (frame.collided & -frame.collided).bit_length() - 1
        position = first + 1 + (align if self.collision_counts_align else 0)
        keep = self._regs[reg.COLL] & 0x80
        shown = position % 32 if position <= 32 else 0x20
        self._regs[reg.COLL] = keep | shown
        return frame.value if keep else frame.value & (1 << first) - 1

    # ---------------------------------------------------------------- MFAuthent

    def _begin_authent(self) -> None:
        self._auth = (b"", b"", self._session)
        self._offered = None
        self._session = None
        self._modem = WAIT_SEND
        self._ask_nonce()

    def _ask_nonce(self) -> None:
        if len(self._fifo) < AUTHENT_BYTES:
            return
        asked = self._drain()
        old = self._auth[2]
        self._auth = (asked[2:8], asked[8:12], old)
        if asked[0] not in (0x60, 0x61) or len(asked) > AUTHENT_BYTES:
            self.violations.append(f"MFAuthent with {asked.hex()}")
        self._send(Frame.of(with_crc(asked[:2]), old))

    def _prove(self, frame: Frame) -> None:
        """Take the card's nonce and answer it, or take the card's own proof and be done."""
        key, uid, old = self._auth
        expected = old if self._offered is None else self._offered
        if frame.nbits != 32 or frame.collided or frame.bad_parity or frame.cipher != expected:
            self._fail(reg.PROTOCOL_ERR)
        elif self._offered is None:
            self._offered = Session(key, uid, frame.data)
            challenge = self._rng.getrandbits(32)
            self._send(Frame((challenge ^ frame.value) << 32 | challenge, 64, self._offered))
        elif frame.data != _flip(self._offered.nonce):
            self._fail(reg.PROTOCOL_ERR)
        else:
            self._session = self._offered
            self._finish()


COMMANDS = {
    reg.MEM: Mfrc522._begin_mem,
    reg.RANDOM_ID: Mfrc522._begin_random_id,
    reg.CALC_CRC: Mfrc522._begin_calc_crc,
    reg.TRANSMIT: Mfrc522._begin_transmit,
    reg.RECEIVE: Mfrc522._begin_receive,
    reg.TRANSCEIVE: Mfrc522._begin_transceive,
    reg.AUTHENT: Mfrc522._begin_authent,
    reg.SOFT_RESET: Mfrc522._begin_soft_reset,
}


def _flip(data: bytes) -> bytes:
    return bytes(byte ^ 0xFF for byte in data)
