"""A reader on which every microsecond of a tap is somebody's: hardware that writes down what moved
its clock, and what was on the air at the time.

The clock only moves while the host is on the bus, sleeps, or programs flash; that tiles a tap
without a gap. Over it lie the frames: what passes while one is on the air, or a card is busy, is
theirs, whatever the host does meanwhile. So the parts are disjoint and add up to the whole, in the
ticks of simulator.cards.field.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from simulator.cards.field import FC, FDT_BIT_0, FDT_BIT_1, US, Field, Frame, Talk
from simulator.chips.mfrc522 import Mfrc522
from simulator.chips.nor_flash import NorFlash
from simulator.host.hardware import Hardware
from simulator.world.clock import ReaderClock, World
from simulator.world.transcript import Transcript

START_UTC_S = 1_788_494_400  # 2026-09-04, noon in China
SPI_HZ = 8_000_000  # firmware/boards/esp32.py
FLASH_BYTES = 64 * 1024
# What the reader has to wait from a card's answer to its own next frame (ISO/IEC 14443-3).
TURNAROUND = 1172 * FC
RF, CARD, BUS, WAITING, FLASH = "RF", "card", "bus", "waiting", "flash"
PARTS: tuple[str, ...] = (RF, CARD, BUS, WAITING, FLASH)


class NotAccounted(Exception):
    """Time has passed on this reader that is nobody's, or what was on the air fell outside it."""


@dataclass(frozen=True)
class Span:
    """The host made time pass: microseconds of the reader's clock, and the part it is."""

    start_us: int
    end_us: int
    part: str


@dataclass(frozen=True)
class Exchange:
    """A command that ended at tick `sent`, and the answer that began at `answered`, or none."""

    sent: int
    command: Frame
    answered: int = 0
    answer: Frame | None = None

    @property
    def start(self) -> int:
        return self.sent - self.command.duration

    @property
    def frame_delay(self) -> int:
        """From the command's end, what any card must wait before it may answer."""
        if self.answer is None:
            return 0
        is_one = self.command.value >> self.command.nbits - 1 & 1
        return min(FDT_BIT_1 if is_one else FDT_BIT_0, self.answered - self.sent)

    @property
    def on_air(self) -> list[tuple[int, int, str]]:
        """(from tick, to tick, part): a card works first, what it must wait anyway comes last."""
        if self.answer is None:
            return [(self.start, self.sent, RF)]
        ready = self.answered - self.frame_delay
        return [
            (self.start, self.sent, RF),
            (self.sent, ready, CARD),
            (ready, self.answered + self.answer.duration, RF),
        ]

    @property
    def floor(self) -> int:
        """Ticks that no reader and no card can spare: both frames, and both delays."""
        answer = self.answer.duration if self.answer else 0
        return self.command.duration + self.frame_delay + answer + TURNAROUND


class Ear(Field):
    """A field that keeps every exchange."""

    def __init__(self, clock: ReaderClock) -> None:
        super().__init__(clock)
        self.exchanges: list[Exchange] = []

    def send(self, frame: Frame, now: int) -> list[Talk]:
        talks = super().send(frame, now)
        heard = (talks[0].start, talks[0].frame) if talks else (0, None)
        self.exchanges.append(Exchange(now, frame, *heard))
        return talks


class TimedHardware(Hardware):
    """A reader without network whose `spans` tell what its host spent time on."""

    def __init__(self, settings_blob: bytes, call_us: int, seed: int) -> None:
        draw = random.Random(seed)
        nvs = {"settings": settings_blob}
        super().__init__(
            "tap", World(START_UTC_S), Transcript(), NorFlash(FLASH_BYTES, draw), nvs, draw
        )
        self.ear = Ear(self.clock)
        self.field = self.ear
        self.chip = Mfrc522(self.clock, self.ear, draw, call_us=call_us, spi_hz=SPI_HZ)
        self.spans: list[Span] = []
        self.green_us = 0

    def rfid_exchange(self, out: bytes) -> bytes:
        start_us = self.clock.now_us
        answer = super().rfid_exchange(out)
        self._note(start_us, BUS)
        return answer

    def sleep_us(self, duration_us: int) -> None:
        start_us = self.clock.now_us
        super().sleep_us(duration_us)
        self._note(start_us, WAITING)

    def flash_program(self, address: int, data: bytes) -> None:
        start_us = self.clock.now_us
        super().flash_program(address, data)
        self._note(start_us, FLASH)

    def flash_erase(self, sector: int) -> None:
        start_us = self.clock.now_us
        super().flash_erase(sector)
        self._note(start_us, FLASH)

    def led(self, green: int, red: int) -> None:
        super().led(green, red)
        if green:
            self.green_us = self.clock.now_us

    def _note(self, start_us: int, part: str) -> None:
        if self.clock.now_us > start_us:
            self.spans.append(Span(start_us, self.clock.now_us, part))


@dataclass
class Account:
    """A tap from `start_us` to `end_us`: ticks by part, and what was on the air."""

    start_us: int
    end_us: int
    ticks: dict[str, int]
    exchanges: list[Exchange] = field(default_factory=list)

    @property
    def floor(self) -> int:
        """Ticks of the same frames with a reader and a card that need no time."""
        return sum(exchange.floor for exchange in self.exchanges)

    def ms(self, part: str) -> float:
        """Milliseconds of a part."""
        return self.ticks[part] / US / 1000


def account(
    spans: Sequence[Span], exchanges: Sequence[Exchange], start_us: int, end_us: int
) -> Account:
    """Give every tick from `start_us` to `end_us` to one of PARTS; NotAccounted when one is left.

    Both lists are in the order of time.
    """
    ticks = dict.fromkeys(PARTS, 0)
    air = [stretch for exchange in exchanges for stretch in exchange.on_air]
    busy_until = start_us * US
    for start, end, part in air:
        if not busy_until <= start <= end:
            raise NotAccounted(f"two things on the air at once, at {start // US} us")
        ticks[part] += end - start
        busy_until = end
    if busy_until > end_us * US:
        raise NotAccounted("a frame goes on behind the end")
    now_us = start_us
    for span in spans:
        if span.start_us != now_us:
            raise NotAccounted(f"{span.start_us - now_us} us before {span}")
        now_us = span.end_us
        covered = sum(
            max(0, min(end, span.end_us * US) - max(start, span.start_us * US))
            for start, end, _ in air
        )
        ticks[span.part] += (span.end_us - span.start_us) * US - covered
    if now_us != end_us:
        raise NotAccounted(f"{end_us - now_us} us at the end")
    return Account(start_us, end_us, ticks, list(exchanges))
