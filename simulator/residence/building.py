"""One building of the residence: its doors, its agent, the brokers, and the ledger behind them.

Everything that decides is production code: the firmware of role door on its host board, agent and
ledger on real SQLite. Brokers and cables are those of the torture (ADR 10). The world's clock is
the only one. Buildings know nothing of each other, so each may have a process of its own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ledger.store import LedgerStore
from protocols.rules import settings
from simulator.cardbox import CardKeys
from simulator.host.card_port import front_end
from simulator.locks import hang_up
from simulator.residence.doorway import DoorHardware, Doorway
from simulator.residence.doze import DoorHome, DozingReader
from simulator.residence.place import GuardedHome, Linked
from simulator.residence.room_lock import LockHome, LockReader, RecordingLock, RoomLock
from simulator.torture.broker import Broker
from simulator.torture.cable import Cable
from simulator.torture.campus import POLICY
from simulator.torture.process import AgentProcess, LedgerProcess
from simulator.world.clock import World
from simulator.world.randomness import Seeds
from simulator.world.serial_bus import SerialBus

SITE = "dorm-7"
MERCHANT_NO = 1
# 2026-09-01 00:00 in China, a Tuesday.
START_UTC_S = 1_788_192_000
UTC_OFFSET_S = POLICY["utc_offset_s"]
DAY_US = 86_400_000_000
SECOND_US = 1_000_000
FIRST_DEVICE, FIRST_LOCK = 2001, 3001
_GRANT_MS = 5000
_JOURNAL_SECTORS, _ROOM_SECTORS, _CARD_SECTORS = 32, 16, 16
_LINE_BAUD = 115_200
_REVIVED_US = (2 * SECOND_US, 60 * SECOND_US)
VIOLATIONS_MAX = 20


class FaultyHome(GuardedHome, DoorHome):
    """A door's firmware that may raise."""


class Building:
    """One seed's building. `fired` counts the faults that struck, `violations` what broke."""

    def __init__(
        self,
        seed: int,
        directory: Path,
        doors: int,
        *,
        begins_s: int = 0,  # of its first day
        dozes: bool = True,
        locks: int = 0,
    ) -> None:
        self.seeds = Seeds(seed)
        self.world = World(START_UTC_S + begins_s)
        self.fired: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.violations: list[str] = []
        self.handheld: Linked | None = None  # of who goes to the locks of rooms
        self.is_healing = False
        self.endings: list[Callable[[], None]] = []
        self.keys = CardKeys.drawn(self.seeds.stream("keys"))
        self._dozes = dozes
        self._secrets = self.seeds.stream("secrets")
        self._make_tiers(directory, [FIRST_LOCK + number for number in range(locks)])
        self.doors = [self._make_door(number) for number in range(doors)]
        self.rooms = [self._make_room(number) for number in range(locks)]

    # -- building -------------------------------------------------------------------------------

    def _make_tiers(self, directory: Path, on_line: list[int]) -> None:
        signing_key = self._secrets.randbytes(32)
        self.building, self.centre = (
            Broker(name, self.world, self.seeds.stream("broker", name), self.fired)
            for name in ("building", "centre")
        )
        path = directory / "ledger.sqlite"
        self.ledger = LedgerProcess(
            self.world, self.report, path, self.centre, signing_key, self.fired, with_cards=True
        )
        self.agent = AgentProcess(
            self.world,
            self.report,
            SITE,
            directory,
            self.building,
            self.centre,
            signing_key,
            self.fired,
            with_cards=True,
        )
        if on_line:
            self.agent.line = SerialBus(self.world, _LINE_BAUD, on_line, self.agent.wake)
        self.ledger.start()
        self.books = LedgerStore.open(str(path))
        self.books.register_merchant(MERCHANT_NO, "residence")
        self.agent.start()

    def _make_door(self, number: int) -> Doorway:
        device, key = FIRST_DEVICE + number, self._secrets.randbytes(32)
        name = f"door-{number + 1}"
        self.books.register_device(device, key, MERCHANT_NO, SITE)
        self.books.access.add_door(device, "dorm", _GRANT_MS, 0)
        nvs = {"settings": self._settings(device, key)}
        draw = self.seeds.stream("door", name)
        hardware = DoorHardware(name, self.world, nvs, draw, (_JOURNAL_SECTORS, _CARD_SECTORS))
        home = FaultyHome("door", hardware, front_end)
        home.on_crash = lambda text: self.report(f"{name} crashed: {text}")
        reader = DozingReader(name, self.world, hardware, home, lambda _now_us: None)
        reader.is_stepped = not self._dozes
        cable = Cable(name, self.world, self.building, lambda: hardware.clock.now_us, reader.wake)
        hardware.cable = cable  # type: ignore[assignment]
        doorway = Doorway(name, device, key, self.world, hardware, reader, cable)
        reader.on_death = partial(self._died, doorway)
        doorway.on_doubt = self.report
        return doorway

    def _make_room(self, number: int) -> RoomLock:
        device, key = FIRST_LOCK + number, self._secrets.randbytes(32)
        name = f"room-{number + 1}"
        self.books.register_device(device, key, MERCHANT_NO, SITE)
        self.books.access.add_door(device, "dorm", _GRANT_MS, 0, is_lock=True)
        nvs = {"settings": self._settings(device, key), "serial_baud": str(_LINE_BAUD).encode()}
        draw = self.seeds.stream("room", name)
        hardware = RecordingLock(name, self.world, nvs, draw, (_ROOM_SECTORS, _CARD_SECTORS))
        home = LockHome("lock", hardware, front_end)
        home.on_crash = lambda text: self.report(f"{name} crashed: {text}")
        reader = LockReader(name, self.world, hardware, home, lambda _now_us: None)
        assert self.agent.line is not None
        hardware.line = self.agent.line.tap(hang_up(reader))
        room = RoomLock(name, device, key, self.world, hardware, reader)
        reader.on_death = room.died
        room.on_doubt = self.report
        return room

    def _settings(self, device: int, key: bytes) -> bytes:
        return settings.encode(
            {
                "device": device,
                "site": SITE,
                "merchant_no": MERCHANT_NO,
                "device_key": key,
                "purse_key": self.keys.purse,
                "mac_key": self.keys.mac,
                "read_key": self.keys.desfire.read,
                "broker_host": "building",
                "broker_port": 1883,
                "policy": POLICY,
            }
        )

    # -- power ----------------------------------------------------------------------------------

    def switch_on(self, door: Doorway, cause: int = 1) -> None:
        """Power comes to a door that has none, or its reset is over."""
        if not door.reader.is_on:
            door.boots.append(self.world.now_us)
            door.tell("boot")
            door.hardware.boot_cause = cause
            door.reader.switch_on()
            if door.reader.is_on:
                door.come_alive()

    def _died(self, door: Doorway) -> None:
        """A door is dead; its supply comes back sooner or later."""
        door.die()
        door.tell("dead")
        draw = self.seeds.stream("revive", door.name, self.world.now_us)
        self.later(draw.randrange(*_REVIVED_US), lambda: self.switch_on(door))

    # -- time -----------------------------------------------------------------------------------

    def run_until(self, until_us: int) -> None:
        """Let everything happen that is due by then."""
        while self.world.step(until_us):
            pass

    def later(self, delay_us: int, act: Callable[[], object]) -> None:
        """Do something in a while."""
        self.world.at(self.world.now_us + delay_us, act)

    def until(self, duration_us: int, end: Callable[[], None]) -> None:
        """`end` is called once: after the duration, or when the building heals before."""
        ended = []

        def once() -> None:
            if not ended:
                ended.append(True)
                self.endings.remove(once)
                end()

        self.endings.append(once)
        self.later(duration_us, once)

    def heal(self) -> None:
        """End whatever still lasts."""
        self.is_healing = True
        for end in list(self.endings):
            end()

    def local_s(self, time_us: int) -> int:
        """The wall clock of the campus, in seconds since 1970."""
        return self.world.utc_s(time_us) + UTC_OFFSET_S

    # -- books ----------------------------------------------------------------------------------

    def report(self, what: str) -> None:
        """A rule is broken."""
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"t={self.world.now_us / 1e6:.3f} {what}")

    def draw(self, *names: object) -> random.Random:
        """A stream of its own for a purpose."""
        return self.seeds.stream(*names)

    def close(self) -> None:
        """Nothing of it goes on."""
        for place in (*self.doors, *self.rooms):
            place.reader.home.kill()
        self.agent.kill()
        self.ledger.kill()
        self.books.close()
