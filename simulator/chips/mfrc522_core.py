"""The digital half of the MFRC522 model: SPI, registers, FIFO, interrupts, timer, reset.

What its commands do, and the radio, stands in `simulator.chips.mfrc522`, which derives from this.
"""

import heapq
import random
from collections.abc import Callable
from itertools import count

from simulator.cards.field import FC, US, Clock, Field, Session, Talk
from simulator.chips import mfrc522_registers as reg

FIFO_BYTES = 64
SPI_HZ_MAX = 10_000_000
WAKE_RESET = 538 * US  # crystal start (assumed 500 us) and 37.74 us internal delay
WAKE_SOFT = 38 * US

OFF, WAIT_SEND, SENDING, RX_WAIT, RECEIVING = 0, 1, 3, 4, 6


class Core:
    """The chip as its pins and registers show it; see `Mfrc522` for the whole and its switches."""

    def __init__(
        self,
        clock: Clock,
        field: Field,
        rng: random.Random | None = None,
        *,
        call_us: int = 30,
        spi_hz: int = 4_000_000,
    ) -> None:
        self.clock, self.field = clock, field
        self.call_us, self.spi_hz = call_us, spi_hz
        self.transactions = 0
        self.bytes_moved = 0
        self.before_exchange: Callable[[int], None] | None = None
        self.on_exchange: Callable[[bytes, bytes], None] | None = None
        self.version = 0x92
        self.miso: int | None = None
        self.timer_dead = False
        self.violations: list[str] = []
        self._rng = rng if rng is not None else random.Random(0)
        self._pin = 1
        self._bus_carry = 0
        self._t = clock.now_us * US
        self._due: list[tuple[int, int, int, Callable, tuple]] = []
        self._number = count()
        self._epoch = 0
        self._timer_epoch = 0
        self._readers = self._bound("read")
        self._writers = self._bound("write")
        field.before_change.append(self._sync)
        if spi_hz > SPI_HZ_MAX:
            self.violations.append(f"SPI clock of {spi_hz} Hz")
        self._power_on_reset(0)

    # ---------------------------------------------------------------- pins

    def exchange(self, out: bytes, into: bytearray | memoryview) -> None:
        """Run one SPI transaction, chip select low to high; `into` is as long as `out`."""
        size = len(out)
        if size != len(into) or size == 0:
            raise ValueError("out and into must have one length, at least 1")
        if self.before_exchange is not None:
            self.before_exchange(self.transactions)
        self.transactions += 1
        self.bytes_moved += size
        bits_us, self._bus_carry = divmod(self._bus_carry + 8_000_000 * size, self.spi_hz)
        self.clock.advance_us(self.call_us + bits_us)
        self._sync()
        if self._pin:
            self._shift(out, into)
        else:
            into[:] = bytes(size)
        if self.miso is not None:
            into[:] = bytes((self.miso,)) * size
        if self.on_exchange is not None:
            self.on_exchange(bytes(out), bytes(into))

    def irq(self) -> int:
        """Return the level of pin IRQ: with IRqInv, the reset state, 0 means active."""
        if self._due and self._due[0][0] <= self.clock.now_us * US:
            self._sync()
        return self._requests() ^ self._regs[reg.COM_IEN] >> 7

    def reset_pin(self, level: int) -> None:
        """Drive NRSTPD: 0 is hard power-down, a rising edge is a reset."""
        self._sync()
        if self._pin and not level:
            self._power_on_reset(0)
        elif level and not self._pin:
            self._power_on_reset(WAKE_RESET)
        self._pin = int(bool(level))
        self._carry()

    def brown_out(self) -> None:
        """Reset everything without a word, as a supply dip or ESD does."""
        self._sync()
        self._power_on_reset(WAKE_RESET)

    def due_us(self) -> int | None:
        """Return when the next thing inside the chip is due, None when nothing is."""
        self._sync()
        return -(-self._due[0][0] // US) if self._due else None

    def peek(self, address: int) -> int:
        """Return a register as the host would read it, without bus, time or side effect."""
        self._sync()
        register = reg.REGISTERS[address]
        if address == reg.FIFO_DATA:
            return self._fifo[0] if self._fifo else 0
        return self._readers[address]() if register.read else self._regs[address]

    # ---------------------------------------------------------------- time

    def _bound(self, direction: str) -> dict[int, Callable]:
        named = {at: getattr(entry, direction) for at, entry in reg.REGISTERS.items()}
        return {at: getattr(self, name) for at, name in named.items() if name}

    def _sync(self) -> None:
        now = self.clock.now_us * US
        while self._due and self._due[0][0] <= now:
            self._t, _, epoch, action, args = heapq.heappop(self._due)
            if epoch in (self._epoch, -1):
                action(*args)
        self._t = now

    def _at(self, delay: int, action: Callable, *args: object) -> None:
        """Schedule what the running command does; another command cancels it."""
        entry = (self._t + delay, next(self._number), self._epoch, action, args)
        heapq.heappush(self._due, entry)

    def _power_on_reset(self, wake: int) -> None:
        self._regs = bytearray(64)
        for address, register in reg.REGISTERS.items():
            self._regs[address] = register.reset
        self._fifo = bytearray()
        self._alerts = reg.LO_ALERT_IRQ
        self._command = reg.IDLE
        self._modem = OFF
        self._session: Session | None = None
        self._soft_down = False
        self._awake_at = self._t + wake
        self._crc = 0xFFFF
        self._is_tested = False
        self._air: list[Talk] = []
        self._timer_from: int | None = None
        self._epoch += 1
        self._due.clear()
        self._carry()

    def _carry(self) -> None:
        on = self._pin and not self._soft_down and self._regs[reg.TX_CONTROL] & 3
        self.field.carrier(bool(on), self._t)

    # ---------------------------------------------------------------- SPI

    def _shift(self, out: bytes, into: bytearray | memoryview) -> None:
        if out[0] & 1:
            self.violations.append(f"address byte {out[0]:02x} with bit 0 set")
        into[0] = 0
        address = out[0] >> 1 & 0x3F
        if out[0] & 0x80:
            for i in range(1, len(out)):
                into[i] = self._read(out[i - 1] >> 1 & 0x3F)
            return
        for i in range(1, len(out)):
            into[i] = 0
            self._write(address, out[i])

    def _read(self, address: int) -> int:
        register = reg.REGISTERS.get(address)
        if register is None:
            self.violations.append(f"read of reserved register {address:02x}")
            return 0
        if self._t < self._awake_at and address != reg.COMMAND:
            self.violations.append(f"read of {register.name} before the oscillator runs")
            return 0
        return self._readers[address]() if register.read else self._regs[address]

    def _write(self, address: int, value: int) -> None:
        register = reg.REGISTERS.get(address)
        if register is None:
            self.violations.append(f"write of reserved register {address:02x}")
        elif register.is_read_only:
            self.violations.append(f"write of read-only register {register.name}")
        elif self._t < self._awake_at:
            self.violations.append(f"write of {register.name} before the oscillator runs")
        else:
            self._regs[address] = self._regs[address] & ~register.mask | value & register.mask
            if register.write:
                self._writers[address](value)

    # ---------------------------------------------------------------- interrupts

    def _raise(self, bits: int) -> None:
        self._regs[reg.COM_IRQ] |= bits

    def _fail(self, bits: int) -> None:
        self._regs[reg.ERROR] |= bits
        self._raise(reg.ERR_IRQ)

    def _requests(self) -> int:
        regs = self._regs
        if regs[reg.COM_IRQ] & regs[reg.COM_IEN] & 0x7F:
            return 1
        return 1 if regs[reg.DIV_IRQ] & regs[reg.DIV_IEN] & 0x14 else 0

    def _write_com_irq(self, value: int) -> None:
        marked = value & 0x7F
        flags = self._regs[reg.COM_IRQ]
        self._regs[reg.COM_IRQ] = flags | marked if value & 0x80 else flags & ~marked

    def _write_div_irq(self, value: int) -> None:
        marked = value & 0x14
        flags = self._regs[reg.DIV_IRQ]
        self._regs[reg.DIV_IRQ] = flags | marked if value & 0x80 else flags & ~marked

    def _read_status1(self) -> int:
        crc_ready = self._command != reg.CALC_CRC or self._regs[reg.DIV_IRQ] & reg.CRC_IRQ
        high = FIFO_BYTES - len(self._fifo) <= self._regs[reg.WATER_LEVEL]
        low = len(self._fifo) <= self._regs[reg.WATER_LEVEL]
        flags = (low, high, 0, self._timer_from is not None, self._requests(), crc_ready)
        crc_ok = 0x40 if self._crc == 0 else 0
        return crc_ok | sum(1 << bit for bit, flag in enumerate(flags) if flag)

    # ---------------------------------------------------------------- FIFO

    def _push(self, data: bytes) -> None:
        room = FIFO_BYTES - len(self._fifo)
        self._fifo += data[:room]
        if len(data) > room:
            self._fail(reg.BUFFER_OVFL)
        self._watch_level()

    def _drain(self) -> bytes:
        data = bytes(self._fifo)
        self._fifo.clear()
        self._watch_level()
        return data

    def _watch_level(self) -> None:
        """An alert interrupt stores the moment its condition becomes true."""
        water = self._regs[reg.WATER_LEVEL]
        alerts = reg.HI_ALERT_IRQ if FIFO_BYTES - len(self._fifo) <= water else 0
        alerts |= reg.LO_ALERT_IRQ if len(self._fifo) <= water else 0
        self._raise(alerts & ~self._alerts)
        self._alerts = alerts

    def _host_blocked(self) -> bool:
        if self._command == reg.AUTHENT and self._modem != WAIT_SEND:
            self._fail(reg.WR_ERR)
            return True
        return False

    def _read_fifo(self) -> int:
        if self._modem == RECEIVING:
            self.violations.append("FIFO read while a frame comes in")
        if self._host_blocked() or not self._fifo:
            return 0
        value = self._fifo.pop(0)
        self._watch_level()
        return value

    def _write_fifo(self, value: int) -> None:
        if self._host_blocked():
            return
        if self._modem in (SENDING, RX_WAIT, RECEIVING):
            self._fail(reg.WR_ERR)
        self._push(bytes((value,)))
        self._fifo_written()

    def _read_fifo_level(self) -> int:
        return len(self._fifo)

    def _write_fifo_level(self, value: int) -> None:
        if value & 0x80:
            self._fifo.clear()
            self._regs[reg.ERROR] &= ~reg.BUFFER_OVFL
            self._watch_level()

    def _write_water_level(self, _value: int) -> None:
        self._watch_level()

    def _fifo_written(self) -> None:
        """What the running command makes of a byte from the host."""

    # ---------------------------------------------------------------- timer

    def _reload(self) -> int:
        return self._regs[reg.T_RELOAD_HI] << 8 | self._regs[reg.T_RELOAD_LO]

    def _timer_tick(self) -> int:
        prescaler = (self._regs[reg.T_MODE] & 15) << 8 | self._regs[reg.T_PRESCALER]
        even = self._regs[reg.DEMOD] >> 4 & 1
        return (2 * prescaler + (2 if even else 1)) * FC

    def _start_timer(self) -> None:
        self._timer_epoch += 1
        self._timer_from = self._t
        due = self._t + (self._reload() + 1) * self._timer_tick()
        entry = (due, next(self._number), -1, self._expire, (self._timer_epoch,))
        heapq.heappush(self._due, entry)

    def _stop_timer(self) -> None:
        self._timer_epoch += 1
        self._timer_from = None

    def _expire(self, epoch: int) -> None:
        if epoch != self._timer_epoch or self.timer_dead:
            return
        self._raise(reg.TIMER_IRQ)
        self._timer_from = None
        if self._regs[reg.T_MODE] & 0x10:
            self._start_timer()

    def _counter(self) -> int:
        if self._timer_from is None:
            return 0
        return max(0, self._reload() - (self._t - self._timer_from) // self._timer_tick())

    def _read_counter_high(self) -> int:
        return self._counter() >> 8

    def _read_counter_low(self) -> int:
        return self._counter() & 0xFF

    def _write_control(self, value: int) -> None:
        if value & 0x80:
            self._stop_timer()
        if value & 0x40:
            self._start_timer()

    # ---------------------------------------------------------------- small registers

    def _read_command(self) -> int:
        waking = self._soft_down or self._t < self._awake_at
        return self._regs[reg.COMMAND] | (0x10 if waking else 0) | self._command

    def _read_version(self) -> int:
        return self.version

    def _write_tx_control(self, _value: int) -> None:
        self._carry()

    def _read_status2(self) -> int:
        return (0x08 if self._session else 0) | self._modem

    def _write_status2(self, value: int) -> None:
        if not value & 0x08:
            self._session = None
