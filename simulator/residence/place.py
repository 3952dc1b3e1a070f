"""A place with a reader in the residence: what is true about it, and what was seen from outside.

A door (doorway.py) and a lock of a room (room_lock.py) are places. Nothing here asks a firmware
what it thinks: a record is taken from flash at the moment when that has taken it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from protocols.wire import messages, seal
from protocols.wire.errors import WireError
from simulator.chips.nor_flash import PowerCut
from simulator.host.hardware import CARDS_AT
from simulator.host.home import HostHome
from simulator.world.clock import World
from simulator.world.transcript import Transcript

SECTOR_BYTES = 4096
_SEALED = b"\xd1\x84\x43\xa1\x01\x05\xa0"  # how every sealed record begins (protocols/wire/seal)
# From a boot, or from the end of whatever was wrong, to a reader that does what it should.
SETTLED_US = 8_000_000
# After so long in good order whatever the ledger said has arrived: an agent asks every 300 s.
SYNC_US = 420_000_000


class Silent(Transcript):
    """No event log: a fortnight of it is of no use to anybody."""

    def add(self, time_us: int, who: str, what: str, data: bytes | str | int = b"") -> None:
        """See Transcript."""


@dataclass(frozen=True)
class Written:
    """A record that has come on flash; `time_us` is the true one."""

    time_us: int
    seq: int
    sealed: bytes
    fields: dict[str, Any]


class Recording:
    """Hardware that tells of each record as its journal's flash takes it.

    `on_record(sealed)`: it is there, and the firmware knows. `on_torn(sealed)`: the power went in
    that, or before the firmware was told; the next boot finds it whole, or never there.
    """

    on_record: Callable[[bytes], None] = staticmethod(lambda _sealed: None)
    on_torn: Callable[[bytes], None] = staticmethod(lambda _sealed: None)

    def flash_program(self, address: int, data: bytes) -> None:
        """See Hardware."""
        at = data.find(_SEALED) if address < CARDS_AT else -1
        try:
            super().flash_program(address, data)  # type: ignore[misc]
        except PowerCut:
            if at >= 0:
                self.on_torn(data[at:])
            raise
        if at >= 0:
            self.on_record(data[at:])


class GuardedHome(HostHome):
    """A reader whose firmware may raise: then it stands still until its watchdog resets it."""

    on_crash: Callable[[str], None] = staticmethod(lambda _text: None)

    def start(self, now_us: int) -> int:
        """See HostHome."""
        return self._guarded(super().start, now_us)

    def run(self, now_us: int) -> int:
        """See HostHome."""
        return self._guarded(super().run, now_us)

    def _guarded(self, step: Callable[[int], int], now_us: int) -> int:
        try:
            return step(now_us)
        except Exception as error:
            self.on_crash(traceback.format_exc(limit=-5))
            raise PowerCut("crash") from error


class Linked:
    """Whoever hears the ledger over a line.

    `cut`: how much of that, or behind it, is out of order; `linked_us`: since when nothing is;
    whatever the ledger said until `known_us` has arrived.
    """

    world: World
    cut = linked_us = known_us = 0

    def may_hear(self) -> bool:
        """Whether all that it needs for that is in order."""
        return not self.cut

    def lose_link(self) -> None:
        """Its line, or something behind it, is out of order from now on."""
        self.look_at_link()
        self.cut += 1

    def regain_link(self) -> None:
        """One thing less is wrong with it."""
        self.cut -= 1
        self.linked_us = self.world.now_us

    def look_at_link(self) -> None:
        """Note how much of what the ledger said has surely arrived."""
        if self.may_hear() and self.world.now_us - self.linked_us >= SYNC_US:
            self.known_us = self.world.now_us - SYNC_US


@dataclass(eq=False)
class Place:
    """One reader and what is true about it.

    `story`: (time_us, what) of all that was done to its inputs; `ill`: how many things are wrong
    with it now; `refused_us`: who was not let in, and when.
    """

    name: str
    device: int
    key: bytes
    world: World
    hardware: Any
    reader: Any
    story: list[tuple[int, str]] = field(default_factory=list, kw_only=True)
    written: list[Written] = field(default_factory=list, kw_only=True)
    # Those under way when the power went: on flash or not, as the next boot finds them.
    torn: list[Written] = field(default_factory=list, kw_only=True)
    free_us: int = field(default=0, kw_only=True)  # from when on nobody stands before it
    ill: int = field(default=1, kw_only=True)  # without power
    is_dead: bool = field(default=True, kw_only=True)
    # Since when it does what it should, if it is not ill.
    well_us: int = field(default=0, kw_only=True)
    refused_us: list[int] = field(default_factory=list, kw_only=True)
    boots: list[int] = field(default_factory=list, kw_only=True)
    on_doubt: Callable[[str], None] = field(default=print, kw_only=True)

    def __post_init__(self) -> None:
        self.hardware.on_record, self.hardware.on_torn = self._record, self._tear

    def tell(self, what: str) -> None:
        """Something was done to it now."""
        self.story.append((self.world.now_us, what))

    def fall_ill(self) -> None:
        """Something is wrong with it from now on."""
        self.ill += 1

    def recover(self) -> None:
        """One thing less is wrong with it."""
        self.ill -= 1
        self.well_us = self.world.now_us + SETTLED_US

    def die(self) -> None:
        """It is without power, or has died in its boot."""
        if not self.is_dead:
            self.is_dead = True
            self.fall_ill()

    def come_alive(self) -> None:
        """A boot of it is over."""
        if self.is_dead:
            self.is_dead = False
            self.recover()

    def is_well(self) -> bool:
        """Whether it does what it should, and has for a while."""
        return not self.ill and self.world.now_us >= self.well_us

    def records(self, kind: int, from_us: int, to_us: int) -> list[Written]:
        """The records of a kind that came on flash between two times."""
        return list(_between(self.written, kind, from_us, to_us))[::-1]

    def entries(self, from_us: int, to_us: int) -> list[Written]:
        """The ENTRYs that came on flash between two times; one that the power has cut comes last.

        It says what was decided about a card, whether or not it is found by the next boot.
        """
        found = self.records(messages.ENTRY, from_us, to_us)
        known = {each.sealed for each in found}
        torn = _between(self.torn, messages.ENTRY, from_us, to_us)
        return found + [each for each in torn if each.sealed not in known]

    def _record(self, sealed: bytes) -> None:
        # A boot programs the newest entry once more, with the same bytes.
        if any(each.sealed == sealed for each in self.written[-2:]):
            return
        torn = next((each for each in self.torn[-2:] if each.sealed == sealed), None)
        written = torn or self._decoded(sealed)
        if written is not None:
            self.written.append(written)

    def _tear(self, sealed: bytes) -> None:
        known = (*self.written[-2:], *self.torn[-2:])
        written = self._decoded(sealed)
        if written is not None and all(each.sealed != sealed for each in known):
            self.torn.append(written)

    def _decoded(self, sealed: bytes) -> Written | None:
        try:
            fields = messages.decode_record(seal.payload_of(sealed))
        except WireError:
            return None  # not at the end of what is programmed: no record of its own
        return Written(self.hardware.clock.now_us, fields["seq"], sealed, fields)


def _between(rows: list[Written], kind: int, from_us: int, to_us: int) -> Iterator[Written]:
    for each in reversed(rows):
        if each.time_us < from_us:
            return
        if each.time_us <= to_us and each.fields["kind"] == kind:
            yield each
