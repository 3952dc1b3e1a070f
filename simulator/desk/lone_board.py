"""A board of its own for who has none: `onecard sim board`, the firmware in a real MicroPython.

It is reached by its serial port alone, a pseudo-terminal, as a board on a USB adapter is: nothing
of the desk looks into it, and it has the time of this machine. The cards that are held to it are
its own, made from the scenario's seed as the desk's are.
"""

from __future__ import annotations

import os
import random
import select
import time
import tty
from collections.abc import Callable
from functools import partial
from pathlib import Path

from protocols.rules import clock as clock_rules
from simulator.cardbox import HeldCard, make_cards
from simulator.chips.nor_flash import NorFlash
from simulator.desk.board_files import register_of
from simulator.desk.boards import PROGRAMS, on_a_line
from simulator.desk.recorder import with_clock_of_now
from simulator.homes import Images
from simulator.host.hardware import Hardware
from simulator.provisioning import LINE_BAUD, Secrets, stored
from simulator.reader import Reader
from simulator.run import CARD_FLASH_BYTES, DOOR_FLASH_BYTES, FLASH_BYTES
from simulator.scenario import ScenarioError, parse
from simulator.vm.circuit_serial import SerialCircuit, SerialDoorCircuit
from simulator.vm.home import DOOR_VM_HEAP_BYTES, HEAP_BYTES, VmHome
from simulator.world.clock import World
from simulator.world.randomness import Seeds
from simulator.world.serial_bus import LineTap
from simulator.world.transcript import Transcript

_RX_BYTES = 1024  # of a UART; what comes beside is lost
_WAIT_S = 0.02
_BOARDS = {"door": (DOOR_VM_HEAP_BYTES, SerialDoorCircuit)}


class PtyTap(LineTap):
    """A transceiver whose wires are a pseudo-terminal; `path` is the port at its other end.

    With `path` given that is a link to it, as udev gives an adapter a name that stays.
    """

    def __init__(self, link: Path | None) -> None:
        self._link = link
        self._fds: tuple[int, ...] = ()
        self._heard = b""
        self.path = ""
        self.sent_us = 0
        self.is_cut = False
        self.spoil: Callable[[bytes], bytes] = lambda data: data
        self.plug()

    @property
    def fd(self) -> int | None:
        """What becomes readable when something has arrived; None while it is pulled."""
        return self._fds[0] if self._fds else None

    def plug(self) -> None:
        """The adapter is put in: a port appears."""
        self._fds = os.openpty()
        os.set_blocking(self._fds[0], False)
        tty.setraw(self._fds[1])
        self.path = os.ttyname(self._fds[1])
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.path)
            self.path = str(self._link)

    def pull(self) -> None:
        """It is pulled out: the port is gone, and whatever was in it."""
        if self._link is not None:
            self._link.unlink(missing_ok=True)
        for fd in self._fds:
            os.close(fd)
        self._fds, self._heard = (), b""

    def pump(self) -> bool:
        """Take what has arrived; whether anything has."""
        if not self._fds:
            return False
        try:
            data = os.read(self._fds[0], 4096)
        except OSError:
            return False
        self._heard = (self._heard + self.spoil(data))[-_RX_BYTES:]
        return bool(data)

    # -- what Hardware asks of a tap ------------------------------------------------------------

    def drive(self, level: int, now_us: int) -> None:
        """A pseudo-terminal needs no direction."""

    def write(self, data: bytes, now_us: int) -> None:
        self.sent_us = now_us + len(data) * 10_000_000 // LINE_BAUD
        if self._fds:
            try:
                os.write(self._fds[0], self.spoil(data))
            except OSError:
                pass  # nobody reads it, and its buffer is full

    def read(self, size: int, now_us: int) -> bytes:  # noqa: ARG002 - a tap's
        data, self._heard = self._heard[:size], self._heard[size:]
        return data

    def power_off(self, now_us: int) -> None:  # noqa: ARG002
        self._heard = b""


class LoneBoard:
    """A reader of a scenario on its own, stepped by the host's clock. ScenarioError, VmMissing.

    `register` is what a ledger has to be told of it and of its cards, as `register.toml`."""

    def __init__(
        self,
        text: str,
        path: Path,
        name: str,
        images: Images,
        *,
        seed: int | None = None,
        link: Path | None = None,
    ) -> None:
        scenario = parse(with_clock_of_now(text), path)
        found = [one for one in scenario.readers if one["name"] == name]
        role = found[0].get("role", "pos") if found else ""
        if role not in PROGRAMS:
            raise ScenarioError(path, 1, f"there is no reader {name!r} that has a serial line")
        description = on_a_line(found[0])
        seeds = Seeds(scenario.seed if seed is None else seed)
        secrets = Secrets.drawn(scenario, seeds)
        self._world = World(scenario.start_utc_s)
        self._begun_ns = time.monotonic_ns()
        today = clock_rules.day(scenario.start_utc_s, scenario.policy["utc_offset_s"])
        self.cards: dict[str, HeldCard] = {}
        for batch in scenario.cards:
            draw = seeds.stream("cards", batch.name)
            self.cards |= {
                card.name: card for card in make_cards(batch, secrets.cards, draw, today)
            }
        self.register = register_of(scenario, secrets, description, self.cards.values())
        draw = random.Random(os.urandom(8))
        self.flash = NorFlash(FLASH_BYTES, random.Random(draw.randbytes(8)))
        map_bytes = DOOR_FLASH_BYTES if role == "door" else CARD_FLASH_BYTES
        map_flash = None
        if description.get("card_map"):
            map_flash = NorFlash(map_bytes, random.Random(draw.randbytes(8)))
        nvs = stored(scenario, secrets, description)
        what = name, self._world, Transcript(), self.flash, nvs, draw, None, map_flash
        self.hardware = Hardware(*what)
        self.tap = self.hardware.line = PtyTap(link)
        heap_bytes, wiring = _BOARDS.get(role, (HEAP_BYTES, SerialCircuit))
        image = images.of(PROGRAMS[role])
        home = VmHome(name, self.hardware, image=image, heap_bytes=heap_bytes, wiring=wiring)
        self.reader = Reader(name, self._world, self.hardware, home, lambda _: None)

    @property
    def lines(self) -> list[str]:
        """What stands on its customer display."""
        return self.hardware.panel.lines

    def switch(self, on: bool) -> None:
        """Its supply comes, or goes."""
        self._catch_up()
        if on and not self.reader.is_on:
            self.reader.switch_on()
        elif not on:
            self.reader.switch_off()

    def press(self, keys: bytes) -> None:
        self.hardware.keys += keys
        self.reader.wake(self._world.now_us)

    def hold(self, card: str, hold_ms: int) -> None:
        """Somebody holds a card to it; KeyError if the wallet has none of that name."""
        chip, now_us = self.cards[card].chip, self._world.now_us
        if not chip.in_field:
            self.reader.at(now_us, partial(self.hardware.put_card, chip))
            self.reader.at(now_us + hold_ms * 1000, partial(self.hardware.take_card, chip))

    def live(self, until: Callable[[], bool], also: int | None = None) -> None:
        """Go on in real time until that is so; `also` is a descriptor that ends a wait."""
        while not until():
            self._catch_up()
            fds = [fd for fd in (self.tap.fd, also) if fd is not None]
            select.select(fds, [], [], _WAIT_S)

    def close(self) -> None:
        self.reader.switch_off()
        self.tap.pull()

    def _catch_up(self) -> None:
        if self.tap.pump():
            self.reader.wake(self._world.now_us)
        now_us = (time.monotonic_ns() - self._begun_ns) // 1000
        while self._world.step(now_us):
            pass
